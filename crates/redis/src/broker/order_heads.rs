//! One thing with [`orders`](super::orders), whose heads these are: where histories end: read when their channels are
//! listened to anew, told by whoever appended last, and compared now and then, so that the last event before a silence is
//! not lost.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use hookswitch_hub::GapScope;
use hookswitch_protocol::{Chain, TenantId};
use tokio::time::{Instant, MissedTickBehavior};

use super::orders::{Orders, locked};
use super::tenant_order::Steps;
use super::wire;
use crate::config::Topology;
use crate::history::{Head, HistoryError};

/// How long a tenant is silent before whoever appended last says where its history ends.
const SILENCE: Duration = Duration::from_secs(1);

/// How often it is looked who is silent.
const LOOK: Duration = Duration::from_millis(250);

/// Looks for each part of what is watched, one part after the other.
const LOOKS_PER_PART: u64 = 4;

/// Parts of what is watched: each history is asked for once in so many seconds.
const PARTS: u64 = 30;

/// What is known of heads.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    /// When this node appended last, of tenants for which it did not say so.
    unsaid: Mutex<HashMap<TenantId, Instant>>,
    /// Whose heads could not be read.
    unread: Mutex<HashSet<TenantId>>,
    hasher: RandomState,
}

impl Heads {
    fn unsaid(&self) -> MutexGuard<'_, HashMap<TenantId, Instant>> {
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unread(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This node has appended.
    pub(super) fn note_append(&self, tenant: &TenantId) {
        let mut unsaid = self.unsaid();
        match unsaid.get_mut(tenant) {
            Some(at) => *at = Instant::now(),
            None => _ = unsaid.insert(tenant.clone(), Instant::now()),
        }
    }

    fn take_silent(&self) -> Vec<TenantId> {
        let is_silent = |_: &TenantId, at: &mut Instant| at.elapsed() >= SILENCE;
        self.unsaid().extract_if(is_silent).map(|(tenant, _)| tenant).collect()
    }
}

impl Orders {
    /// Until it is dropped.
    pub(crate) async fn compare_heads(self: Arc<Self>) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for n_looks in 0_u64.. {
            looks.tick().await;
            if !self.link.is_up() {
                continue;
            }
            let silent = self.heads.take_silent();
            let saying: Vec<_> = silent.iter().map(|tenant| self.say_head(tenant)).collect();
            join_all(saying).await;
            if n_looks % LOOKS_PER_PART == 0 {
                self.compare_part(n_looks / LOOKS_PER_PART % PARTS).await;
            }
        }
    }

    /// Asks for a part of what is watched, and for what could not be read before.
    async fn compare_part(&self, part: u64) {
        let mut asked: HashSet<TenantId> = std::mem::take(&mut *self.heads.unread());
        let all: Vec<TenantId> = self.tenants().keys().cloned().collect();
        let in_part = |tenant: &TenantId| self.heads.hasher.hash_one(tenant) % PARTS == part;
        asked.extend(all.into_iter().filter(in_part));
        asked.retain(|tenant| locked(&self.of(tenant)).is_watched);
        let asked: Vec<TenantId> = asked.into_iter().collect();
        self.read_heads(&asked, false).await;
    }

    /// Tells the other nodes where a history ends: its last events may be lost on their way, and none comes behind them.
    async fn say_head(&self, tenant: &TenantId) {
        let Some(head) = locked(&self.of(tenant)).seen() else { return };
        let slot = match self.link.config().topology {
            Topology::Cluster(_) => fred::util::redis_keyslot(tenant.as_str().as_bytes()),
            Topology::Single(_) | Topology::Sentinel { .. } => 0,
        };
        let (channel, body) = (self.link.keys().internal_channel(tenant), wire::encode_head(self.link.node(), head));
        // Where it is lost, it is found when the head is compared.
        let _said = self.link.publish_at(slot, &channel, body.into()).await;
    }

    /// Reads where these tenants' histories end, once their channels are listened to: everything behind comes, and what
    /// came before and was not given is fetched. Where it cannot be read it is asked again each second. `is_late` when
    /// there may be connections already that have missed what came before.
    pub(crate) async fn read_heads(&self, tenants: &[TenantId], is_late: bool) {
        let heads = self.history.heads(tenants).await;
        let begun: Vec<_> = tenants.iter().zip(heads).map(|(tenant, head)| self.begun(tenant, head)).collect();
        for (tenant, head) in tenants.iter().zip(join_all(begun).await) {
            match head {
                Ok(head) => self.heard_head(tenant, head, is_late),
                Err(error) => {
                    tracing::debug!(%tenant, error = %Chain(&error), "where a tenant's history ends is not known");
                    self.heads.unread().insert(tenant.clone());
                    self.go_without_head(tenant);
                }
            }
        }
    }

    /// Nobody waits for a head that cannot be read.
    fn go_without_head(&self, tenant: &TenantId) {
        let order = self.of(tenant);
        let mut order = locked(&order);
        let mut steps = Steps::new();
        order.go_without_head(&mut steps);
        self.carry_out(tenant, &mut order, steps);
    }

    /// The head, of a history that is begun where there is none.
    async fn begun(&self, tenant: &TenantId, head: Result<Option<Head>, HistoryError>) -> Result<Head, HistoryError> {
        match head {
            Ok(Some(head)) => Ok(head),
            Ok(None) => {
                let seen = locked(&self.of(tenant)).seen();
                self.history.begin(tenant, seen).await
            }
            Err(error) => Err(error),
        }
    }

    fn heard_head(&self, tenant: &TenantId, head: Head, is_late: bool) {
        let order = self.of(tenant);
        let mut order = locked(&order);
        let mut steps = Steps::new();
        let is_base = order.heard_head(head, &mut steps);
        if is_base {
            self.sink.on_base(tenant, head.position);
            if is_late {
                self.sink.on_gap(GapScope::Tenant(tenant.clone()), None);
            }
        }
        self.carry_out(tenant, &mut order, steps);
    }
}
