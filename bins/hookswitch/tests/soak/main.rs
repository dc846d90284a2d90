//! The long must-holds of a whole node: run by `cargo xtask soak`, minutes rather than seconds.

mod cluster;
mod crashes;
mod crowd;
mod stage;
mod stalled;
mod webhooks;
