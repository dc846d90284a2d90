//! The claims of an access token, and what makes them a principal.

use std::time::Duration;

use hookswitch_protocol::{TenantId, Timestamp, UserId};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::{AuthError, Principal, Role};

/// The year 2200. A time beyond it was written in milliseconds.
const LATEST_SECS: f64 = 7_258_118_400.0;

/// The claims of the contract that decide something; the others pass unread.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    user_id: UserId,
    tenant_id: Tenant,
    #[serde(default)]
    role: Value,
    token_type: Option<String>,
    exp: Option<NumericDate>,
    nbf: Option<NumericDate>,
}

/// The tenant's id, or a number whose decimal text it is.
#[derive(Debug)]
struct Tenant(TenantId);

impl<'de> Deserialize<'de> for Tenant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Spelling {
            Number(i64),
            Text(String),
        }
        let text = match Spelling::deserialize(deserializer) {
            Ok(Spelling::Number(number)) => number.to_string(),
            Ok(Spelling::Text(text)) => text,
            Err(_) => return Err(de::Error::custom("tenant_id must be a string or a whole number")),
        };
        TenantId::parse(&text).map(Self).map_err(de::Error::custom)
    }
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
        if seconds > LATEST_SECS {
            return Err(de::Error::custom(
                "a time lies beyond the year 2200: exp and nbf are seconds, not milliseconds",
            ));
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
        if self.user_id.is_zero() {
            return Err(AuthError::Malformed("user_id must not be 0".to_owned()));
        }
        let role = role_of(&self.role);
        Ok(Principal { tenant: self.tenant_id.0, user: self.user_id, role, expires_at })
    }
}

/// Of a list, as identity providers make it, the highest role that is known; of anything else that is no text,
/// an agent's.
fn role_of(claim: &Value) -> Role {
    let roles = claim.as_array().map_or(std::slice::from_ref(claim), Vec::as_slice);
    roles.iter().map(|role| Role::from_claim(role.as_str())).max_by_key(|role| role.rank()).unwrap_or(Role::Agent)
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
    fn a_role_of_any_kind_is_the_highest_one_that_is_known_in_it() {
        let role = |claim: &str| {
            check(&format!(r#"{{"user_id":1,"tenant_id":"t","exp":2000,"role":{claim}}}"#)).expect(claim).role
        };
        assert_eq!(role(r#"["agent","supervisor","wizard",7,null]"#), Role::Supervisor);
        assert_eq!(role(r#"["admin","service"]"#), Role::Admin, "they may do the same, and admins see more");
        assert_eq!(role(r#"["service","agent"]"#), Role::Service);
        for agent in ["7", "{}", r#"{"role":"admin"}"#, "null", "true", "[]", r#"[["admin"]]"#, r#""Admin""#] {
            assert_eq!(role(agent), Role::Agent, "{agent}");
        }
    }

    #[test]
    fn a_tenant_may_be_a_number_and_claims_nobody_uses_anything() {
        let tenant = |claim: &str| {
            check(&format!(
                r#"{{"user_id":"auth0|5f7c8e","tenant_id":{claim},"exp":2000,"email":7,"iat":[],"aud":{{}},"iss":1}}"#
            ))
        };
        assert_eq!(tenant("42").expect("a number").tenant.as_str(), "42");
        assert_eq!(tenant("-7").expect("a number").tenant.as_str(), "-7");
        for bad in ["4.5", "[]", "null", "true", "\"\"", "1e300"] {
            let error = tenant(bad).expect_err(bad);
            assert!(error.to_string().contains("tenant_id"), "{error}");
        }
    }

    #[test]
    fn milliseconds_and_nobody_are_refused() {
        let error = |json: &str| check(json).expect_err(json).to_string();
        assert!(error(r#"{"user_id":1,"tenant_id":"t","exp":1761397200000}"#).contains("not milliseconds"));
        assert!(error(r#"{"user_id":1,"tenant_id":"t","exp":2000,"nbf":1761397200000}"#).contains("not milliseconds"));
        assert!(check(r#"{"user_id":1,"tenant_id":"t","exp":7258118400}"#).is_ok());
        for nobody in ["0", "\"0\""] {
            assert!(error(&format!(r#"{{"user_id":{nobody},"tenant_id":"t","exp":2000}}"#)).contains("must not be 0"));
        }
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
