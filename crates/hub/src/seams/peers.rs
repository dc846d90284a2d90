//! The seam to the other nodes for questions: what only each of them knows.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::NodeId;
use hookswitch_runtime::BoxFuture;

/// Asks the other nodes, and hands their questions to whoever answers here.
///
/// Nothing is stored and nothing is asked twice: whoever does not answer in time is told as silent. A dropped future
/// asks on, and its answers go nowhere.
pub trait Peers: Send + Sync {
    /// This node's name among them.
    fn node(&self) -> NodeId;

    /// Asks every other node that counts as alive, and waits until all have answered, for `patience` at most. While the
    /// way to them is closed it is ready at once.
    fn ask(&self, question: Bytes, patience: Duration) -> BoxFuture<'_, PeerAnswers>;

    /// Who answers the others' questions from now on. Called once.
    fn answer_with(&self, answerer: Arc<dyn Answerer>);
}

/// Answers the other nodes' questions.
pub trait Answerer: Send + Sync {
    /// The answer to a question; `None` where it is none that is known here, as of a later version.
    fn answer(&self, question: Bytes) -> BoxFuture<'_, Option<Bytes>>;
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerAnswers {
    /// Each node's answer.
    pub told: Vec<(NodeId, Bytes)>,
    /// Nodes that count as alive and did not answer in time.
    pub silent: Vec<NodeId>,
    /// Nobody knows who else there is: the way is closed.
    pub is_cut_off: bool,
}
