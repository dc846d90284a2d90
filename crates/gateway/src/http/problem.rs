//! What went wrong with a request, with the status that fits.

use std::borrow::Cow;

use hookswitch_protocol::{ErrorCode, clipped, limits};
use http::StatusCode;
use serde_json::Value;

/// A refusal on its way to the caller.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    /// The code for programs; decides the status.
    pub(crate) code: ErrorCode,
    /// The sentence for people: names the field and the limit.
    pub(crate) message: Cow<'static, str>,
    /// More for programs, such as the index and field of a bad entry.
    pub(crate) details: Option<Box<Value>>,
    /// The value of `Allow`, on 405.
    pub(crate) allow: Option<String>,
    /// The rate per second that was exceeded, on 429.
    pub(crate) rate: Option<u32>,
}

impl Problem {
    pub(crate) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        // A parser's words quote what it was given, which may be a megabyte.
        let message = match message.into() {
            Cow::Owned(told) => Cow::Owned(clipped(told, limits::ERROR_MESSAGE_BYTES)),
            fixed @ Cow::Borrowed(_) => fixed,
        };
        Self { code, message, details: None, allow: None, rate: None }
    }

    /// A field of the body or the query is not what it must be.
    pub(crate) fn field(field: &str, problem: &str) -> Self {
        let details = serde_json::json!({ "field": field });
        Self::new(ErrorCode::InvalidField, format!("{field} {problem}")).with_details(details)
    }

    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::new(ErrorCode::NotFound, what)
    }

    /// A bug of ours; whoever calls this has logged the details.
    pub(crate) fn internal() -> Self {
        Self::new(ErrorCode::Internal, "something went wrong on our side; the log has it under this request_id")
    }

    pub(crate) fn draining() -> Self {
        Self::new(ErrorCode::Draining, "this node is shutting down: connect again to reach another")
    }

    pub(crate) fn with_details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// Names the entry of a batch and the field that are to blame, where there are such.
    pub(crate) fn with_entry(self, index: Option<usize>, field: Option<&str>) -> Self {
        match (index, field) {
            (None, None) => self,
            (None, Some(field)) => self.with_details(serde_json::json!({ "field": field })),
            (Some(index), None) => self.with_details(serde_json::json!({ "index": index })),
            (Some(index), Some(field)) => self.with_details(serde_json::json!({ "index": index, "field": field })),
        }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        status_of(self.code)
    }
}

/// The HTTP status of each error code.
const fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidJson
        | ErrorCode::InvalidField
        | ErrorCode::UnknownCommand
        | ErrorCode::TooManyNames
        | ErrorCode::ReservedType
        | ErrorCode::NotText
        | ErrorCode::AddressBlocked
        | ErrorCode::InvalidRequest => StatusCode::BAD_REQUEST,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::Unauthorized | ErrorCode::TokenExpired => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden | ErrorCode::OriginRefused => StatusCode::FORBIDDEN,
        ErrorCode::NotFound | ErrorCode::UnknownSession => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::NotRecovered => StatusCode::GONE,
        ErrorCode::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
        ErrorCode::Overloaded | ErrorCode::Draining | ErrorCode::StorageUnavailable | ErrorCode::TooManyConnections => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Internal | ErrorCode::MessagesDropped => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_codes_and_classes_of_statuses_agree() {
        for code in ErrorCode::ALL {
            let status = status_of(*code);
            match code.number() {
                100..400 => assert!(status.is_client_error(), "{code:?}"),
                403 => assert_eq!(status, StatusCode::REQUEST_TIMEOUT),
                404 => assert_eq!(status, StatusCode::TOO_MANY_REQUESTS),
                400..500 => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{code:?}"),
                _ => assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{code:?}"),
            }
        }
    }
}
