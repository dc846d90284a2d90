//! Request ids: the caller's own if it sent a decent one, else ours.

use std::sync::atomic::{AtomicU64, Ordering};

use hookswitch_protocol::Timestamp;
use http::HeaderMap;

/// The longest id taken over from a caller, in bytes.
const OWN_ID_BYTES: usize = 64;

/// Makes request ids that are unique over restarts: the node's start and a running number.
#[derive(Debug)]
pub(crate) struct RequestIds {
    /// With the hyphen behind it.
    prefix: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(started: Timestamp) -> Self {
        Self { prefix: format!("{:x}-", started.as_millis()), next: AtomicU64::new(1) }
    }

    /// `X-Request-ID` when it is short and plain, so that a log line cannot be forged through it.
    pub(crate) fn for_request(&self, headers: &HeaderMap) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        let own = headers.get("x-request-id").and_then(|value| value.to_str().ok());
        match own.filter(|id| (1..=OWN_ID_BYTES).contains(&id.len()) && id.chars().all(is_plain)) {
            Some(id) => id.to_owned(),
            None => self.fresh(),
        }
    }

    fn fresh(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let n_digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
        let mut id = String::with_capacity(self.prefix.len() + n_digits as usize);
        id.push_str(&self.prefix);
        id.extend((0..n_digits).rev().filter_map(|at| char::from_digit((number >> (4 * at)) as u32 & 0xF, 16)));
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decent_id_is_kept_and_any_other_replaced() {
        let ids = RequestIds::new(Timestamp::from_millis(255));
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-id", value.parse().expect("legal value"));
            ids.for_request(&headers)
        };
        assert_eq!(with("abc-1"), "abc-1");
        assert_eq!(with("a b"), "ff-1");
        assert_eq!(with(&"x".repeat(65)), "ff-2");
        assert_eq!(ids.for_request(&HeaderMap::new()), "ff-3");
        ids.next.store(0xabc0, Ordering::Relaxed);
        assert_eq!(ids.for_request(&HeaderMap::new()), "ff-abc0");
    }
}
