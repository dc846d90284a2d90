//! The pages that tell: who is connected, whether the node is well, what it has counted.

mod console;
#[cfg(test)]
pub(crate) mod described;
mod descriptions;
mod health;
mod metrics;
mod nodes;
mod online_lists;
mod past_events;
mod presence;
mod rates;
mod trace;

pub(crate) use console::console;
pub(crate) use descriptions::{ASYNCAPI, ERRORS, OPENAPI};
pub use health::{Health, NodeQueue, Probe, ProbeCheck, Severity};
pub(crate) use health::{Readiness, healthy};
pub(crate) use metrics::metrics;
pub(crate) use nodes::{nodes, start_reporting};
pub(crate) use online_lists::OnlineLists;
pub(crate) use past_events::past_events;
pub(crate) use presence::{online_users, socket_stats, user_connections, user_online};
pub(crate) use rates::Rates;
pub(crate) use trace::trace;
