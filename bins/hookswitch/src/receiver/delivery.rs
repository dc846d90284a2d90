//! What one request says of itself, and whether it is genuine.

use hookswitch::protocol::{Secret, Timestamp};
use hookswitch::webhooks::{StandardHeaders, verify_signature, verify_standard_webhook};
use hookswitch_receiver::{Head, Request};
use serde::Serialize;

/// Whether a signature is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum SignatureCheck {
    #[serde(rename = "ok")]
    Good,
    #[serde(rename = "BAD")]
    Bad,
    /// Not signed.
    #[serde(rename = "none")]
    Missing,
    /// Signed, and there is no secret to check with.
    #[serde(rename = "unchecked")]
    Unchecked,
}

impl SignatureCheck {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Bad => "BAD",
            Self::Missing => "none",
            Self::Unchecked => "unchecked",
        }
    }
}

/// One request, as far as a line tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Delivery<'a> {
    pub(super) event: &'a str,
    pub(super) attempt: &'a str,
    pub(super) delivery: &'a str,
    pub(super) webhook: &'a str,
    pub(super) hex: SignatureCheck,
    pub(super) standard: SignatureCheck,
    pub(super) body_bytes: usize,
}

impl<'a> Delivery<'a> {
    pub(super) fn read(request: &'a Request, secret: Option<&Secret>, now: Timestamp) -> Self {
        let Request { head, body } = request;
        let text = |name| head.header(name).unwrap_or("-");
        Self {
            event: text("x-webhook-event"),
            attempt: text("x-webhook-attempt"),
            delivery: text("webhook-id"),
            webhook: text("x-webhook-id"),
            hex: hex(head, body, secret),
            standard: standard(head, body, secret, now),
            body_bytes: body.len(),
        }
    }
}

/// During a rotation the signature with the new secret stands in a header of its own.
fn hex(head: &Head<'_>, body: &[u8], secret: Option<&Secret>) -> SignatureCheck {
    let signatures = ["x-webhook-signature", "x-webhook-signature-new"].map(|name| head.header(name));
    match (secret, signatures) {
        (_, [None, None]) => SignatureCheck::Missing,
        (None, _) => SignatureCheck::Unchecked,
        (Some(secret), signatures) => {
            let is_right = |signature: &str| verify_signature(body, signature, secret.reveal());
            if signatures.into_iter().flatten().any(is_right) { SignatureCheck::Good } else { SignatureCheck::Bad }
        }
    }
}

fn standard(head: &Head<'_>, body: &[u8], secret: Option<&Secret>, now: Timestamp) -> SignatureCheck {
    let Some(signature) = head.header("webhook-signature") else { return SignatureCheck::Missing };
    let Some(secret) = secret else { return SignatureCheck::Unchecked };
    let text = |name| head.header(name).unwrap_or_default();
    let headers = StandardHeaders { id: text("webhook-id"), timestamp: text("webhook-timestamp"), signature };
    match verify_standard_webhook(headers, body, secret.reveal(), now) {
        Ok(()) => SignatureCheck::Good,
        Err(_) => SignatureCheck::Bad,
    }
}
