//! The facade: everything the rest of the house asks of webhooks.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hookswitch_egress::{AddressGuard, AddressPolicy};
use hookswitch_protocol::{Chain, EventId, EventType, NodeId, Payload, TenantId, Timestamp, WebhookId};
use hookswitch_runtime::metrics::{Registry, register_gauge};
use hookswitch_runtime::{Clock, FairSemaphore, Scope, Sharing};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::WebhookConfig;
use crate::context::Context;
use crate::dispatcher::breaker_states::BreakerStates;
use crate::dispatcher::disabled_notices::DisabledNotices;
use crate::dispatcher::inbox::SchedulerInbox;
use crate::dispatcher::{self, BreakerState};
use crate::error::StartError;
use crate::match_table::MatchTable;
use crate::metrics::{Metrics, WebhookMetrics};
use crate::retry_policy::{Jitter, RetryPolicy};
use crate::seams::WebhookSeams;
use crate::seams::directory::DirectoryError;
use crate::seams::ledger::{DeliveryTarget, DisabledWebhook, Fingerprint, LedgerError, NewDeliveries, Seen};
use crate::sender::Sender;

/// Test deliveries running at once on this node, half of them of one tenant; more are refused.
const TESTS: u64 = 32;

/// Resends running at once on this node, half of them of one tenant, each in steps that others' work can
/// come between; more are refused.
const RESENDS: u64 = 8;

/// Bytes of bodies of attempts that have ended and are not settled; beyond it attempts keep their slots. One
/// tenant may hold three quarters.
const RESULTS_BYTES: u64 = 64 * 1024 * 1024;

/// How tests and resends are shared. Only the second look after what was missed waits for a resend, once per webhook
/// that is switched on.
const SHARING: Sharing = Sharing { alpha: 1, waiting: 1_000 };

/// Webhooks: registrations, matching, and deliveries made in the background. Clones are the same.
#[derive(Debug, Clone)]
pub struct Webhooks(pub(crate) Arc<Context>);

impl Webhooks {
    /// Gives back the leases of this node's former self, reads the registrations, and starts the
    /// deliveries as tasks of `scope`. On the scope's soft token nothing new is sent, running attempts
    /// get [`WebhookConfig::stop_grace`], and what was cut off is given back.
    ///
    /// # Errors
    /// [`StartError`] when the keepers do not answer.
    pub async fn start(
        config: WebhookConfig,
        policy: AddressPolicy,
        seams: WebhookSeams,
        node: NodeId,
        clock: Clock,
        scope: Scope,
    ) -> Result<Self, StartError> {
        let networks = policy.allowed_networks();
        if policy.is_http_allowed() || !networks.is_empty() {
            tracing::warn!(http = policy.is_http_allowed(), ?networks, "webhooks may reach beyond public https");
        }
        let n_reclaimed = seams.ledger.reclaim(&node).await.map_err(StartError::Reclaim)?;
        if n_reclaimed > 0 {
            tracing::info!(n_reclaimed, "deliveries of this node's former self are due again");
        }
        let guard = AddressGuard::new(policy);
        let context = Arc::new(Context {
            node,
            sender: Sender::new(&guard, config.per_webhook),
            table: Arc::new(MatchTable::new(config.expiry.clone(), config.max_per_tenant)),
            retry_policy: RetryPolicy::new(config.retry_after_cap, Jitter::seeded(seed())),
            breakers: BreakerStates::default(),
            disabled_notices: DisabledNotices::new(config.disabled_notices),
            inbox: SchedulerInbox::default(),
            metrics: Metrics::new(),
            tests: FairSemaphore::new(TESTS, SHARING),
            resends: FairSemaphore::new(RESENDS, SHARING),
            results: FairSemaphore::new(RESULTS_BYTES, Sharing { alpha: 3, waiting: u64::MAX }),
            cut: CancellationToken::new(),
            n_held: AtomicU64::new(0),
            config,
            guard,
            seams,
            clock,
            scope,
        });
        context.table.refresh(&*context.seams.directory).await.map_err(StartError::Table)?;
        context.scope.spawn("webhook table", follow_directory(Arc::clone(&context)));
        dispatcher::start(&context);
        Ok(Self(context))
    }

    /// The tenant's webhooks that want this event, those that are switched off included, and on which
    /// terms. A look into memory: no wait, no lock.
    pub fn targets(
        &self,
        tenant: &TenantId,
        event_type: &EventType,
        payload: &Payload,
        accepted_at: Timestamp,
    ) -> Vec<DeliveryTarget> {
        self.0.table.targets(tenant, event_type, payload, accepted_at)
    }

    /// How many of the tenant's webhooks want events of this type; more, where some want it by several names.
    /// 0 is exact. Cheaper than [`Webhooks::targets`], whatever their number.
    pub fn n_wanting(&self, tenant: &TenantId, event_type: &EventType) -> usize {
        self.0.table.n_wanting(tenant, event_type)
    }

    /// Whether these event ids were used before; one answer per id, in order.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger is away.
    pub async fn look_up(&self, tenant: &TenantId, ids: &[(EventId, Fingerprint)]) -> Result<Vec<Seen>, LedgerError> {
        self.0.seams.ledger.look_up(tenant, ids).await
    }

    /// Stores the deliveries durably, then wakes the scheduler. One answer per event, in order; with any
    /// [`Seen::Conflict`] nothing was stored. Dropped midway the batch is stored or not stored; what
    /// is stored is delivered. It is one transaction: see [`ENQUEUE_DELIVERIES`](crate::ENQUEUE_DELIVERIES).
    ///
    /// # Errors
    /// [`LedgerError`]: nothing was stored, but for the case that it tells of.
    pub async fn enqueue(&self, batch: Vec<NewDeliveries>) -> Result<Vec<Seen>, LedgerError> {
        let due = |new: &NewDeliveries| new.targets.iter().filter(|t| !t.is_missed).map(|t| t.webhook).collect();
        let targets: Vec<(TenantId, Vec<WebhookId>)> = batch.iter().map(|new| (new.tenant.clone(), due(new))).collect();
        let seen = self.0.seams.ledger.enqueue(batch).await?;
        self.0.inbox.work_arrived(&targets);
        Ok(seen)
    }

    /// Its settings.
    pub fn config(&self) -> &WebhookConfig {
        &self.0.config
    }

    /// Deliveries being sent now, tests included.
    pub fn in_flight(&self) -> u64 {
        self.0.metrics.in_flight.get()
    }

    /// Attempts that have ended and wait to be settled.
    pub fn n_unsettled(&self) -> u64 {
        self.0.metrics.unsettled.get()
    }

    /// Deliveries leased and not started yet.
    pub fn n_ready(&self) -> u64 {
        self.0.metrics.ready.get()
    }

    /// Bytes of the bodies of deliveries that run now, or are leased and not started yet.
    pub fn body_bytes(&self) -> u64 {
        self.0.metrics.body_bytes.get()
    }

    /// Host names that are being looked up now.
    pub fn n_look_ups(&self) -> u64 {
        self.0.guard.n_look_ups()
    }

    /// Look-ups of host names that wait for their turn.
    pub fn n_look_ups_waiting(&self) -> u64 {
        self.0.guard.n_look_ups_waiting() as u64
    }

    /// Circuit breakers of this node that are open or half open.
    pub fn n_breakers_open(&self) -> u64 {
        self.0.breakers.n_open() as u64
    }

    /// What this webhook's circuit breaker is doing on this node. The caller has checked that the
    /// webhook is the tenant's.
    pub fn breaker(&self, id: WebhookId) -> BreakerState {
        self.0.breakers.state(id, self.0.clock.now())
    }

    /// A notice of every webhook that a call of this node switches off from here on, because its receiver
    /// only failed or said 410. At most [`WebhookConfig::disabled_notices`] wait; what does not fit is
    /// dropped, logged and counted.
    pub fn subscribe_disabled(&self) -> mpsc::Receiver<DisabledWebhook> {
        self.0.disabled_notices.subscribe()
    }

    /// What was counted since the start.
    pub fn metrics(&self) -> &WebhookMetrics {
        &self.0.metrics.counters
    }

    /// Registers what is counted, and how much there is of what goes on.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
        let mut gauge = |name: &str, help: &str, read: fn(&Self) -> u64| {
            let webhooks = self.clone();
            register_gauge(registry, name, help, move || read(&webhooks));
        };
        gauge("deliveries_in_flight", "Attempts running now", Self::in_flight);
        gauge("deliveries_unsettled", "Attempts waiting to be settled", Self::n_unsettled);
        gauge("deliveries_ready", "Deliveries leased and not started yet", Self::n_ready);
        gauge("deliveries_bytes", "Bytes of the bodies of deliveries running or leased", Self::body_bytes);
        gauge("look_ups", "Host names being looked up now", Self::n_look_ups);
        gauge("look_ups_waiting", "Look-ups of host names waiting for their turn", Self::n_look_ups_waiting);
        gauge("breakers_open", "Circuit breakers open or half open now", Self::n_breakers_open);
    }
}

/// Keeps the match table in step with the directory until the soft token.
async fn follow_directory(context: Arc<Context>) {
    let mut is_away = false;
    loop {
        tokio::select! {
            () = context.scope.soft().cancelled() => return,
            () = tokio::time::sleep(context.config.table_interval) => {}
        }
        let refreshed = context.table.refresh(&*context.seams.directory).await;
        report_once(&mut is_away, &refreshed);
    }
}

/// Says once that the directory is away, and once that it is back.
fn report_once(is_away: &mut bool, result: &Result<(), DirectoryError>) {
    match result {
        Err(error) if !*is_away => tracing::warn!(error = %Chain(error), "the match table stays as it is for now"),
        Ok(()) if *is_away => tracing::info!("the match table follows the directory again"),
        _ => {}
    }
    *is_away = result.is_err();
}

/// Differs from process to process, which is all that jitter needs.
fn seed() -> u64 {
    RandomState::new().hash_one(0_u8)
}
