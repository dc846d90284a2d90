//! What requests and answers are made of: bodies in and out, the answer envelope, errors, queries.

mod answer;
mod body;
mod body_permits;
mod json_text;
mod problem;
mod query;
mod read;
mod request_body;
mod request_id;

#[cfg(test)]
pub(crate) use answer::Failure;
pub(crate) use answer::{Answer, PageMeta, Warning};
pub use body::Body;
pub(crate) use body_permits::{BodyPermit, BodyPermits};
pub(crate) use json_text::{check_encoding, json_text, other_than_object};
pub(crate) use problem::Problem;
pub(crate) use query::{Query, decode_segment, plus_as_space};
pub(crate) use read::{BoxError, ReadLimits, read_body};
pub(crate) use request_body::{READ_AWAY_BYTES, RequestBody};
pub(crate) use request_id::RequestIds;
