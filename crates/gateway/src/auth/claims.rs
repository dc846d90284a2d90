//! The claims of an access token, and what makes them a principal.

use std::time::Duration;

use hookswitch_protocol::{TenantId, Timestamp, UserId};
use serde::{Deserialize, Deserializer, de};

use super::{AuthError, Principal, Role};

/// The claims of the contract that decide something; the others pass unread.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    user_id: UserId,
    tenant_id: TenantId,
    role: Option<String>,
    token_type: Option<String>,
    exp: Option<NumericDate>,
    nbf: Option<NumericDate>,
}

/// Seconds since 1970, whole or not.
#[derive(Debug, Clone, Copy)]
struct NumericDate(Timestamp);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if !seconds.is_finite() {
            return Err(de::Error::custom("a time must be a finite number of seconds"));
        }
        Ok(Self(Timestamp::from_millis((seconds * 1_000.0) as i64)))
    }
}

impl Claims {
    /// Checks the times and the kind of token. `exp` is strict; `nbf` may lie up to `leeway` ahead,
    /// because a token is often used the second it was minted on a clock slightly ahead of ours.
    pub(crate) fn into_principal(self, now: Timestamp, leeway: Duration) -> Result<Principal, AuthError> {
        if self.token_type.as_deref().is_some_and(|kind| kind != "access") {
            return Err(AuthError::NotForAccess);
        }
        let Some(NumericDate(expires_at)) = self.exp else {
            return Err(AuthError::Malformed("exp is missing".to_owned()));
        };
        if now >= expires_at {
            return Err(AuthError::Expired);
        }
        if self.nbf.is_some_and(|nbf| nbf.0 > now.after(leeway)) {
            return Err(AuthError::NotYetValid);
        }
        let role = Role::from_claim(self.role.as_deref());
        Ok(Principal { tenant: self.tenant_id, user: self.user_id, role, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Principal, AuthError> {
        let claims: Claims = serde_json::from_str(json).map_err(|e| AuthError::Malformed(e.to_string()))?;
        claims.into_principal(Timestamp::from_millis(1_000_000), Duration::from_secs(30))
    }

    #[test]
    fn both_spellings_of_a_user_and_unknown_roles_pass() {
        let number = check(r#"{"user_id":456,"tenant_id":"t","exp":2000,"role":"wizard","email":"x"}"#).expect("valid");
        assert_eq!((number.user, number.role), (UserId::from(456), Role::Agent));
        let text = check(r#"{"user_id":"user-1","tenant_id":"t","exp":2000.5,"role":"service"}"#).expect("valid");
        assert_eq!((text.role, text.expires_at), (Role::Service, Timestamp::from_millis(2_000_500)));
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let reason = |json: &str| check(json).expect_err(json).reason();
        assert_eq!(reason(r#"{"user_id":1,"tenant_id":"t"}"#), "malformed");
        assert_eq!(reason(r#"{"user_id":1,"tenant_id":"a b","exp":2000}"#), "malformed");
        assert_eq!(reason(r#"{"user_id":1.5,"tenant_id":"t","exp":2000}"#), "malformed");
        assert_eq!(reason(r#"{"user_id":1,"tenant_id":"t","exp":1000}"#), "expired");
        assert_eq!(reason(r#"{"user_id":1,"tenant_id":"t","exp":2000,"nbf":1031}"#), "not_yet_valid");
        assert!(check(r#"{"user_id":1,"tenant_id":"t","exp":2000,"nbf":1030}"#).is_ok());
        assert_eq!(reason(r#"{"user_id":1,"tenant_id":"t","exp":2000,"token_type":"refresh"}"#), "not_for_access");
    }
}
