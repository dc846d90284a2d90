//! Questions between nodes: each listens to a channel of its own, on which questions and answers come.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fred::clients::{Client, WithOptions};
use fred::interfaces::{PubsubInterface as _, SortedSetsInterface as _};
use hookswitch_hub::{Answerer, BoxFuture, PeerAnswers, Peers};
use hookswitch_protocol::{Chain, NodeId};
use hookswitch_runtime::Scope;
use hookswitch_runtime::metrics::Registry;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::link::{Link, LinkError};
use crate::metrics::PeerMetrics;

/// Questions of others that are answered at once; beyond it they are not answered, and whoever asks takes this node for
/// silent.
const ANSWERED_AT_ONCE: usize = 32;

/// Bytes of one answer.
const ANSWER_BYTES: usize = 256 * 1024;

/// One message on a node's channel.
#[derive(Debug, Serialize, Deserialize)]
struct PeerMessage<'a> {
    from: NodeId,
    /// Of the question, as the one who asks counts.
    number: u64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    question: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    answer: Option<&'a RawValue>,
}

/// The other nodes, over Redis.
pub struct RedisPeers {
    link: Link,
    scope: Scope,
    /// Where the answers go to each question of ours.
    asked: Mutex<HashMap<u64, mpsc::Sender<(NodeId, Bytes)>>>,
    last: AtomicU64,
    answerer: OnceLock<Arc<dyn Answerer>>,
    answering: Arc<Semaphore>,
    metrics: PeerMetrics,
}

impl RedisPeers {
    pub(crate) fn new(link: Link, scope: Scope) -> Arc<Self> {
        Arc::new(Self {
            link,
            scope,
            asked: Mutex::default(),
            last: AtomicU64::new(0),
            answerer: OnceLock::new(),
            answering: Arc::new(Semaphore::new(ANSWERED_AT_ONCE)),
            metrics: PeerMetrics::default(),
        })
    }

    pub(crate) fn register_metrics(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    /// Something came over this node's channel. Does not wait; what is no such message is left out.
    pub(crate) fn heard(self: &Arc<Self>, bytes: &[u8]) {
        let Ok(PeerMessage { from, number, question, answer }) = serde_json::from_slice(bytes) else { return };
        let owned = |json: &RawValue| Bytes::copy_from_slice(json.get().as_bytes());
        match (question, answer) {
            (Some(question), _) => self.answer(from, number, owned(question)),
            (None, Some(answer)) => {
                if let Some(waits) = self.asked().get(&number) {
                    // There is room for an answer of each; what is beyond that is nobody's who was asked.
                    let _full = waits.try_send((from, owned(answer)));
                }
            }
            (None, None) => {}
        }
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<(NodeId, Bytes)>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(self: &Arc<Self>, to: NodeId, number: u64, question: Bytes) {
        let Some(answerer) = self.answerer.get().cloned() else { return };
        let Ok(permit) = Arc::clone(&self.answering).try_acquire_owned() else {
            self.metrics.questions_refused.inc();
            tracing::warn!(node = %to, "another node's question is not answered, too many ask");
            return;
        };
        let this = Arc::clone(self);
        self.scope.spawn_contained("peer answer", async move {
            let _permit = permit;
            let Some(answer) = answerer.answer(question).await.filter(|answer| answer.len() <= ANSWER_BYTES) else {
                return;
            };
            let Ok(answer) = serde_json::from_slice::<&RawValue>(&answer) else { return };
            let message = PeerMessage { from: this.link.node().clone(), number, question: None, answer: Some(answer) };
            if let Err(error) = this.send(&to, &message).await {
                tracing::debug!(node = %to, error = %Chain(&error), "an answer does not reach its node");
            }
        });
    }

    async fn send(&self, to: &NodeId, message: &PeerMessage<'_>) -> Result<(), LinkError> {
        let channel = self.link.keys().node_channel(to);
        let body = Bytes::from(serde_json::to_vec(message).unwrap_or_default());
        let send = async |client: WithOptions<Client>| client.publish(&channel, body.clone()).await;
        let sent: Result<(), _> = self.link.at_key(&channel, send).await;
        sent.map_err(|source| self.link.failed("ask another node", &channel, source))
    }

    /// The other nodes that count as alive.
    async fn others(&self) -> Result<Vec<NodeId>, LinkError> {
        self.link.ready()?;
        let key = self.link.keys().nodes();
        // A lost one has no time until which it lives.
        let read = async |client: WithOptions<Client>| client.zrangebyscore(&key, "(0", "+inf", false, None).await;
        let nodes: Result<Vec<String>, _> = self.link.at_key(&key, read).await;
        let nodes = nodes.map_err(|source| self.link.failed("look who else there is", &key, source))?;
        let legal = nodes.iter().filter_map(|node| NodeId::parse(node).ok());
        Ok(legal.filter(|node| node != self.link.node()).collect())
    }

    async fn ask_others(&self, question: &Bytes, deadline: Instant) -> Result<PeerAnswers, LinkError> {
        let mut silent = self.others().await?;
        if silent.is_empty() {
            return Ok(PeerAnswers::default());
        }
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (waits, mut answers) = mpsc::channel(silent.len());
        self.asked().insert(number, waits);
        let _asked = Asked { peers: self, number };
        let from = self.link.node().clone();
        let Ok(question) = serde_json::from_slice::<&RawValue>(question) else { return Ok(PeerAnswers::default()) };
        let message = PeerMessage { from, number, question: Some(question), answer: None };
        let sends = silent.iter().map(|node| self.send(node, &message));
        // Whom it does not reach is silent.
        let _failed = futures_util::future::join_all(sends).await;
        let mut told = Vec::with_capacity(silent.len());
        while !silent.is_empty()
            && let Ok(Some((node, answer))) = tokio::time::timeout_at(deadline, answers.recv()).await
        {
            if let Some(at) = silent.iter().position(|waited| *waited == node) {
                told.push((silent.swap_remove(at), answer));
            }
        }
        Ok(PeerAnswers { told, silent, is_cut_off: false })
    }
}

/// Nobody waits for answers any more when it is dropped.
struct Asked<'a> {
    peers: &'a RedisPeers,
    number: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.peers.asked().remove(&self.number);
    }
}

impl Peers for RedisPeers {
    fn node(&self) -> NodeId {
        self.link.node().clone()
    }

    fn ask(&self, question: Bytes, patience: Duration) -> BoxFuture<'_, PeerAnswers> {
        Box::pin(async move {
            let deadline = Instant::now() + patience;
            let asked = tokio::time::timeout_at(deadline, self.ask_others(&question, deadline)).await;
            match asked {
                Ok(Ok(answers)) => answers,
                Ok(Err(_)) | Err(_) => PeerAnswers { is_cut_off: true, ..PeerAnswers::default() },
            }
        })
    }

    fn answer_with(&self, answerer: Arc<dyn Answerer>) {
        // The hub starts once.
        let _first = self.answerer.set(answerer);
    }
}

impl fmt::Debug for RedisPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPeers").field("node", self.link.node()).finish_non_exhaustive()
    }
}
