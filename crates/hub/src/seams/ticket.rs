//! What ties an event that comes back to the publisher that waits to hear whether it met its user.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Goes out with an event and comes back with it. Clones are the same ticket.
#[derive(Clone, Default)]
pub struct Ticket(Arc<Mutex<State>>);

#[derive(Debug, Default)]
enum State {
    /// The event is not back, and its publisher waits.
    #[default]
    Out,
    /// It is back: whether it met its user is told here.
    Back(oneshot::Receiver<bool>),
    /// The publisher does not wait any more. Whether it took the user for present.
    Left { is_present: bool },
}

/// How an event's publisher learns whether it met its user.
#[derive(Debug)]
pub(crate) enum Met {
    /// Told here.
    Told(oneshot::Receiver<bool>),
    /// The event is not back yet: as the user is here, or not.
    Taken(bool),
}

impl Ticket {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The event will not come back: it met nobody here.
    pub fn miss(&self) {
        let (nobody, outcome) = oneshot::channel();
        drop(nobody);
        // Where its publisher left it for its user, who came later than the event, there is nobody to keep it.
        let _left = self.come_back(outcome);
    }

    /// The publisher waits no longer for the event to come back: where it is not, its user counts as met if present.
    pub(crate) fn leave(&self, is_present: impl FnOnce() -> bool) -> Met {
        let mut state = self.state();
        match std::mem::take(&mut *state) {
            State::Back(outcome) => Met::Told(outcome),
            State::Out | State::Left { .. } => {
                let is_present = is_present();
                *state = State::Left { is_present };
                Met::Taken(is_present)
            }
        }
    }

    /// The event is back. Gives the outcome where the publisher has left and took the user for present: then it is to be
    /// kept for him should he be gone.
    pub(crate) fn come_back(&self, outcome: oneshot::Receiver<bool>) -> Option<oneshot::Receiver<bool>> {
        let mut state = self.state();
        match *state {
            State::Left { is_present } => Some(outcome).filter(|_| is_present),
            State::Out | State::Back(_) => {
                *state = State::Back(outcome);
                None
            }
        }
    }
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Ticket {}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_comes_second_learns_of_the_first() {
        let ticket = Ticket::default();
        let (met, outcome) = oneshot::channel();
        assert!(ticket.come_back(outcome).is_none(), "its publisher will ask");
        met.send(true).expect("it waits");
        let Met::Told(outcome) = ticket.leave(|| false) else { panic!("it is back") };
        assert_eq!(outcome.await, Ok(true));
        for is_present in [true, false] {
            let ticket = Ticket::default();
            assert!(matches!(ticket.leave(|| is_present), Met::Taken(taken) if taken == is_present));
            let to_be_kept = ticket.come_back(oneshot::channel().1).is_some();
            assert_eq!(to_be_kept, is_present, "whom it took for absent, the publisher has kept it for");
        }
    }
}
