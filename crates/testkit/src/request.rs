//! One HTTP request as a receiver saw it, and the signature checks a careful receiver makes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hookswitch_receiver::Request;
use serde_json::Value;
use sha2::Sha256;
use tokio::time::Instant;

/// A request, kept as it came over the wire.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// When its body was complete.
    pub at: Instant,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Header names and values in order, names as they were spelt.
    pub headers: Vec<(String, String)>,
    /// The exact body.
    pub body: Bytes,
}

impl From<Request> for ReceivedRequest {
    /// Has arrived now.
    fn from(Request { head, body }: Request) -> Self {
        let headers = head.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { at: Instant::now(), method: head.method().to_owned(), path: head.path().to_owned(), headers, body }
    }
}

impl ReceivedRequest {
    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The `webhook-id` header: the same on every attempt of one delivery.
    ///
    /// # Panics
    /// When it is missing.
    pub fn delivery_id(&self) -> &str {
        self.header("webhook-id").expect("webhook-id is present")
    }

    /// Whether `X-Webhook-Signature` is the hex HMAC of the raw body under this secret.
    pub fn has_hex_signature(&self, secret: &str) -> bool {
        self.header("X-Webhook-Signature") == Some(&hex::encode(hmac(secret.as_bytes(), &self.body)))
    }

    /// Whether one of the Standard Webhooks signatures is right for this secret.
    pub fn has_standard_signature(&self, secret: &str) -> bool {
        let key = match secret.strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).expect("a whsec_ secret in base64"),
            None => secret.as_bytes().to_vec(),
        };
        let (Some(id), Some(time)) = (self.header("webhook-id"), self.header("webhook-timestamp")) else {
            return false;
        };
        let content = [id.as_bytes(), b".", time.as_bytes(), b".", &self.body].concat();
        let wanted = format!("v1,{}", STANDARD.encode(hmac(&key, &content)));
        self.header("webhook-signature").is_some_and(|all| all.split(' ').any(|one| one == wanted))
    }
}

fn hmac(key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(content);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)], body: &'static str) -> ReceivedRequest {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let body = Bytes::from_static(body.as_bytes());
        ReceivedRequest { at: Instant::now(), method: "POST".into(), path: "/".into(), headers, body }
    }

    /// The well-known HMAC example: key "key", the quick brown fox.
    #[test]
    fn the_hex_signature_is_checked_over_the_raw_body() {
        let signature = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
        let good = request(&[("x-webhook-signature", signature)], "The quick brown fox jumps over the lazy dog");
        assert!(good.has_hex_signature("key"));
        assert!(!good.has_hex_signature("other"));
        assert!(!request(&[("x-webhook-signature", signature)], "The quick").has_hex_signature("key"));
    }

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn the_standard_signature_is_the_libraries() {
        let good = request(
            &[
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", "1614265330"),
                ("webhook-signature", "v1,bm9ldHU5ZmV2ZXI= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            ],
            r#"{"test": 2432232314}"#,
        );
        assert!(good.has_standard_signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        assert!(!good.has_standard_signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx"));
    }
}
