//! Questions between nodes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_hub::{Answerer, BoxFuture, Peers as _};
use hookswitch_protocol::NodeId;
use hookswitch_testkit::{PATIENCE, RedisSpec, eventually};

use crate::rig::Node;

/// Says its name and what it was asked; or nothing, ever.
struct Named {
    name: NodeId,
    is_silent: bool,
}

impl Answerer for Named {
    fn answer(&self, question: Bytes) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(async move {
            if self.is_silent {
                std::future::pending::<()>().await;
            }
            let question = String::from_utf8_lossy(&question);
            Some(format!(r#"{{"of":"{}","asked":{question}}}"#, self.name).into())
        })
    }
}

async fn node(url: &str, is_silent: bool) -> Node {
    let node = Node::start(url).await;
    node.keepers.peers.answer_with(Arc::new(Named { name: node.name.clone(), is_silent }));
    node
}

/// Waits until so many others count as alive for this node.
async fn until_others(node: &Node, n_others: usize) {
    eventually("they know each other", PATIENCE, async || {
        let answers = node.keepers.peers.ask("0".into(), Duration::from_secs(1)).await;
        answers.told.len() + answers.silent.len() == n_others
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_who_is_there_answers_and_the_silent_are_named() {
    let redis = RedisSpec::new().start().await;
    let url = redis.url();
    let asking = node(&url, false).await;
    let alone = asking.keepers.peers.ask("1".into(), PATIENCE).await;
    assert!(alone.told.is_empty() && alone.silent.is_empty() && !alone.is_cut_off, "{alone:?}");
    let other = node(&url, false).await;
    until_others(&asking, 1).await;
    let answers = asking.keepers.peers.ask(r#"{"x":1}"#.into(), PATIENCE).await;
    let wanted = format!(r#"{{"of":"{}","asked":{{"x":1}}}}"#, other.name);
    assert_eq!(answers.told, [(other.name.clone(), Bytes::from(wanted))]);
    assert!(answers.silent.is_empty());
    let silent = node(&url, true).await;
    until_others(&asking, 2).await;
    let answers = asking.keepers.peers.ask("2".into(), Duration::from_millis(300)).await;
    assert_eq!((answers.told.len(), &answers.silent), (1, &vec![silent.name.clone()]));
    assert_eq!(answers.told[0].0, other.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nobody_is_asked_and_it_is_said() {
    let mut redis = RedisSpec::new().start().await;
    let asking = node(&redis.url(), false).await;
    redis.kill().await;
    asking.until_down().await;
    let answers = asking.keepers.peers.ask("1".into(), PATIENCE).await;
    assert!(answers.is_cut_off && answers.told.is_empty(), "{answers:?}");
}
