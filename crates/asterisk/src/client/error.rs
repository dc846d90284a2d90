//! Why a connection ended.

use crate::reader::ReadError;

/// Why a connection to a PBX could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] std::io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[source] std::io::Error),
    /// The PBX closed it.
    #[error("the PBX closed the connection")]
    Closed,
    /// The PBX goes down, and said so.
    #[error("the PBX is shutting down")]
    ShuttingDown,
    /// What came is no Manager Interface, or beyond the bounds.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The login was refused.
    #[error("the login was refused: {0}")]
    Refused(String),
    /// Nothing came in time.
    #[error("{0} took longer than {1:?}")]
    Late(&'static str, std::time::Duration),
    /// The lists are longer than is taken.
    #[error("the PBX's lists have more than {0} items or {1} bytes")]
    ListsTooLong(usize, usize),
    /// Nobody takes notices any more.
    #[error("nobody listens")]
    Unwanted,
    /// The name of the PBX's certificate cannot be made of the address.
    #[error("the address {0} is no name for TLS")]
    NoName(String),
}
