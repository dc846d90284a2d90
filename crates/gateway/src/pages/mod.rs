//! The pages that tell: who is connected, whether the node is well, what it has counted.

#[cfg(test)]
pub(crate) mod described;
mod descriptions;
mod health;
mod metrics;
mod presence;

pub(crate) use descriptions::{ASYNCAPI, ERRORS, OPENAPI};
pub use health::{Health, Probe, ProbeCheck, Weight};
pub(crate) use health::{Readiness, healthy};
pub(crate) use metrics::metrics;
pub(crate) use presence::{online_users, socket_stats, user_online};
