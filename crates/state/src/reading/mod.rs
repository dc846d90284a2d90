//! Reading: what is shown, written once per distinct subscription.

mod body;
mod changes;
mod snapshot;
mod subscription;

pub use changes::{Changes, Reader};
pub use snapshot::PAGE_BYTES;
pub use subscription::{InvalidSubscription, MAX_QUEUES, StateSubscription};
