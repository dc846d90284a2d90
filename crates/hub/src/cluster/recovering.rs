//! Has what clients missed from elsewhere, tenants beside each other and few at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hookswitch_protocol::TenantId;
use tokio::sync::mpsc;

use crate::seams::broker::Broker;
use crate::shard::request::Request;
use crate::shared::Shared;

/// Tenants whose history is asked for at the same time.
const AT_ONCE: usize = 8;

/// Until it is dropped.
pub(crate) async fn run(shared: Arc<Shared>, broker: Arc<dyn Broker>, shards: Arc<[mpsc::Sender<Request>]>) {
    let (mut under_way, mut waiting) = (FuturesUnordered::new(), VecDeque::new());
    loop {
        tokio::select! {
            () = shared.recoveries.noted() => waiting.extend(shared.recoveries.take()),
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
