//! Tokens, good and bad, minted independently of the product's verifier.
#![expect(clippy::disallowed_methods, reason = "tokens carry wall time, and tests have no clock to share with a node")]

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

/// A token being written: claims first, a signature at the end.
#[derive(Debug, Clone)]
pub struct Token {
    claims: Map<String, Value>,
}

impl Token {
    /// An agent's access token of one hour.
    pub fn new(tenant: &str, user: impl Into<Value>) -> Self {
        let claims = Map::new();
        Self { claims }
            .claim("user_id", user)
            .claim("tenant_id", tenant)
            .claim("email", "someone@example.com")
            .claim("role", "agent")
            .claim("token_type", "access")
            .claim("iat", now())
            .expires_in(3600)
    }

    /// A back-end service of the tenant: it may publish and manage webhooks.
    pub fn service(tenant: &str) -> Self {
        Self::new(tenant, "back-end").role("service")
    }

    /// The same with this role.
    #[must_use]
    pub fn role(self, role: &str) -> Self {
        self.claim("role", role)
    }

    /// The same with an expiry this many seconds from now; negative for the past.
    #[must_use]
    pub fn expires_in(self, seconds: i64) -> Self {
        self.claim("exp", now() + seconds)
    }

    /// The same, valid only from this many seconds from now.
    #[must_use]
    pub fn not_before_in(self, seconds: i64) -> Self {
        self.claim("nbf", now() + seconds)
    }

    /// The same with one claim set.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// The same with one claim left out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// The finished token, HS256.
    pub fn sign(&self, secret: &str) -> String {
        self.sign_claiming("HS256", secret)
    }

    /// Signed with HMAC-SHA256, whatever algorithm the header claims: the algorithm confusion attack.
    pub fn sign_claiming(&self, algorithm: &str, secret: &str) -> String {
        let input = self.signing_input(algorithm);
        let signature = hs256(secret.as_bytes(), input.as_bytes());
        format!("{input}.{signature}")
    }

    /// Signed by an identity provider with its private key, `EdDSA`.
    pub fn sign_with(&self, key: &SigningKey) -> String {
        let input = self.signing_input("EdDSA");
        let signature = URL_SAFE_NO_PAD.encode(key.0.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }

    /// The `alg: none` attack: no signature at all.
    pub fn unsigned(&self) -> String {
        format!("{}.", self.signing_input("none"))
    }

    fn signing_input(&self, algorithm: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(&json!({"alg": algorithm, "typ": "JWT"}));
        format!("{header}.{}", part(&Value::Object(self.claims.clone())))
    }
}

/// An identity provider's Ed25519 key, made for one test.
#[derive(Debug)]
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// A fresh key.
    ///
    /// # Panics
    /// When the machine has no randomness.
    pub fn generate() -> Self {
        Self(Ed25519KeyPair::generate().expect("the machine has randomness"))
    }

    /// The public half, as such a provider hands it out.
    pub fn public_pem(&self) -> String {
        // RFC 8410: the fixed head of an Ed25519 SubjectPublicKeyInfo, then the 32 bytes.
        let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let der = [&head, self.0.public_key().as_ref()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs().cast_signed()
}

fn hs256(key: &[u8], input: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(input);
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515, appendix A.1.
    #[test]
    fn the_signature_is_the_standards() {
        let input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = URL_SAFE_NO_PAD.decode(key).expect("base64");
        assert_eq!(hs256(&key, input.as_bytes()), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn claims_arrive_as_set() {
        let token = Token::new("t", 456).role("admin").without("email").sign("k");
        let claims = token.split('.').nth(1).expect("three parts");
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON");
        assert_eq!((&claims["user_id"], &claims["role"]), (&json!(456), &json!("admin")));
        assert!(claims.get("email").is_none() && claims["exp"].as_i64() > claims["iat"].as_i64());
        assert!(Token::new("t", 1).unsigned().ends_with('.'));
    }
}
