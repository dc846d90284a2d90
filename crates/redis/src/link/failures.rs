//! Commands that Redis refuses or does not answer: every one is counted, and each kind told once a minute,
//! with the keys that were asked for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fred::error::{Error, ErrorKind};
use tokio::time::Instant;

use crate::metrics::LinkMetrics;

/// How long a kind that was told is only counted.
const QUIET: Duration = Duration::from_mins(1);

/// What a failure can be, by the word with which Redis begins its answer; the word for people is the metric's label.
const REFUSALS: [(&str, &str); 8] = [
    ("WRONGTYPE", "wrong_type"),
    ("OOM", "out_of_memory"),
    ("NOPERM", "no_permission"),
    ("READONLY", "read_only"),
    ("NOREPLICAS", "too_few_replicas"),
    ("MISCONF", "persistence"),
    ("CLUSTERDOWN", "cluster_down"),
    ("NOAUTH", "authentication"),
];

/// Every label that a failure can have.
pub(crate) const CLASSES: [&str; 11] = [
    "wrong_type",
    "out_of_memory",
    "no_permission",
    "read_only",
    "too_few_replicas",
    "persistence",
    "cluster_down",
    "authentication",
    "timeout",
    "connection",
    "other",
];

/// Counts failed commands, and says when one is to be told.
#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    kinds: Mutex<HashMap<(&'static str, &'static str), Kind>>,
    pub(crate) metrics: LinkMetrics,
}

/// Failures of one operation in one way. Both are words of this program, so there are few.
#[derive(Debug)]
struct Kind {
    told_at: Instant,
    n_untold: u64,
}

impl FailureLog {
    /// A command failed. Logs it when this kind was not told for a minute.
    pub(crate) fn note(&self, operation: &'static str, key: &str, error: &Error) {
        let class = class(error);
        self.metrics.failed_commands.inc(class);
        if let Some(n_untold) = self.tell_now(operation, class) {
            tracing::warn!(operation, key, class, n_untold, error = %error, "Redis did not carry out a command");
        }
    }

    /// When it is to be told: how many of its kind were not, since the last one that was.
    fn tell_now(&self, operation: &'static str, class: &'static str) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match kinds.get_mut(&(operation, class)) {
            Some(kind) if now - kind.told_at < QUIET => {
                kind.n_untold += 1;
                None
            }
            Some(kind) => {
                kind.told_at = now;
                Some(std::mem::take(&mut kind.n_untold))
            }
            None => {
                kinds.insert((operation, class), Kind { told_at: now, n_untold: 0 });
                Some(0)
            }
        }
    }
}

/// What kind of failure it is. A script's failure has the word of the command in it that was refused.
pub(crate) fn class(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Timeout => return "timeout",
        ErrorKind::IO | ErrorKind::Canceled | ErrorKind::Backpressure => return "connection",
        _ => {}
    }
    let details = error.details();
    REFUSALS.iter().find(|(word, _)| details.contains(word)).map_or("other", |(_, class)| class)
}

/// Whether Redis answered that it does not do this one command: others may go through all the same.
pub(crate) fn is_refusal(error: &Error) -> bool {
    use ErrorKind::{Auth, InvalidArgument, InvalidCommand, Unknown};
    matches!(error.kind(), Auth | InvalidArgument | InvalidCommand | Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_kind_is_told_once_a_minute_and_every_one_counted() {
        let log = FailureLog::default();
        let refused =
            Error::new(ErrorKind::Unknown, "WRONGTYPE Operation against a key, script: f, on @user_script:3.");
        for _ in 0..3 {
            log.note("renew the node's lease", "callcenter:nodes", &refused);
        }
        assert_eq!(log.metrics.failed_commands.get("wrong_type"), 3);
        assert_eq!(log.tell_now("renew the node's lease", "wrong_type"), None, "told already");
        assert_eq!(log.tell_now("renew the node's lease", "timeout"), Some(0), "another kind");
        tokio::time::advance(QUIET).await;
        assert_eq!(log.tell_now("renew the node's lease", "wrong_type"), Some(3), "with those since the first");
    }

    #[test]
    fn a_kind_is_the_word_of_redis() {
        let of = |kind, text: &'static str| class(&Error::new(kind, text));
        assert_eq!(of(ErrorKind::Unknown, "READONLY You can't write against a read only replica."), "read_only");
        assert_eq!(of(ErrorKind::Unknown, "OOM command not allowed when used memory > 'maxmemory'."), "out_of_memory");
        assert_eq!(of(ErrorKind::Auth, "NOPERM this user has no permissions to run 'evalsha'"), "no_permission");
        assert_eq!(of(ErrorKind::Timeout, "Request timed out."), "timeout");
        assert_eq!(of(ErrorKind::InvalidCommand, "ERR unknown command"), "other");
    }
}
