//! What is wrong with masters of a cluster, each by itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The masters that do not answer as the others do.
#[derive(Debug, Default)]
pub(super) struct ShardStates {
    masters: Mutex<BTreeMap<String, ShardState>>,
    /// Why shard channels are not listened to, if some are not.
    deaf: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct ShardState {
    n_misses: u32,
    problem: Option<String>,
}

impl ShardStates {
    fn masters(&self) -> MutexGuard<'_, BTreeMap<String, ShardState>> {
        self.masters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A probe through this master came back, or why it did not. How many in a row have not.
    pub(super) fn note(&self, server: &str, problem: Option<String>, patience: u32) -> u32 {
        let mut states = self.masters();
        let Some(problem) = problem else {
            if states.remove(server).is_some_and(|state| state.problem.is_some()) {
                tracing::info!(server, "a master of the cluster takes events again");
            }
            return 0;
        };
        let state = states.entry(server.to_owned()).or_default();
        state.n_misses += 1;
        if state.n_misses >= patience {
            if state.problem.is_none() {
                tracing::warn!(server, problem, "a master of the cluster takes no events");
            }
            state.problem = Some(problem);
        }
        state.n_misses
    }

    pub(super) fn note_deaf(&self, problem: Option<String>) {
        *self.deaf.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Whether nothing is wrong with this one, as far as was noted.
    pub(super) fn is_well(&self, server: &str) -> bool {
        self.masters().get(server).is_none_or(|state| state.problem.is_none())
    }

    /// Forgets all but these.
    pub(super) fn keep(&self, servers: &[String]) {
        self.masters().retain(|server, _| servers.contains(server));
    }

    /// Whether every master takes events and is listened to, as far as was noted.
    pub(super) fn check(&self) -> Result<(), String> {
        let states = self.masters();
        let of = |(server, state): (&String, &ShardState)| Some(format!("{server}: {}", state.problem.as_ref()?));
        let deaf = self.deaf.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let problems: Vec<String> = states.iter().filter_map(of).chain(deaf).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_is_named_once_it_missed_often_enough_until_it_answers() {
        let states = ShardStates::default();
        let miss = |server| states.note(server, Some("no answer".to_owned()), 2);
        assert_eq!((miss("a"), states.check()), (1, Ok(())));
        assert!(states.is_well("a"));
        assert_eq!((miss("a"), states.check()), (2, Err("a: no answer".to_owned())));
        assert!(!states.is_well("a") && states.is_well("b"));
        miss("b");
        miss("b");
        states.note("a", None, 2);
        assert_eq!(states.check(), Err("b: no answer".to_owned()));
        states.keep(&["a".to_owned()]);
        states.note_deaf(Some("deaf".to_owned()));
        assert_eq!(states.check(), Err("deaf".to_owned()));
    }
}
