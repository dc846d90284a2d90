//! The headers of a delivery: the contract's, the Standard Webhooks ones, the signatures, and the
//! webhook's own.

use hookswitch_egress::ErrorClass;
use hookswitch_protocol::{Secret, Timestamp};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};

use super::request::AttemptRequest;
use crate::options::CustomHeader;
use crate::rules::{MAX_HEADERS, is_reserved};
use crate::seams::directory::Webhook;
use crate::sign;

const EVENT: HeaderName = HeaderName::from_static("x-webhook-event");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("x-webhook-id");
const ATTEMPT: HeaderName = HeaderName::from_static("x-webhook-attempt");
const SIGNATURE: HeaderName = HeaderName::from_static("x-webhook-signature");
const NEW_SIGNATURE: HeaderName = HeaderName::from_static("x-webhook-signature-new");
const STANDARD_ID: HeaderName = HeaderName::from_static("webhook-id");
const STANDARD_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const STANDARD_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What a webhook adds to every delivery.
#[derive(Debug, Clone, Default)]
pub(super) struct Extras<'a> {
    /// Headers of its own, none of them reserved.
    pub(super) custom: Vec<(HeaderName, HeaderValue)>,
    /// The secret before the present one, as long as both are in force.
    pub(super) previous_secret: Option<&'a Secret>,
}

impl<'a> Extras<'a> {
    /// The one place where a registration's options become headers.
    ///
    /// A header that cannot be sent or is reserved, of a row changed by hand, is left out.
    pub(super) fn of(webhook: &'a Webhook, now: Timestamp) -> Self {
        let custom = webhook.options.headers.iter().filter_map(custom_header).collect();
        let previous = webhook.previous_secret.as_ref().filter(|previous| now < previous.valid_until);
        Self { custom, previous_secret: previous.map(|previous| &previous.secret) }
    }
}

fn custom_header(header: &CustomHeader) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(header.name.as_bytes()).ok().filter(|name| !is_reserved(name.as_str()))?;
    let mut value = HeaderValue::from_str(header.value.reveal()).ok()?;
    // It may be an API key: it prints as such, and never.
    value.set_sensitive(true);
    Some((name, value))
}

/// All headers of an attempt. Ours win over the webhook's own.
pub(super) fn headers(request: &AttemptRequest<'_>, extras: &Extras<'_>) -> Result<HeaderMap, ErrorClass> {
    let mut headers = HeaderMap::with_capacity(16 + extras.custom.len());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("CallCenter-Webhook/1.0"));
    headers.insert(EVENT, value(request.event_type.as_str())?);
    headers.insert(WEBHOOK_ID, HeaderValue::from(request.webhook.id.0));
    headers.insert(ATTEMPT, HeaderValue::from(request.attempt));
    headers.insert(STANDARD_ID, value(request.delivery.as_str())?);
    headers.insert(STANDARD_TIMESTAMP, HeaderValue::from(request.now.as_secs()));
    if let Some(secret) = usable(request.webhook.secret.as_ref()) {
        sign_request(&mut headers, request, secret, usable(extras.previous_secret))?;
    }
    for (name, value) in extras.custom.iter().take(MAX_HEADERS) {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    Ok(headers)
}

/// Signs with the secret. While the previous one is still in force, a receiver that knows only that
/// one finds its signature where it always was, and one that has the new secret beside it.
fn sign_request(
    headers: &mut HeaderMap,
    request: &AttemptRequest<'_>,
    secret: &Secret,
    previous: Option<&Secret>,
) -> Result<(), ErrorClass> {
    let (id, body) = (request.delivery.as_str(), &request.body);
    let mut standard = sign::standard_signature(id, request.now, body, secret);
    let signature = value(&sign::signature(body, secret))?;
    match previous {
        None => headers.insert(SIGNATURE, signature),
        Some(previous) => {
            standard.push(' ');
            standard.push_str(&sign::standard_signature(id, request.now, body, previous));
            headers.insert(NEW_SIGNATURE, signature);
            headers.insert(SIGNATURE, value(&sign::signature(body, previous))?)
        }
    };
    headers.insert(STANDARD_SIGNATURE, value(&standard)?);
    Ok(())
}

/// With an empty secret anybody could sign.
fn usable(secret: Option<&Secret>) -> Option<&Secret> {
    secret.filter(|secret| !secret.reveal().is_empty())
}

fn value(text: &str) -> Result<HeaderValue, ErrorClass> {
    HeaderValue::from_str(text).map_err(|_| ErrorClass::InvalidUrl)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hookswitch_protocol::{DeliveryId, EventType};

    use super::super::tests::webhook_to;
    use super::*;
    use crate::seams::directory::PreviousSecret;
    use crate::verify::{StandardHeaders, verify_signature, verify_standard_webhook};

    const NOW: Timestamp = Timestamp::from_millis(1_729_866_000_123);
    const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NEW: &str = "the next secret";

    fn made(secret: Option<&str>, extras: &Extras<'_>) -> HeaderMap {
        let webhook = Webhook { secret: secret.map(Secret::new), ..webhook_to("https://crm.example/") };
        let request = AttemptRequest {
            webhook: &webhook,
            delivery: &DeliveryId::generate(NOW),
            event_type: &EventType::CALL_INCOMING,
            attempt: 2,
            body: Bytes::from_static(b"{}"),
            now: NOW,
        };
        headers(&request, extras).expect("legal")
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    fn verifies(headers: &HeaderMap, secret: &str) -> bool {
        let standard = StandardHeaders {
            id: text(headers, "webhook-id").expect("there"),
            timestamp: text(headers, "webhook-timestamp").expect("there"),
            signature: text(headers, "webhook-signature").expect("there"),
        };
        verify_standard_webhook(standard, b"{}", secret, NOW).is_ok()
    }

    #[test]
    fn outside_rotation_one_secret_signs() {
        let headers = made(Some(NEW), &Extras::default());
        assert_eq!(text(&headers, "x-webhook-id"), Some("42"));
        assert_eq!(text(&headers, "x-webhook-attempt"), Some("2"));
        assert_eq!(text(&headers, "webhook-timestamp"), Some("1729866000"));
        assert!(verify_signature(b"{}", text(&headers, "x-webhook-signature").expect("there"), NEW));
        assert!(verifies(&headers, NEW) && !verifies(&headers, OLD));
        assert_eq!((text(&headers, "x-webhook-signature-new"), headers.len()), (None, 9));
    }

    #[test]
    fn during_rotation_both_secrets_sign() {
        let old = Secret::new(OLD);
        let headers = made(Some(NEW), &Extras { previous_secret: Some(&old), ..Extras::default() });
        assert!(verify_signature(b"{}", text(&headers, "x-webhook-signature").expect("there"), OLD));
        assert!(verify_signature(b"{}", text(&headers, "x-webhook-signature-new").expect("there"), NEW));
        assert!(verifies(&headers, OLD) && verifies(&headers, NEW) && !verifies(&headers, "neither"));
        assert_eq!(text(&headers, "webhook-signature").expect("there").split(' ').count(), 2);
    }

    #[test]
    fn without_a_secret_nothing_is_signed_whatever_was_before() {
        let old = Secret::new(OLD);
        for secret in [None, Some("")] {
            let headers = made(secret, &Extras { previous_secret: Some(&old), ..Extras::default() });
            assert!(headers.keys().all(|name| !name.as_str().contains("signature")), "{headers:?}");
        }
        let empty = Secret::new("");
        let headers = made(Some(NEW), &Extras { previous_secret: Some(&empty), ..Extras::default() });
        assert!(text(&headers, "x-webhook-signature-new").is_none(), "nobody signs with an empty secret");
    }

    #[test]
    fn a_reserved_header_of_a_row_changed_by_hand_is_left_out() {
        let reserved = ["Content-Type", "X-Webhook-Signature", "x-webhook-anything", "Webhook-Id", "Host", "TE"];
        let header = |name: &str| CustomHeader { name: name.to_owned(), value: Secret::new("theirs") };
        let mut webhook = webhook_to("https://crm.example/");
        webhook.options.headers = reserved.into_iter().chain(["Authorization"]).map(header).collect();
        let headers = made(None, &Extras::of(&webhook, NOW));
        assert_eq!(text(&headers, "authorization"), Some("theirs"));
        assert_eq!(headers.values().filter(|value| *value == "theirs").count(), 1, "{headers:?}");
        assert_eq!(text(&headers, "content-type"), Some("application/json"));
    }

    #[test]
    fn a_registration_brings_its_headers_and_its_former_secret_for_a_while() {
        let header = |name: &str, value: &str| CustomHeader { name: name.to_owned(), value: Secret::new(value) };
        let mut webhook = webhook_to("https://crm.example/");
        webhook.options.headers = vec![header("X-Api-Key", "k"), header("bad name", "x"), header("X-Zone", "a\nb")];
        webhook.previous_secret = Some(PreviousSecret { secret: Secret::new(OLD), valid_until: NOW });
        let before = Timestamp::from_millis(NOW.as_millis() - 1);
        let extras = Extras::of(&webhook, before);
        assert_eq!(extras.custom, [(HeaderName::from_static("x-api-key"), HeaderValue::from_static("k"))]);
        assert!(extras.custom[0].1.is_sensitive(), "it prints as such");
        assert_eq!(extras.previous_secret.map(Secret::reveal), Some(OLD));
        assert_eq!(Extras::of(&webhook, NOW).previous_secret, None, "the while is over");
    }
}
