//! A node without others.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::NodeId;
use hookswitch_runtime::BoxFuture;

use crate::seams::peers::{Answerer, PeerAnswers, Peers};

/// Nobody else to ask.
#[derive(Debug, Clone)]
pub struct NoPeers(NodeId);

impl NoPeers {
    /// Of a node with this name.
    pub const fn of(node: NodeId) -> Self {
        Self(node)
    }
}

impl Peers for NoPeers {
    fn node(&self) -> NodeId {
        self.0.clone()
    }

    fn ask(&self, _question: Bytes, _patience: Duration) -> BoxFuture<'_, PeerAnswers> {
        Box::pin(std::future::ready(PeerAnswers::default()))
    }

    fn answer_with(&self, _answerer: Arc<dyn Answerer>) {}
}
