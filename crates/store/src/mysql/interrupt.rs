//! Ends a query whose time is over: the server does that, by the limit that a reading connection has for each
//! statement. A statement whose caller is gone runs on until then, and its connection and permit are busy so long;
//! no other one begins.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use diesel::QueryResult;

use super::connect::Connector;
use super::dialect::Conn;

/// What a server that hangs has beside the statement's limit, before its connection is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Nothing that the client would have to keep.
pub(crate) struct Interrupt;

impl Interrupt {
    #[expect(clippy::unnecessary_wraps, reason = "SQLite gets a function, which may fail")]
    pub(crate) fn install(_conn: &mut Conn, _connector: &Connector) -> QueryResult<Self> {
        Ok(Self)
    }

    /// A piece of work begins. A statement that begins just in time may take as long as the server lets it.
    #[expect(clippy::unused_self, reason = "SQLite keeps the deadline")]
    pub(crate) fn begin(&self, conn: &mut Conn, limit: Duration, is_gone: Arc<AtomicBool>) {
        conn.begin_for(limit * 2 + PATIENCE, is_gone);
    }
}
