//! What clients missed and this node does not hold: had from elsewhere, once for all who ask at the same time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hookswitch_protocol::TenantId;
use tokio::sync::{Notify, mpsc};

use crate::seams::broker::Broker;
use crate::shard::request::Request;
use crate::shared::Shared;

/// Tenants whose history is asked for at the same time.
const AT_ONCE: usize = 8;

/// Tenants that somebody waits for. Bounded by the number of tenants that are connected.
#[derive(Debug, Default)]
pub(crate) struct Recoveries {
    wanted: Mutex<HashMap<TenantId, Wanted>>,
    noted: Notify,
}

/// What is wanted of a tenant.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// What came before all that is here, too.
    with_past: bool,
    is_under_way: bool,
    /// Somebody came while it was under way whom it does not help.
    is_wanted_again: bool,
}

impl Recoveries {
    /// Wants a tenant's history; everybody who does is told when it is there, or cannot be had.
    pub(crate) fn want(&self, tenant: &TenantId, with_past: bool) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let new = Wanted { with_past: false, is_under_way: false, is_wanted_again: false };
        let known = wanted.entry(tenant.clone()).or_insert(new);
        // One that brings the past brings everything.
        known.is_wanted_again |= known.is_under_way && !known.with_past;
        known.with_past |= with_past && !(known.is_under_way && known.with_past);
        self.noted.notify_one();
    }

    fn take(&self) -> Vec<(TenantId, bool)> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = wanted.iter_mut().filter(|(_, known)| !known.is_under_way);
        let taken = idle.map(|(tenant, known)| {
            known.is_under_way = true;
            (tenant.clone(), known.with_past)
        });
        taken.collect()
    }

    fn done(&self, tenant: &TenantId) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        match wanted.get_mut(tenant) {
            Some(known) if known.is_wanted_again => {
                (known.is_under_way, known.is_wanted_again) = (false, false);
                self.noted.notify_one();
            }
            Some(_) => _ = wanted.remove(tenant),
            None => {}
        }
    }
}

/// Until it is dropped.
pub(crate) async fn run(shared: Arc<Shared>, broker: Arc<dyn Broker>, shards: Arc<[mpsc::Sender<Request>]>) {
    let (mut under_way, mut waiting) = (FuturesUnordered::new(), VecDeque::new());
    loop {
        tokio::select! {
            () = shared.recoveries.noted.notified() => waiting.extend(shared.recoveries.take()),
            Some(()) = under_way.next() => {}
        }
        while under_way.len() < AT_ONCE
            && let Some((tenant, with_past)) = waiting.pop_front()
        {
            under_way.push(recover(&shared, &*broker, &shards, tenant, with_past));
        }
    }
}

async fn recover(
    shared: &Shared,
    broker: &dyn Broker,
    shards: &[mpsc::Sender<Request>],
    tenant: TenantId,
    with_past: bool,
) {
    broker.recover(&tenant, with_past).await;
    shared.recoveries.done(&tenant);
    for requests in shards {
        // A shard that is gone has nobody who waits.
        let _gone = requests.send(Request::Recovered { tenant: tenant.clone() }).await;
    }
}
