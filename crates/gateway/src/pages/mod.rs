//! The pages that tell: who is connected, whether the node is well, what it has counted.

mod health;
mod metrics;
mod online_lists;
mod presence;

pub use health::{Health, Probe, ProbeCheck, Weight};
pub(crate) use health::{Readiness, healthy};
pub(crate) use metrics::metrics;
pub(crate) use online_lists::OnlineLists;
pub(crate) use presence::{online_users, socket_stats, user_online};
