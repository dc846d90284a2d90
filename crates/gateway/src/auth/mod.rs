//! Who is asking: the seam that turns a token into a principal, and its JWT keeper.

mod claims;
mod jwt;
mod place;

use std::fmt;
use std::sync::Arc;

use hookswitch_hub::Clearance;
use hookswitch_protocol::{ErrorCode, TenantId, Timestamp, UserId};
use hookswitch_runtime::BoxFuture;

pub use jwt::{InvalidJwtConfig, JwtAlgorithm, JwtAuthenticator, JwtConfig};
pub use place::TokenPlace;
pub(crate) use place::{find_token, is_bearer, offered_subprotocols};

/// Turns tokens into principals.
///
/// A principal is only ever given for a token that is valid now; its `expires_at` ends every
/// connection made with it. Errors name the reason for the security log and for the caller; they
/// never repeat the token. A dropped future leaves nothing behind.
pub trait Authenticator: Send + Sync {
    /// Checks one token.
    fn authenticate<'a>(&'a self, credential: Credential<'a>) -> BoxFuture<'a, Result<Arc<Principal>, AuthError>>;

    /// Whether it neither waits, nor blocks, nor computes for longer than a signature takes. Then it
    /// may be asked on a thread that delivers events, and connections of publishers are served there
    /// when that is quicker. By default it is not.
    fn is_immediate(&self) -> bool {
        false
    }
}

/// A token as it came, and where it stood. Prints without the token.
#[derive(Clone, Copy)]
pub struct Credential<'a> {
    /// The token's text.
    pub token: &'a str,
    /// Where it stood in the request.
    pub place: TokenPlace,
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("token", &"***").field("place", &self.place).finish()
    }
}

/// Who authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose user it is: every question this principal asks is answered within this tenant.
    pub tenant: TenantId,
    /// Which user it is.
    pub user: UserId,
    /// What it may do.
    pub role: Role,
    /// When the token ends, and every WebSocket opened with it.
    pub expires_at: Timestamp,
}

impl Principal {
    /// What its connections may see beyond what everybody of the tenant may.
    pub(crate) fn clearance(&self) -> Clearance {
        if self.role == Role::Admin { Clearance::Admin } else { Clearance::Standard }
    }
}

/// What a principal may do. Unknown roles are agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// WebSocket and its pages only.
    Agent,
    /// Also reads webhooks.
    Supervisor,
    /// Also publishes and changes webhooks.
    Admin,
    /// A back-end program: like an admin.
    Service,
}

impl Role {
    /// Reads the claim; anything unknown is an agent.
    pub fn from_claim(claim: Option<&str>) -> Self {
        match claim {
            Some("supervisor") => Self::Supervisor,
            Some("admin") => Self::Admin,
            Some("service") => Self::Service,
            _ => Self::Agent,
        }
    }

    /// How much it may do; an admin sees what a service does not need.
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::Agent => 0,
            Self::Supervisor => 1,
            Self::Service => 2,
            Self::Admin => 3,
        }
    }

    /// The claim's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Supervisor => "supervisor",
            Self::Admin => "admin",
            Self::Service => "service",
        }
    }
}

/// Why a token was refused. The text is told to the caller and to the security log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no token where one may stand.
    #[error("a token is required: Authorization: Bearer, ?token= or the bearer subprotocol")]
    Missing,
    /// Not a JWT, or a claim is missing or of the wrong type.
    #[error("token is malformed: {0}")]
    Malformed(String),
    /// Its algorithm is not one this node accepts.
    #[error("token's algorithm is not accepted here")]
    Algorithm,
    /// The signature does not verify.
    #[error("token's signature does not verify")]
    Signature,
    /// `exp` has passed.
    #[error("token has expired")]
    Expired,
    /// `nbf` is still to come.
    #[error("token is not valid yet")]
    NotYetValid,
    /// A refresh token, or another that is not for access.
    #[error("token is not an access token")]
    NotForAccess,
    /// The keeper of tokens cannot be asked right now.
    #[error("tokens cannot be checked right now")]
    Unavailable,
}

impl AuthError {
    /// Every reason there is.
    pub(crate) const REASONS: [&str; 8] =
        ["missing", "malformed", "algorithm", "signature", "expired", "not_yet_valid", "not_for_access", "unavailable"];

    /// The code that clients are told.
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::Expired => ErrorCode::TokenExpired,
            Self::Unavailable => ErrorCode::StorageUnavailable,
            _ => ErrorCode::Unauthorized,
        }
    }

    /// A short stable word: the metric label and the field of the security log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed(_) => "malformed",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NotForAccess => "not_for_access",
            Self::Unavailable => "unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_among_the_reasons() {
        let errors = [
            AuthError::Missing,
            AuthError::Malformed(String::new()),
            AuthError::Algorithm,
            AuthError::Signature,
            AuthError::Expired,
            AuthError::NotYetValid,
            AuthError::NotForAccess,
            AuthError::Unavailable,
        ];
        assert_eq!(errors.map(|error| error.reason()), AuthError::REASONS);
    }
}
