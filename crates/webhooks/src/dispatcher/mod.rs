//! Deliveries: lease what is due, send it, settle what came of it.
//!
//! Four tasks. The *watcher* asks the ledger where work waits, for what nobody told us of: retries
//! coming due, work of dead nodes, rows of other processes. The *leaser* plans slots ([`lanes`]),
//! leases exactly what fits, and starts one task per attempt. The *settler* collects finished
//! attempts and settles them in batches; while the database is away it holds them, and because an
//! attempt keeps its slot until the settler took it, nothing new is leased beyond that bound. The
//! *janitor* sweeps expired leases and purges old rows. In the steady state a batch of deliveries
//! costs one lease call and one finish call.

mod agenda;
mod attempt;
mod janitor;
mod lanes;
mod leaser;
mod settler;
mod watcher;

use std::sync::Arc;

use hookswitch_protocol::NodeId;
use hookswitch_runtime::{Clock, Scope};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) use agenda::Agenda;

use crate::config::WebhookConfig;
use crate::counters::Counters;
use crate::ledger::DeliveryLedger;
use crate::sender::Sender;
use crate::webhooks::Inner;

/// What the tasks share.
struct Shared {
    config: WebhookConfig,
    node: NodeId,
    ledger: Arc<dyn DeliveryLedger>,
    sender: Sender,
    agenda: Arc<Agenda>,
    counters: Arc<Counters>,
    clock: Clock,
    scope: Scope,
    /// Tripped when the grace for running attempts is over.
    cut: CancellationToken,
}

/// Starts the four tasks in the facade's scope.
pub(crate) fn start(config: WebhookConfig, node: NodeId, inner: &Inner) {
    let shared = Arc::new(Shared {
        node,
        ledger: Arc::clone(&inner.seams.ledger),
        sender: inner.sender.clone(),
        agenda: Arc::clone(&inner.agenda),
        counters: Arc::clone(&inner.counters),
        clock: inner.clock.clone(),
        scope: inner.scope.clone(),
        cut: CancellationToken::new(),
        config,
    });
    let (ended, to_settle) = mpsc::channel(shared.config.unsettled.max(1));
    let scope = &shared.scope;
    scope.spawn("webhook settler", settler::run(Arc::clone(&shared), to_settle));
    scope.spawn("webhook leaser", leaser::run(Arc::clone(&shared), ended));
    scope.spawn("webhook watcher", watcher::run(Arc::clone(&shared)));
    scope.spawn("webhook janitor", janitor::run(Arc::clone(&shared)));
}
