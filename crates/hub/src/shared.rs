//! What the shards of one hub and its handles have in common.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use hookswitch_runtime::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::HubConfig;
use crate::departure::Departure;
use crate::history::History;
use crate::history::recoveries::Recoveries;
use crate::metrics::HubMetrics;
use crate::publish::connection_counts::ConnectionCounts;
use crate::publish::pending_gaps::PendingGaps;
use crate::publish::wire_form::WireForms;
use crate::seams::user_key::UserKey;
use crate::trace::Traces;

/// Counts and signals shared by all threads. Nothing here is locked on the fan-out path.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) connection_counts: ConnectionCounts,
    pub(crate) metrics: HubMetrics,
    /// Cancelled once: nobody new is taken in.
    pub(crate) draining: CancellationToken,
    /// When the connections are closed that are here.
    pub(crate) departure: Departure,
    pub(crate) disconnects: RecentDisconnects,
    pub(crate) wanted_backlogs: WantedBacklogs,
    pub(crate) gaps: PendingGaps,
    /// The way between nodes was closed, and is open again.
    pub(crate) reopened: Notify,
    pub(crate) forms: WireForms,
    pub(crate) history: History,
    pub(crate) recoveries: Recoveries,
    pub(crate) traces: Traces,
}

impl Shared {
    pub(crate) fn new(config: &HubConfig, clock: Clock) -> Self {
        Self {
            connection_counts: ConnectionCounts::new(config.home_connections, config.connection_caps),
            metrics: HubMetrics::default(),
            draining: CancellationToken::new(),
            departure: Departure::default(),
            disconnects: RecentDisconnects::default(),
            wanted_backlogs: WantedBacklogs::default(),
            gaps: PendingGaps::default(),
            reopened: Notify::new(),
            forms: WireForms::default(),
            history: History::new(config.history, config.state, config.event_classes.clone(), clock),
            recoveries: Recoveries::default(),
            traces: Traces::new(config.history.age),
        }
    }
}

/// Users whose subscription grew after kept messages were left out for it, for offline delivery to look
/// after. A set, so that its size is bounded by the number of users.
#[derive(Debug, Default)]
pub(crate) struct WantedBacklogs {
    users: Mutex<HashSet<UserKey>>,
    noted: Notify,
}

impl WantedBacklogs {
    pub(crate) fn note(&self, user: UserKey) {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
        self.noted.notify_one();
    }

    /// Waits for such users. Cancel safe: those that are not taken stay.
    pub(crate) async fn noted(&self) {
        self.noted.notified().await;
    }

    pub(crate) fn take(&self) -> HashSet<UserKey> {
        std::mem::take(&mut *self.users.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Users who lost a connection, for presence to look after. Each once, so that its size is bounded by
/// the number of users.
#[derive(Debug, Default)]
pub(crate) struct RecentDisconnects {
    /// With the number of their connections that this node sent elsewhere.
    users: Mutex<HashMap<UserKey, u32>>,
    tenants: Mutex<HashSet<hookswitch_protocol::TenantId>>,
    arrived: Notify,
    tenant_departed: Notify,
}

impl RecentDisconnects {
    /// The user lost a connection; `n_sent_away` of them because this node sent them elsewhere.
    pub(crate) fn user(&self, user: UserKey, n_sent_away: u32) {
        *self.users.lock().unwrap_or_else(PoisonError::into_inner).entry(user).or_default() += n_sent_away;
        self.arrived.notify_one();
    }

    pub(crate) fn tenant(&self, tenant: hookswitch_protocol::TenantId) {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant);
        self.tenant_departed.notify_one();
    }

    /// Waits until a tenant may have lost its last connection. Cancel safe.
    pub(crate) async fn tenant_departed(&self) {
        self.tenant_departed.notified().await;
    }

    /// Waits for users who left. Cancel safe.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Whether the tenant may have lost a connection since the last look.
    pub(crate) fn has_tenant(&self, tenant: &hookswitch_protocol::TenantId) -> bool {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).contains(tenant)
    }

    pub(crate) fn take_users(&self) -> HashMap<UserKey, u32> {
        std::mem::take(&mut *self.users.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn take_tenants(&self) -> HashSet<hookswitch_protocol::TenantId> {
        std::mem::take(&mut *self.tenants.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
