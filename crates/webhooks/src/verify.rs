//! For receivers: whether a delivery is genuine.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac as _;
use hookswitch_protocol::{Secret, Timestamp};

use crate::sign::{keyed, standard_key};

/// How far a Standard Webhooks timestamp may be from the receiver's clock, in either direction: what
/// the standard's own libraries allow.
pub const TIMESTAMP_TOLERANCE: Duration = Duration::from_mins(5);

/// Whether `signature`, the value of `X-Webhook-Signature`, is the hex HMAC of `body` under `secret`.
/// Takes the same time wherever they differ. During a rotation of secrets a receiver that has the new
/// one asks with the value of `X-Webhook-Signature-New`, where there is one.
///
/// ```
/// use hookswitch_webhooks::verify_signature;
///
/// let body = b"The quick brown fox jumps over the lazy dog";
/// let signature = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
/// assert!(verify_signature(body, signature, "key"));
/// assert!(!verify_signature(body, signature, "another key"));
/// ```
pub fn verify_signature(body: &[u8], signature: &str, secret: &str) -> bool {
    hex::decode(signature).is_ok_and(|claimed| keyed(secret.as_bytes(), &[body]).verify_slice(&claimed).is_ok())
}

/// The three headers of Standard Webhooks, as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandardHeaders<'a> {
    /// `webhook-id`: the delivery, the same on every attempt.
    pub id: &'a str,
    /// `webhook-timestamp`: when the attempt was made, in seconds.
    pub timestamp: &'a str,
    /// `webhook-signature`: one or several signatures, separated by blanks.
    pub signature: &'a str,
}

/// Why a delivery is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// The secret is empty, or starts with `whsec_` and what follows is empty or not base64.
    #[error("the secret cannot be used")]
    Secret,
    /// The timestamp is no number of seconds.
    #[error("the timestamp cannot be read")]
    Timestamp,
    /// The attempt was made more than [`TIMESTAMP_TOLERANCE`] ago or ahead: it may be a replay, or a
    /// clock is wrong.
    #[error("the timestamp is too far from this clock's time")]
    NotNow,
    /// None of the signatures is right.
    #[error("no signature matches")]
    NoMatch,
}

/// Checks a delivery as the Standard Webhooks specification says: the time is near `now`, and one of
/// the signatures is right under `secret`. A secret of the form `whsec_<base64>` is decoded, any other
/// is used as its text. Takes the same time wherever a signature differs.
///
/// ```
/// use hookswitch_protocol::Timestamp;
/// use hookswitch_webhooks::{StandardHeaders, verify_standard_webhook};
///
/// let headers = StandardHeaders {
///     id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
///     timestamp: "1614265330",
///     signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
/// };
/// let body = br#"{"test": 2432232314}"#;
/// let now = Timestamp::from_millis(1_614_265_345_000); // yours comes from the clock
/// verify_standard_webhook(headers, body, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", now)?;
/// # Ok::<(), hookswitch_webhooks::BadSignature>(())
/// ```
///
/// # Errors
/// [`BadSignature`]: do not act on the delivery; answer 401 or 400.
pub fn verify_standard_webhook(
    headers: StandardHeaders<'_>,
    body: &[u8],
    secret: &str,
    now: Timestamp,
) -> Result<(), BadSignature> {
    let key = standard_key(&Secret::new(secret)).map_err(|_| BadSignature::Secret)?;
    if key.is_empty() {
        return Err(BadSignature::Secret);
    }
    let seconds: i64 = headers.timestamp.parse().map_err(|_| BadSignature::Timestamp)?;
    if now.as_secs().abs_diff(seconds) > TIMESTAMP_TOLERANCE.as_secs() {
        return Err(BadSignature::NotNow);
    }
    let mac = keyed(&key, &[headers.id.as_bytes(), b".", headers.timestamp.as_bytes(), b".", body]);
    let is_right = |one: &str| {
        let claimed = one.strip_prefix("v1,").and_then(|encoded| STANDARD.decode(encoded).ok());
        claimed.is_some_and(|claimed| mac.clone().verify_slice(&claimed).is_ok())
    };
    if headers.signature.split(' ').any(is_right) { Ok(()) } else { Err(BadSignature::NoMatch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const RIGHT: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn checked(timestamp: &str, signature: &str, secret: &str, now_secs: i64) -> Result<(), BadSignature> {
        let headers = StandardHeaders { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp, signature };
        verify_standard_webhook(headers, BODY, secret, Timestamp::from_millis(now_secs * 1_000))
    }

    #[test]
    fn one_right_signature_among_several_is_enough() {
        for signature in [
            RIGHT.to_owned(),
            format!("v1,bm9ldHU5ZmV2ZXI= {RIGHT}"),
            format!("{RIGHT} v1,bm9ldHU5ZmV2ZXI="),
            format!(
                "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== {RIGHT}"
            ),
        ] {
            assert_eq!(checked("1614265330", &signature, SECRET, 1_614_265_330), Ok(()), "{signature}");
        }
        for signature in ["", " ", "v1,", "v1", &RIGHT[3..], &RIGHT.replace("v1", "v2"), "v1,bm9ldHU5ZmV2ZXI="] {
            let refused = checked("1614265330", signature, SECRET, 1_614_265_330);
            assert_eq!(refused, Err(BadSignature::NoMatch), "{signature:?}");
        }
    }

    #[test]
    fn the_time_must_be_near() {
        let at = |now| checked("1614265330", RIGHT, SECRET, now);
        assert_eq!((at(1_614_265_630), at(1_614_265_030)), (Ok(()), Ok(())));
        assert_eq!((at(1_614_265_631), at(1_614_265_029)), (Err(BadSignature::NotNow), Err(BadSignature::NotNow)));
        for timestamp in ["", "now", "1614265330.5", "99999999999999999999"] {
            assert_eq!(checked(timestamp, RIGHT, SECRET, 1_614_265_330), Err(BadSignature::Timestamp), "{timestamp}");
        }
        assert_eq!(checked("1614265331", RIGHT, SECRET, 1_614_265_330), Err(BadSignature::NoMatch), "it is signed too");
        assert_eq!(checked("-9223372036854775808", RIGHT, SECRET, i64::MAX / 1_000), Err(BadSignature::NotNow));
    }

    #[test]
    fn nothing_verifies_under_an_unusable_secret() {
        for secret in ["", "whsec_", "whsec_not base64"] {
            assert_eq!(checked("1614265330", RIGHT, secret, 1_614_265_330), Err(BadSignature::Secret), "{secret}");
        }
        assert_eq!(checked("1614265330", RIGHT, "another", 1_614_265_330), Err(BadSignature::NoMatch));
    }
}
