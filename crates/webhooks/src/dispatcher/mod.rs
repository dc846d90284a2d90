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
mod breaker_states;
mod disabled_notices;
mod fair_queue;
mod inbox;
mod leaser;
mod maintenance;
mod poller;
mod scheduler;
mod settler;
mod slots;
mod token_bucket;
mod webhook_queue;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hookswitch_protocol::NodeId;
use hookswitch_runtime::{Clock, Scope};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use breaker::{BreakerRule, BreakerState};
pub(crate) use breaker_states::BreakerStates;
pub(crate) use disabled_notices::DisabledNotices;
pub(crate) use inbox::SchedulerInbox;

use crate::config::WebhookConfig;
use crate::counters::Counters;
use crate::ledger::DeliveryLedger;
use crate::log::AttemptLog;
use crate::retry_policy::{Jitter, RetryPolicy};
use crate::sender::Sender;
use crate::table::MatchTable;
use crate::webhooks::Inner;

/// What the tasks share.
struct Shared {
    config: WebhookConfig,
    node: NodeId,
    ledger: Arc<dyn DeliveryLedger>,
    log: Arc<dyn AttemptLog>,
    table: Arc<MatchTable>,
    retry_policy: RetryPolicy,
    breakers: Arc<BreakerStates>,
    disabled_notices: Arc<DisabledNotices>,
    sender: Sender,
    inbox: Arc<SchedulerInbox>,
    counters: Arc<Counters>,
    clock: Clock,
    scope: Scope,
    /// Tripped when the grace for running attempts is over.
    cut: CancellationToken,
    /// Finished attempts that wait since the ledger could not take them.
    n_held: AtomicU64,
}

/// Starts the four tasks in the facade's scope.
pub(crate) fn start(config: WebhookConfig, node: NodeId, inner: &Inner) {
    let shared = Arc::new(Shared {
        node,
        ledger: Arc::clone(&inner.seams.ledger),
        log: Arc::clone(&inner.seams.log),
        table: Arc::clone(&inner.table),
        retry_policy: RetryPolicy::new(config.retry_after_cap, Jitter::seeded(seed())),
        breakers: Arc::clone(&inner.breakers),
        disabled_notices: Arc::clone(&inner.disabled_notices),
        sender: inner.sender.clone(),
        inbox: Arc::clone(&inner.inbox),
        counters: Arc::clone(&inner.counters),
        clock: inner.clock.clone(),
        scope: inner.scope.clone(),
        cut: CancellationToken::new(),
        n_held: AtomicU64::new(0),
        config,
    });
    let (ended, to_settle) = mpsc::channel(shared.config.unsettled.max(1));
    let scope = &shared.scope;
    scope.spawn("webhook settler", settler::run(Arc::clone(&shared), to_settle));
    scope.spawn("webhook leaser", leaser::run(Arc::clone(&shared), ended));
    scope.spawn("webhook poller", poller::run(Arc::clone(&shared)));
    scope.spawn("webhook maintenance", maintenance::run(Arc::clone(&shared)));
}

/// Differs from process to process, which is all that jitter needs.
fn seed() -> u64 {
    RandomState::new().hash_one(0_u8)
}
