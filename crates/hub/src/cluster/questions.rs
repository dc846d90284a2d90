//! One thing with [`hub`](crate::hub), whose questions these are: what nodes ask each other, and how the answers are put
//! together.

use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{EventId, NodeId, TenantId, UserId};
use hookswitch_runtime::{BoxFuture, FairSemaphore, Sharing};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::HubError;
use crate::hub::{Hub, HubParts};
use crate::seams::peers::{Answerer, PeerAnswers};
use crate::seams::user_key::UserKey;

/// How long the others' answers are waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Questions that a node asks the others at once, half of them for one tenant.
const AT_ONCE: u64 = 32;

/// Says how a node is.
pub(crate) type NodeReporter = Box<dyn Fn() -> BoxFuture<'static, Box<RawValue>> + Send + Sync>;

/// Room for questions.
pub(crate) fn permits() -> FairSemaphore<TenantId> {
    FairSemaphore::new(AT_ONCE, Sharing { alpha: 1, waiting: 0 })
}

/// A question. Nodes of two versions run side by side: kinds are added, never changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum Question {
    /// What became of an event, maybe for a user's connections.
    Trace {
        tenant: TenantId,
        event: EventId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<UserId>,
    },
    /// Which connections a user has.
    Connections { tenant: TenantId, user: UserId },
    /// How the node is.
    Node,
}

/// What all nodes told.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterAnswer<T> {
    /// This node's part first.
    pub told: Vec<(NodeId, T)>,
    /// Nodes that count as alive and did not answer in time.
    pub silent: Vec<NodeId>,
    /// Nobody knows who else there is: the way to the others is closed.
    pub is_cut_off: bool,
}

impl<T> ClusterAnswer<T> {
    /// Whether somebody who may know more was not heard.
    pub fn is_partial(&self) -> bool {
        self.is_cut_off || !self.silent.is_empty()
    }
}

/// Answers for a hub as long as there is one.
pub(crate) struct HubAnswerer(pub(crate) Weak<HubParts>);

impl Answerer for HubAnswerer {
    fn answer(&self, question: Bytes) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(async move {
            let hub = Hub(self.0.upgrade()?);
            match serde_json::from_slice(&question).ok()? {
                Question::Trace { tenant, event, user } => {
                    printed(&hub.inspect().local_trace(&tenant, &event, user.as_ref()).await)
                }
                Question::Connections { tenant, user } => {
                    printed(&hub.inspect().local_connections(&UserKey { tenant, user }).await)
                }
                Question::Node => printed(&hub.0.node_report.get()?().await),
            }
        })
    }
}

fn printed<T: Serialize>(answer: &T) -> Option<Bytes> {
    serde_json::to_vec(answer).ok().map(Bytes::from)
}

/// How this node is; an empty object where nobody says it.
pub(crate) async fn own_report(hub: &Hub) -> Box<RawValue> {
    match hub.0.node_report.get() {
        Some(report) => report().await,
        None => RawValue::from_string("{}".to_owned()).expect("an object"),
    }
}

/// Asks the others, and puts this node's own part in front.
pub(crate) async fn ask_all<T: DeserializeOwned>(
    hub: &Hub,
    tenant: &TenantId,
    question: &Question,
    own: impl Future<Output = T>,
) -> Result<ClusterAnswer<T>, HubError> {
    let overloaded = || HubError::Overloaded { n_events: 0, waited: Duration::ZERO };
    let _permit = hub.0.questions.try_acquire(tenant, 1).ok_or_else(overloaded)?;
    let peers = &hub.0.peers;
    let question = Bytes::from(serde_json::to_vec(question).expect("a question is plain data"));
    let (own, answers) = tokio::join!(own, peers.ask(question, PATIENCE));
    let PeerAnswers { told, mut silent, is_cut_off } = answers;
    let mut all = vec![(peers.node(), own)];
    for (node, answer) in told {
        match serde_json::from_slice(&answer) {
            Ok(part) => all.push((node, part)),
            // One of another version that says something else.
            Err(_) => silent.push(node),
        }
    }
    Ok(ClusterAnswer { told: all, silent, is_cut_off })
}
