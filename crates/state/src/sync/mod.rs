//! Sources say what is true: what a sync says, what has to be published for it, and how it enters.

mod enter;
mod plan;
mod read;
mod reported;

pub use plan::Plan;
pub use read::{InvalidSync, MAX_SYNC_BYTES};
pub use reported::Sync;
