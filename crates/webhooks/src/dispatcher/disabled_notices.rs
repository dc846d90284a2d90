//! Notices of webhooks that were switched off by us.

use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::seams::ledger::DisabledWebhook;

/// Those who want to hear of it.
#[derive(Debug)]
pub(crate) struct DisabledNotices {
    subscribers: Mutex<Vec<mpsc::Sender<DisabledWebhook>>>,
    /// Notices that may wait for each.
    capacity: usize,
}

impl DisabledNotices {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { subscribers: Mutex::default(), capacity: capacity.max(1) }
    }

    /// Another subscriber, who hears of what happens from here on.
    pub(crate) fn subscribe(&self) -> mpsc::Receiver<DisabledWebhook> {
        let (notices, feed) = mpsc::channel(self.capacity);
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(notices);
        feed
    }

    /// Sends to all; how many did not keep up and miss it.
    pub(super) fn send(&self, disabled: &DisabledWebhook) -> u64 {
        let mut n_missed = 0;
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|subscriber| match subscriber.try_send(disabled.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                n_missed += 1;
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
        n_missed
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::{TenantId, Timestamp, WebhookId};

    use super::*;
    use crate::health::DisableReason;
    use crate::options::WebhookOptions;
    use crate::seams::directory::{NewWebhook, Webhook};

    fn disabled(id: i64) -> DisabledWebhook {
        let new = NewWebhook {
            name: String::new(),
            url: String::new(),
            events: Vec::new(),
            secret: None,
            retry_count: 3,
            timeout_secs: 30,
            options: WebhookOptions::default(),
        };
        let tenant = TenantId::parse("t").expect("legal");
        let webhook = Webhook::new(WebhookId(id), tenant, new, Timestamp::from_millis(0));
        DisabledWebhook { webhook, reason: DisableReason::Gone }
    }

    #[tokio::test]
    async fn who_does_not_keep_up_misses_notices_and_who_left_is_forgotten() {
        let notices = DisabledNotices::new(1);
        let (mut slow, gone) = (notices.subscribe(), notices.subscribe());
        assert_eq!(notices.send(&disabled(1)), 0);
        drop(gone);
        assert_eq!(notices.send(&disabled(2)), 1, "the slow one only");
        assert_eq!(slow.recv().await, Some(disabled(1)));
        assert_eq!(notices.send(&disabled(3)), 0);
        assert_eq!(slow.recv().await, Some(disabled(3)));
        drop(notices);
        assert_eq!(slow.recv().await, None);
    }
}
