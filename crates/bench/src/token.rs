//! Tokens for the load client: HS256, as the identity provider would mint them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::message::TENANT;
use crate::clock::unix_seconds;

/// How long a token is good for: longer than any run.
const LIFETIME_SECONDS: u64 = 3_600;

/// A token for one user of the bench's tenant.
pub(crate) fn mint(secret: &str, user_id: usize, role: &str) -> String {
    let issued = unix_seconds();
    let claims = serde_json::json!({
        "user_id": user_id, "tenant_id": TENANT, "role": role, "token_type": "access",
        "email": format!("user-{user_id}@bench.example"), "iat": issued, "exp": issued + LIFETIME_SECONDS,
    });
    sign(secret, r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string())
}

fn sign(secret: &str, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::sign;

    #[test]
    fn the_signature_is_the_one_everybody_else_makes() {
        let token = sign(
            "your-256-bit-secret",
            r#"{"alg":"HS256","typ":"JWT"}"#,
            r#"{"sub":"1234567890","name":"John Doe","iat":1516239022}"#,
        );
        assert!(token.ends_with(".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"), "{token}");
    }
}
