//! What requests and answers are made of: bodies in and out, the answer envelope, errors, queries.

mod answer;
mod body;
mod problem;
mod query;
mod read;
mod request_id;

pub(crate) use answer::{Answer, PageMeta};
pub use body::Body;
pub(crate) use problem::Problem;
pub(crate) use query::{Query, decode_segment};
pub(crate) use read::{BoxError, read_body};
pub(crate) use request_id::RequestIds;
