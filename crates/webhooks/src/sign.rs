//! Signatures: the contract's hex HMAC over the body, and the Standard Webhooks one beside it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hookswitch_protocol::{Secret, Timestamp};
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::Sha256;

/// What a Standard Webhooks secret starts with; the rest is base64.
const STANDARD_PREFIX: &str = "whsec_";

/// `X-Webhook-Signature`: hex HMAC-SHA256 of the exact body, keyed with the secret's UTF-8 bytes as they stand.
pub fn signature(body: &[u8], secret: &Secret) -> String {
    hex::encode(keyed(secret.reveal().as_bytes(), &[body]).finalize().into_bytes())
}

/// `webhook-signature`: `v1,` and the base64 HMAC-SHA256 over `id.timestamp.body`, as Standard Webhooks says.
pub fn standard_signature(id: &str, timestamp: Timestamp, body: &[u8], secret: &Secret) -> String {
    let key = standard_key(secret).unwrap_or_else(|_| secret.reveal().as_bytes().to_vec());
    let seconds = timestamp.as_secs().to_string();
    let parts = [id.as_bytes(), b".", seconds.as_bytes(), b".", body];
    format!("v1,{}", STANDARD.encode(keyed(&key, &parts).finalize().into_bytes()))
}

/// A `whsec_` secret whose rest is empty or not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadStandardSecret;

/// A new secret of the Standard Webhooks form: 32 bytes of the system's randomness.
pub(crate) fn generate_secret() -> Secret {
    let mut key = [0; 32];
    SysRng.try_fill_bytes(&mut key).expect("a system without randomness has no TLS either");
    Secret::new(format!("{STANDARD_PREFIX}{}", STANDARD.encode(key)))
}

/// The key of the Standard Webhooks signature: decoded after `whsec_`, else the text's bytes.
pub(crate) fn standard_key(secret: &Secret) -> Result<Vec<u8>, BadStandardSecret> {
    match secret.reveal().strip_prefix(STANDARD_PREFIX) {
        // An empty key would sign, and anybody could sign alike.
        Some("") => Err(BadStandardSecret),
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| BadStandardSecret),
        None => Ok(secret.reveal().as_bytes().to_vec()),
    }
}

/// HMAC-SHA256 over the parts, one after the other.
pub(crate) fn keyed(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::verify::verify_signature;

    /// RFC 4231, test case 2.
    #[test]
    fn the_hex_signature_is_plain_hmac_sha256() {
        let wanted = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature(b"what do ya want for nothing?", &Secret::new("Jefe")), wanted);
    }

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn the_standard_signature_is_the_published_one() {
        let made = standard_signature(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            Timestamp::from_millis(1_614_265_330_000),
            br#"{"test": 2432232314}"#,
            &Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        );
        assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn only_the_standard_signature_decodes_the_secret() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert!(verify_signature(b"{}", &signature(b"{}", &secret), secret.reveal()));
        assert_eq!(standard_key(&Secret::new("whsec_not base64")), Err(BadStandardSecret));
        assert_eq!(standard_key(&Secret::new("plain")), Ok(b"plain".to_vec()));
        let id_and_time = ("id", Timestamp::from_millis(0));
        let signed = |secret| standard_signature(id_and_time.0, id_and_time.1, b"{}", &Secret::new(secret));
        assert!(signed("whsec_*").starts_with("v1,"), "a bad secret of a hand-made row still signs");
        assert_eq!(standard_key(&Secret::new("whsec_")), Err(BadStandardSecret));
        assert_ne!(signed("whsec_"), signed(""), "nobody signs with an empty key");
    }

    #[test]
    fn made_secrets_differ_and_can_be_read() {
        let made = [generate_secret(), generate_secret()];
        assert_ne!(made[0], made[1]);
        assert!(made.iter().all(|secret| standard_key(secret).is_ok_and(|key| key.len() == 32)));
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        for bad in ["", "zz", "5bdc", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="] {
            assert!(!verify_signature(b"what do ya want for nothing?", bad, "Jefe"), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_we_sign_verifies_and_nothing_else_does(
            body in any::<Vec<u8>>(), secret in ".{1,80}", other in ".{1,80}", flip in any::<prop::sample::Index>(),
        ) {
            let made = signature(&body, &Secret::new(secret.clone()));
            prop_assert!(verify_signature(&body, &made, &secret));
            prop_assert!(verify_signature(&body, &made.to_uppercase(), &secret));
            prop_assert!(other == secret || !verify_signature(&body, &made, &other));
            let mut changed = body.clone();
            if !changed.is_empty() {
                changed[flip.index(body.len())] ^= 1;
                prop_assert!(!verify_signature(&changed, &made, &secret));
            }
        }
    }
}
