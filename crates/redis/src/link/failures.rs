//! Commands that Redis refuses or does not answer: every one is counted, and each kind told once a minute for a
//! key, and for a few keys only.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fred::error::{Error, ErrorKind};
use tokio::time::Instant;

use crate::metrics::LinkMetrics;

/// How long a kind that was told for a key is only counted.
const QUIET: Duration = Duration::from_mins(1);

/// Keys for which a kind is told in that time: all of them may fail at once.
const KEYS_TOLD: usize = 10;

/// The class of what a replica refuses.
pub(super) const READ_ONLY: &str = "read_only";

/// What a failure can be, by the word with which Redis begins its answer; the word for people is the metric's label.
const REFUSALS: [(&str, &str); 8] = [
    ("WRONGTYPE", "wrong_type"),
    ("OOM", "out_of_memory"),
    ("NOPERM", "no_permission"),
    ("READONLY", READ_ONLY),
    ("NOREPLICAS", "too_few_replicas"),
    ("MISCONF", "persistence"),
    ("CLUSTERDOWN", "cluster_down"),
    ("NOAUTH", "authentication"),
];

/// What Redis says of itself and not of the command: soon it says otherwise.
const PASSING: [&str; 5] = ["LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN"];

/// Counts failed commands, and says when one is to be told.
#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    kinds: Mutex<HashMap<(&'static str, &'static str), Kind>>,
    pub(crate) metrics: LinkMetrics,
}

/// Failures of one operation in one way. Both are words of this program, so there are few.
#[derive(Debug)]
struct Kind {
    since: Instant,
    told: HashSet<String>,
    n_untold: u64,
}

impl FailureLog {
    /// A command failed. Logs it when this kind was not told for this key for a minute.
    pub(crate) fn note(&self, operation: &'static str, key: &str, error: &Error) {
        let class = class(error);
        self.metrics.failed_commands.inc(class);
        if let Some(n_untold) = self.tell_now(operation, class, key) {
            tracing::warn!(operation, key, class, n_untold, error = %error, "Redis did not carry out a command");
        }
    }

    /// When it is to be told: how many of its kind were not, since the last one that was.
    fn tell_now(&self, operation: &'static str, class: &'static str, key: &str) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Kind { since: Instant::now(), told: HashSet::new(), n_untold: 0 };
        let kind = kinds.entry((operation, class)).or_insert_with(new);
        if kind.since.elapsed() >= QUIET {
            kind.since = Instant::now();
            kind.told.clear();
        }
        if kind.told.len() >= KEYS_TOLD || !kind.told.insert(key.to_owned()) {
            kind.n_untold += 1;
            return None;
        }
        Some(std::mem::take(&mut kind.n_untold))
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
    let refusal = REFUSALS.iter().find(|(word, _)| details.contains(word)).map(|(_, class)| *class);
    refusal.unwrap_or(if is_answer(details) { "other" } else { "connection" })
}

/// Whether Redis answered that it does not do this one command: others may go through all the same.
pub(crate) fn is_refusal(error: &Error) -> bool {
    use ErrorKind::{Auth, InvalidArgument, InvalidCommand, Unknown};
    let is_passing = || PASSING.iter().any(|word| error.details().starts_with(word));
    matches!(error.kind(), Auth | InvalidArgument | InvalidCommand | Unknown)
        && is_answer(error.details())
        && !is_passing()
}

/// Whether these are words of Redis, which begin with one in capitals. Of the same kind as some of those are what the
/// client says of a command that was under way when its connection was given up.
fn is_answer(details: &str) -> bool {
    let word = details.split(' ').next().unwrap_or_default();
    !word.is_empty() && word.chars().all(|letter| letter.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_kind_is_told_once_a_minute_for_a_key_and_every_one_counted() {
        let log = FailureLog::default();
        let refused =
            Error::new(ErrorKind::Unknown, "WRONGTYPE Operation against a key, script: f, on @user_script:3.");
        for _ in 0..3 {
            log.note("renew the node's lease", "callcenter:nodes", &refused);
        }
        assert_eq!(log.metrics.failed_commands.get("wrong_type"), 3);
        let tell = |class, key: &str| log.tell_now("renew the node's lease", class, key);
        assert_eq!(tell("wrong_type", "callcenter:nodes"), None, "told already");
        assert_eq!(tell("timeout", "callcenter:nodes"), Some(0), "another kind");
        assert_eq!(tell("wrong_type", "another"), Some(3), "with those since the last that was told");
        let n_told = (0..100).filter(|n| tell("wrong_type", &n.to_string()).is_some()).count();
        assert_eq!(n_told, KEYS_TOLD - 2, "not for every key there is");
        tokio::time::advance(QUIET).await;
        assert_eq!(tell("wrong_type", "callcenter:nodes"), Some(100 - n_told as u64));
    }

    #[test]
    fn a_kind_is_the_word_of_redis() {
        let of = |kind, text: &'static str| class(&Error::new(kind, text));
        assert_eq!(of(ErrorKind::Unknown, "READONLY You can't write against a read only replica."), "read_only");
        assert_eq!(of(ErrorKind::Unknown, "OOM command not allowed when used memory > 'maxmemory'."), "out_of_memory");
        assert_eq!(of(ErrorKind::Auth, "NOPERM this user has no permissions to run 'evalsha'"), "no_permission");
        assert_eq!(of(ErrorKind::Timeout, "Request timed out."), "timeout");
        assert_eq!(of(ErrorKind::InvalidCommand, "ERR unknown command"), "other");
        assert_eq!(of(ErrorKind::Unknown, "channel closed"), "connection");
        let is_refused = |text: &'static str| is_refusal(&Error::new(ErrorKind::Unknown, text));
        assert!(is_refused("NOPERM this user has no permissions") && is_refused("ERR unknown command"));
        assert!(!is_refused("BUSY Redis is busy running a script.") && !is_refused("LOADING Redis is loading"));
        assert!(!is_refused("channel closed") && !is_refused("Client is not initialized."));
    }
}
