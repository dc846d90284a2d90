//! Why a webhook is refused.

use hookswitch_protocol::ErrorCode;

/// A field that cannot be accepted. Its text names the field and the limit, and no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidWebhook {
    /// The field, as the contract spells it.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// [`ErrorCode::AddressBlocked`] when the address rules forbid the URL, else [`ErrorCode::InvalidField`].
    pub code: ErrorCode,
}

impl InvalidWebhook {
    pub(crate) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into(), code: ErrorCode::InvalidField }
    }
}
