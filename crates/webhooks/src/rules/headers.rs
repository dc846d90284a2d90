//! Custom headers: which names and values may stand in a request of ours.

use std::collections::BTreeMap;

use hookswitch_protocol::Secret;

use super::invalid::InvalidWebhook;
use crate::options::{HeaderChange, WebhookOptions};

/// What is shown in place of a custom header's value; sent back, it keeps the value there is.
pub const HEADER_MASK: &str = "***";

/// Most headers of one webhook.
pub(crate) const MAX_HEADERS: usize = 20;
const NAME_BYTES: usize = 100;
const VALUE_BYTES: usize = 1_024;
/// Names and values of one webhook together; receivers' servers refuse heads of 8 to 16 KiB.
const ALL_BYTES: usize = 8 * 1_024;

/// Ours, or the connection's own; another value would break the request, the proof of who sent it, or
/// the readability of the answer in the log.
const RESERVED: [&str; 13] = [
    "host",
    "accept-encoding",
    "content-encoding",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "user-agent",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
];
const RESERVED_PREFIXES: [&str; 3] = ["proxy-", "x-webhook-", "webhook-"];

/// Whether a header of this name, in lower case, is not a webhook's to set.
pub(crate) fn is_reserved(lower: &str) -> bool {
    RESERVED.contains(&lower) || RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
}

/// Checks a new list; `present` is what the webhook has. Values never stand in an error.
pub(super) fn check(
    headers: BTreeMap<String, Secret>,
    present: &WebhookOptions,
) -> Result<Vec<HeaderChange>, InvalidWebhook> {
    if headers.len() > MAX_HEADERS {
        return Err(wrong(format!("has {} entries, at most {MAX_HEADERS} are allowed", headers.len())));
    }
    let mut changes: Vec<HeaderChange> = Vec::with_capacity(headers.len());
    let mut n_bytes = 0;
    for (name, value) in headers {
        check_name(&name)?;
        if changes.iter().any(|earlier| earlier.name.eq_ignore_ascii_case(&name)) {
            return Err(wrong(format!("name {name:?} stands there twice, upper and lower case being the same")));
        }
        let (value, length) = value_of(&name, value, present)?;
        n_bytes += name.len() + length;
        changes.push(HeaderChange { name, value });
    }
    if n_bytes > ALL_BYTES {
        return Err(wrong(format!("have {n_bytes} bytes of names and values, at most {ALL_BYTES} are allowed")));
    }
    Ok(changes)
}

/// The new value, `None` to keep the present one, and how long it is.
fn value_of(name: &str, value: Secret, present: &WebhookOptions) -> Result<(Option<Secret>, usize), InvalidWebhook> {
    if value.reveal() == HEADER_MASK {
        let kept = present.header(name).ok_or_else(|| {
            wrong(format!("entry {name:?} is \"{HEADER_MASK}\", which keeps a value, but there is none of this name"))
        })?;
        return Ok((None, kept.reveal().len()));
    }
    check_value(name, value.reveal())?;
    let length = value.reveal().len();
    Ok((Some(value), length))
}

fn check_name(name: &str) -> Result<(), InvalidWebhook> {
    let lower = name.to_ascii_lowercase();
    // RFC 9110, section 5.6.2.
    let is_token_char = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() {
        Err(wrong("hold an empty name"))
    } else if name.len() > NAME_BYTES {
        Err(wrong(format!("name of {} bytes is too long, at most {NAME_BYTES} are allowed", name.len())))
    } else if let Some(bad) = name.chars().find(|c| !is_token_char(*c)) {
        Err(wrong(format!("name {name:?} holds {bad:?}; letters, digits and !#$%&'*+-.^_`|~ are allowed")))
    } else if is_reserved(&lower) {
        Err(wrong(format!("name {name:?} is reserved for the request itself")))
    } else {
        Ok(())
    }
}

fn check_value(name: &str, value: &str) -> Result<(), InvalidWebhook> {
    let is_allowed = |c: char| c.is_ascii_graphic() || c == ' ';
    if value.is_empty() {
        Err(wrong(format!("entry {name:?} must not be empty")))
    } else if value.len() > VALUE_BYTES {
        Err(wrong(format!("entry {name:?} has {} bytes, at most {VALUE_BYTES} are allowed", value.len())))
    } else if !value.chars().all(is_allowed) {
        Err(wrong(format!("entry {name:?} holds characters other than visible ASCII and blanks")))
    } else if value.trim() != value {
        // Receivers drop them, and what is compared there is another value.
        Err(wrong(format!("entry {name:?} must not begin or end with a blank")))
    } else {
        Ok(())
    }
}

fn wrong(problem: impl Into<String>) -> InvalidWebhook {
    InvalidWebhook::new("headers", problem)
}
