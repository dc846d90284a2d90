//! Deliveries: lease what is due, send it, settle what came of it.
//!
//! Four tasks. The *poller* asks the ledger where work waits, for what no signal came of: retries
//! coming due, work of dead nodes, rows of other processes. The *leaser* asks the [`scheduler`],
//! leases what fits and a little ahead for quick receivers, and starts one task per attempt; while the
//! ledger is asked, what is leased goes on starting. The *settler* collects finished
//! attempts and settles them in batches; while the database is away it holds them, and because an
//! attempt keeps its slot until there is room for its result, nothing new is leased beyond that bound.
//! *Maintenance* sweeps expired leases, counts the living nodes, and purges old rows. In the steady
//! state a batch of deliveries costs one lease call and one finish call.
//!
//! Receivers that only fail are left alone for a while ([`breaker`]); limits per webhook and tenant
//! ([`token_bucket`]) are kept before anything is leased, so waiting uses up no attempts.

mod attempt;
mod breaker;
pub(crate) mod breaker_states;
pub(crate) mod disabled_notices;
mod effects;
mod fair_queue;
pub(crate) mod inbox;
mod leaser;
mod maintenance;
mod poller;
mod scheduler;
mod settler;
mod slots;
mod tenant_slots;
mod token_bucket;
mod webhook_queue;

use std::sync::Arc;

use tokio::sync::mpsc;

pub use breaker::BreakerState;

use crate::context::Context;

/// Starts the four tasks in the context's scope.
pub(crate) fn start(context: &Arc<Context>) {
    let (ended, to_settle) = mpsc::channel(context.config.unsettled.max(1));
    let scope = &context.scope;
    scope.spawn("webhook settler", settler::run(Arc::clone(context), to_settle));
    scope.spawn("webhook leaser", leaser::run(Arc::clone(context), ended));
    scope.spawn("webhook poller", poller::run(Arc::clone(context)));
    scope.spawn("webhook maintenance", maintenance::run(Arc::clone(context)));
}
