//! One thing with [`gateway`](crate::gateway), of which it tells: how the nodes are, for whoever runs them.

use std::sync::{Arc, Weak};

use hookswitch_hub::{BoxFuture, ClusterAnswer, Hub};
use hookswitch_protocol::{NodeId, Timestamp};
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::auth::Principal;
use crate::gateway::Inner;
use crate::http::{Answer, Body, Problem};
use crate::pages::rates::{self, PerSecond};
use crate::pages::trace::too_many_ask;

/// How every node is.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Nodes"))]
pub(super) struct Nodes {
    /// The one that answers first.
    nodes: Vec<OneNode>,
    /// Nodes that count as alive and did not answer in time.
    silent: Vec<NodeId>,
    /// Whether there may be more: some are silent, or Redis is away.
    partial: bool,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct OneNode {
    node: NodeId,
    /// As that node's version says it.
    #[cfg_attr(test, schemars(with = "NodeReport"))]
    report: Box<RawValue>,
}

/// What a node says of itself.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct NodeReport {
    version: &'static str,
    started_at: Timestamp,
    #[cfg_attr(test, schemars(extend("enum" = ["ready", "degraded", "not_ready"])))]
    status: &'static str,
    /// `single-node` or `cluster`.
    mode: &'static str,
    /// Redis, the database and the like: `ok`, or what is wrong.
    checks: Map<String, Value>,
    connections: usize,
    /// Since the start.
    events: u64,
    /// Messages handed to connections since the start.
    deliveries: u64,
    /// Messages that connections lost for good since the start; they were told.
    drops: u64,
    /// The mean of the last 10 s or so.
    per_second: PerSecond,
    history: HistoryReport,
    queues: Vec<QueueReport>,
}

/// Recent history on a node.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct HistoryReport {
    events: usize,
    bytes: usize,
    /// How far back it goes for the tenant for which it goes back least, in seconds; at most what `HISTORY_AGE` says.
    shortest_reach: u64,
}

/// Something that waits, and the bound it has.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct QueueReport {
    name: &'static str,
    used: u64,
    bound: u64,
}

/// `GET /api/v1/nodes`.
pub(crate) async fn nodes(hub: &Hub, principal: &Principal, answer: &Answer) -> Result<Response<Body>, Problem> {
    let told = hub.inspect().node_reports(&principal.tenant).await.map_err(|_| too_many_ask())?;
    let partial = told.is_partial();
    let ClusterAnswer { told, silent, .. } = told;
    let nodes = told.into_iter().map(|(node, report)| OneNode { node, report }).collect();
    Ok(answer.success(StatusCode::OK, Nodes { nodes, silent, partial }, None))
}

/// From now on the node says how it is, to whoever asks it and to the others, as long as its gateway is there.
pub(crate) fn start_reporting(inner: &Arc<Inner>) {
    inner.hub().inspect().report_with(own_report(Arc::downgrade(inner)));
    let (gateway, soft) = (Arc::downgrade(inner), inner.parts.scope.soft().clone());
    inner.parts.scope.spawn("rates", async move {
        let mut looks = tokio::time::interval(rates::INTERVAL);
        while soft.run_until_cancelled(looks.tick()).await.is_some()
            && let Some(inner) = gateway.upgrade()
        {
            inner.rates.look(inner.hub());
        }
    });
}

fn own_report(gateway: Weak<Inner>) -> impl Fn() -> BoxFuture<'static, Box<RawValue>> + Send + Sync {
    move || {
        let gateway = gateway.clone();
        Box::pin(async move {
            let report = match gateway.upgrade() {
                Some(inner) => serde_json::value::to_raw_value(&report(&inner).await),
                None => RawValue::from_string("{}".to_owned()),
            };
            report.expect("figures are plain data")
        })
    }
}

async fn report(inner: &Inner) -> NodeReport {
    let hub = inner.hub();
    let (status, checks) = inner.readiness.state(&inner.parts.health, hub.is_draining()).await;
    let history = hub.inspect().history_size();
    let totals = inner.rates.totals(hub);
    NodeReport {
        version: env!("CARGO_PKG_VERSION"),
        started_at: inner.started_at,
        status,
        mode: (inner.parts.health.mode)(),
        checks,
        connections: hub.n_connections(),
        events: totals.events,
        deliveries: totals.deliveries,
        drops: totals.drops,
        per_second: inner.rates.per_second(hub),
        history: HistoryReport {
            events: history.n_events,
            bytes: history.n_bytes,
            shortest_reach: history.shortest_reach.as_secs(),
        },
        queues: queues(inner),
    }
}

fn queues(inner: &Inner) -> Vec<QueueReport> {
    let (hub, webhooks) = (inner.hub(), inner.parts.switch.webhooks());
    let of_webhooks = webhooks.config();
    let queue = |name, used: u64, bound: usize| QueueReport { name, used, bound: bound as u64 };
    let mut queues = vec![
        queue("connections", hub.n_connections() as u64, inner.config.max_connections),
        queue("history_bytes", hub.inspect().history_size().n_bytes as u64, hub.inspect().config().history.total_bytes),
        queue("request_body_bytes", inner.body_permits.used(), inner.config.all_bodies_bytes),
        queue("webhooks_in_flight", webhooks.in_flight(), of_webhooks.concurrency),
        queue("webhook_body_bytes", webhooks.body_bytes(), of_webhooks.body_bytes),
        queue("webhooks_unsettled", webhooks.n_unsettled(), of_webhooks.unsettled),
    ];
    queues.extend(inner.parts.queues.iter().map(|more| queue(more.name, (more.used)(), more.bound)));
    queues
}
