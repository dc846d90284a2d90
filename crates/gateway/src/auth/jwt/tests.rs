//! Every kind of token that must pass, and every kind that must not.

use hookswitch_testkit::Token;

use super::super::{Role, TokenPlace};
use super::samples::{
    ED448_KEY, EDDSA_KEY, EDDSA_TOKEN, ES256_KEY, ES256_TOKEN, K256_KEY, P384_KEY, RS256_KEY, RS256_TOKEN, RSA1024_KEY,
    X25519_KEY,
};
use super::*;

const SECRET: &str = "a secret of at least thirty-two bytes";

fn hs256() -> JwtAuthenticator {
    let config = JwtConfig { secret: Some(Secret::new(SECRET)), ..JwtConfig::default() };
    JwtAuthenticator::new(&config, Clock::system()).expect("a secret is enough")
}

fn by_pem(pem: &str) -> JwtAuthenticator {
    let config = JwtConfig { public_key_pem: Some(pem.to_owned()), ..JwtConfig::default() };
    JwtAuthenticator::new(&config, Clock::system()).expect("a public key is enough")
}

#[test]
fn a_good_token_passes_twice() {
    let jwt = hs256();
    let token = Token::new("tenant-1", 456).role("supervisor").sign(SECRET);
    for _ in 0..2 {
        let principal = jwt.check(&token).expect("valid");
        assert_eq!((principal.tenant.as_str(), principal.role), ("tenant-1", Role::Supervisor));
    }
}

#[test]
fn a_remembered_token_ends_with_its_exp() {
    let clock = Clock::manual(Clock::system().now());
    let config = JwtConfig { secret: Some(Secret::new(SECRET)), ..JwtConfig::default() };
    let jwt = JwtAuthenticator::new(&config, clock.clone()).expect("a secret is enough");
    let token = Token::new("tenant-1", 456).expires_in(60).sign(SECRET);
    assert!(jwt.check(&token).is_ok());
    clock.advance(Duration::from_secs(61));
    assert_eq!(jwt.check(&token), Err(AuthError::Expired));
    assert_eq!(jwt.check(&token), Err(AuthError::Expired));
}

#[test]
fn each_bad_token_has_its_reason() {
    let jwt = hs256();
    let reason = |token: &str| jwt.check(token).expect_err(token).reason();
    let token = Token::new("tenant-1", 456);
    assert_eq!(reason(&token.sign("another secret")), "signature");
    assert_eq!(reason(&token.clone().expires_in(-1).sign(SECRET)), "expired");
    assert_eq!(reason(&token.clone().not_before_in(90).sign(SECRET)), "not_yet_valid");
    assert_eq!(reason(&token.clone().claim("token_type", "refresh").sign(SECRET)), "not_for_access");
    assert_eq!(reason(&token.clone().without("exp").sign(SECRET)), "malformed");
    assert_eq!(reason(&token.clone().without("user_id").sign(SECRET)), "malformed");
    assert_eq!(reason(&token.clone().without("tenant_id").sign(SECRET)), "malformed");
    assert_eq!(reason(&token.unsigned()), "algorithm");
    assert_eq!(reason(&token.sign_claiming("HS512", SECRET)), "algorithm");
    assert_eq!(reason(&token.sign_claiming("RS256", SECRET)), "algorithm");
    for garbage in ["", "a", "a.b", "a.b.c", "....", &"x".repeat(TOKEN_BYTES + 1)] {
        assert_eq!(reason(garbage), "malformed");
    }
}

#[test]
fn an_extension_that_must_be_understood_is_refused() {
    let sign = |crit: Option<Vec<String>>| {
        let header = jsonwebtoken::Header { crit, ..jsonwebtoken::Header::default() };
        let exp = Clock::system().now().as_millis() / 1000 + 60;
        let claims = serde_json::json!({"tenant_id": "t", "user_id": 1, "exp": exp});
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&header, &claims, &key).expect("signs")
    };
    assert!(hs256().check(&sign(None)).is_ok());
    for crit in [vec![], vec!["exp".to_owned()], vec!["https://x.example/ext".to_owned()]] {
        let error = hs256().check(&sign(Some(crit))).expect_err("not understood");
        assert_eq!(error.reason(), "malformed");
        assert!(error.to_string().contains("crit"), "{error}");
    }
}

#[test]
fn public_keys_verify_their_own_algorithm_only() {
    for (pem, token) in [(RS256_KEY, RS256_TOKEN), (ES256_KEY, ES256_TOKEN), (EDDSA_KEY, EDDSA_TOKEN)] {
        let principal = by_pem(pem).check(token).expect(token);
        assert_eq!((&principal.user, principal.role), (&456.into(), Role::Admin));
        let mut tampered = token.to_owned();
        tampered.truncate(token.len() - 8);
        tampered.push_str("AAAAAAAA");
        assert!(by_pem(pem).check(&tampered).is_err());
    }
    // Algorithm confusion: the public key's text as an HMAC secret.
    assert_eq!(by_pem(RS256_KEY).check(&Token::new("t", 1).sign(RS256_KEY)), Err(AuthError::Algorithm));
}

#[test]
fn what_does_not_fit_together_is_refused_at_start() {
    let with = |change: &dyn Fn(&mut JwtConfig)| {
        let mut config = JwtConfig { secret: Some(Secret::new(SECRET)), ..JwtConfig::default() };
        change(&mut config);
        JwtAuthenticator::new(&config, Clock::system()).err()
    };
    assert_eq!(with(&|_| {}), None);
    assert_eq!(with(&|c| c.secret = None), Some(InvalidJwtConfig::NoKey));
    assert_eq!(with(&|c| c.leeway = Duration::from_secs(61)), Some(InvalidJwtConfig::LeewayTooLong));
    assert_eq!(with(&|c| c.public_key_pem = Some("x".to_owned())), Some(InvalidJwtConfig::BadKey));
    let algorithm = JwtAlgorithm::Rs256;
    assert_eq!(with(&|c| c.algorithms = vec![algorithm]), Some(InvalidJwtConfig::NoKeyFor { algorithm }));
    assert!("none".parse::<JwtAlgorithm>().is_err());
}

#[test]
fn a_key_that_can_verify_no_token_is_refused_at_start() {
    let refusal = |pem: &str| {
        let config = JwtConfig { public_key_pem: Some(pem.to_owned()), ..JwtConfig::default() };
        JwtAuthenticator::new(&config, Clock::system()).expect_err(pem).to_string()
    };
    assert!(refusal(P384_KEY).contains("another curve than ES256 is over"), "{}", refusal(P384_KEY));
    assert!(refusal(RSA1024_KEY).contains("an RSA key of 1024 bits"), "{}", refusal(RSA1024_KEY));
    for other in [K256_KEY, X25519_KEY, ED448_KEY] {
        assert!(refusal(other).contains("public key"), "{}", refusal(other));
    }
}

#[test]
fn claims_that_nobody_uses_may_be_anything() {
    let token = Token::new("t", 1).claim("tenant_id", 42).claim("role", serde_json::json!(["agent", "supervisor"]));
    let token = token.claim("aud", serde_json::json!({"x": 1})).claim("iss", 7).claim("sub", serde_json::json!([]));
    let token = token.claim("iat", "yesterday").claim("email", serde_json::Value::Null).sign(SECRET);
    let principal = hs256().check(&token).expect("valid");
    assert_eq!((principal.tenant.as_str(), principal.role), ("42", Role::Supervisor));
}

#[test]
fn a_credential_prints_without_its_token() {
    let credential = Credential { token: "secret-token", place: TokenPlace::Query };
    assert!(!format!("{credential:?}").contains("secret-token"));
}
