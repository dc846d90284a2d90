//! How a webhook's receiver has been doing, as the directory remembers it.

use std::time::Duration;

use hookswitch_protocol::Timestamp;

use crate::labels::labels;

/// What is remembered of a receiver between attempts, on every node alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebhookHealth {
    /// The first failed attempt since the last success; `None` while all is well.
    pub failing_since: Option<Timestamp>,
    /// Failed attempts since the last success.
    pub n_failures: u32,
    /// Set while it is switched off by us.
    pub disabled: Option<Disabled>,
}

/// Why and when a webhook was switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disabled {
    /// Why.
    pub reason: DisableReason,
    /// When.
    pub at: Timestamp,
}

/// Why a webhook was switched off by us. Switched off by its owner, it has no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisableReason {
    /// Nothing but failures for a long time, see [`DisableRule`].
    Failing,
    /// The receiver said 410 Gone.
    Gone,
}

labels!(DisableReason { Failing => "failing", Gone => "gone" });

/// When a webhook is switched off because its receiver only fails: both bounds are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisableRule {
    /// No success for this long since the first failure; 5 days by default.
    pub after: Duration,
    /// And at least so many failed attempts in a row; 10 by default, so that one that is seldom used
    /// is not switched off over two bad moments.
    pub n_failures: u32,
}

impl Default for DisableRule {
    fn default() -> Self {
        Self { after: Duration::from_hours(5 * 24), n_failures: 10 }
    }
}

impl WebhookHealth {
    /// Takes in the end of one attempt.
    pub fn note(&mut self, is_success: bool, at: Timestamp) {
        if is_success {
            (self.failing_since, self.n_failures) = (None, 0);
        } else {
            self.failing_since.get_or_insert(at);
            self.n_failures = self.n_failures.saturating_add(1);
        }
    }

    /// Whether the rule says that it is enough.
    pub fn is_hopeless(&self, rule: &DisableRule, now: Timestamp) -> bool {
        self.n_failures >= rule.n_failures && self.failing_since.is_some_and(|since| now.since(since) >= rule.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_both_time_and_number() {
        let rule = DisableRule { after: Duration::from_secs(10), n_failures: 3 };
        let at = |secs: i64| Timestamp::from_millis(secs * 1_000);
        let mut health = WebhookHealth::default();
        for secs in [0, 5] {
            health.note(false, at(secs));
        }
        assert!(!health.is_hopeless(&rule, at(100)), "two failures are few");
        health.note(false, at(9));
        assert!(!health.is_hopeless(&rule, at(9)), "nine seconds are short");
        assert!(health.is_hopeless(&rule, at(10)));
        health.note(true, at(11));
        assert_eq!(health, WebhookHealth::default());
    }

    #[test]
    fn labels_are_read_as_they_are_written() {
        for reason in [DisableReason::Failing, DisableReason::Gone] {
            assert_eq!(DisableReason::parse(reason.label()), Some(reason));
        }
        assert_eq!(DisableReason::parse("else"), None);
    }
}
