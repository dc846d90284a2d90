//! Which receiver a verdict is about.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::seams::directory::Webhook;

/// A webhook's receiver between two changes of its address: what one attempt showed about it says nothing about
/// another. Good within a process only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReceiverVersion {
    /// A digest: whoever changes a row by hand leaves the number as it is.
    url: u64,
    number: u32,
}

impl ReceiverVersion {
    pub(crate) fn of(webhook: &Webhook) -> Self {
        let mut url = DefaultHasher::new();
        webhook.url.hash(&mut url);
        Self { url: url.finish(), number: webhook.receiver_version }
    }
}
