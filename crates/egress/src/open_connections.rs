//! How many connections are open, and whether there is room to keep one for the next request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts open connections, for everybody and for each requester. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct OpenConnections {
    most: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    n_open: usize,
    /// Of those who have any.
    by_requester: HashMap<Arc<str>, usize>,
}

impl OpenConnections {
    /// Beyond `most` of them none is kept after its request.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, counts: Arc::default() }
    }

    /// Counts one until it is dropped.
    pub(crate) fn open(&self, requester: &Arc<str>) -> OpenConnection {
        let mut counts = self.counts();
        counts.n_open += 1;
        *counts.by_requester.entry(Arc::clone(requester)).or_default() += 1;
        OpenConnection { all: self.clone(), requester: Arc::clone(requester) }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct OpenConnection {
    all: OpenConnections,
    requester: Arc<str>,
}

impl OpenConnection {
    /// Whether it may stay open when its request is done. A requester may have as many as are left for all others
    /// (Choudhury and Hahne's dynamic threshold), so that one of many hosts leaves room for everybody else's.
    pub(crate) fn may_be_kept(&self) -> bool {
        let counts = self.all.counts();
        let own = counts.by_requester.get(&self.requester).copied().unwrap_or_default();
        own <= self.all.most.saturating_sub(counts.n_open)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut counts = self.all.counts();
        counts.n_open -= 1;
        if let Some(own) = counts.by_requester.get_mut(&self.requester) {
            *own -= 1;
            if *own == 0 {
                counts.by_requester.remove(&self.requester);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_requester_keeps_up_to_half_and_leaves_room_for_others() {
        let connections = OpenConnections::new(8);
        let (one, other) = (Arc::from("one"), Arc::from("other"));
        let kept: Vec<_> = (0..4).map(|_| connections.open(&one)).collect();
        assert!(kept.iter().all(OpenConnection::may_be_kept));
        let fifth = connections.open(&one);
        assert!(!fifth.may_be_kept(), "five of eight, and three are left");
        drop(fifth);
        assert!(connections.open(&other).may_be_kept());
    }

    #[test]
    fn beyond_the_bound_nothing_is_kept_and_what_is_closed_counts_no_more() {
        let connections = OpenConnections::new(2);
        let requesters: [Arc<str>; 3] = [Arc::from("a"), Arc::from("b"), Arc::from("c")];
        let open: Vec<_> = requesters.iter().map(|requester| connections.open(requester)).collect();
        assert!(open.iter().all(|connection| !connection.may_be_kept()));
        drop(open);
        assert!(connections.open(&requesters[0]).may_be_kept());
        assert!(connections.counts().by_requester.is_empty(), "nobody without a connection is remembered");
    }
}
