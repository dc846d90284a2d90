//! What follows of a change in a tenant's order.

use hookswitch_hub::Received;

/// What follows.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// The next events.
    Give(Vec<Received>),
    /// So many events are lost.
    Missed(u64),
    /// Nobody knows what came between this epoch and the one before.
    NewEpoch,
}

/// What is to be done, in order.
pub(crate) type Steps = Vec<Step>;

/// The next event.
pub(crate) fn give(received: Received, steps: &mut Steps) {
    match steps.last_mut() {
        Some(Step::Give(events)) => events.push(received),
        _ => steps.push(Step::Give(vec![received])),
    }
}
