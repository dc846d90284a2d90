//! Whatever nodes append, and however many answers are lost: every event is in the stream once, in one order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use hookswitch_redis::history::{AppendEvent, Batch, HistoryStream, Position, StreamLimits};
use hookswitch_testkit::RedisSpec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::rig::{HistoryNode, WIDE, id_of, opt_in, ordinary, read_all};
use crate::rig::tenant;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A node appends so many events, every so manieth of an opt-in type, and may lose the answer.
    Append { node: usize, n_events: usize, opt_in_every: usize, is_lost: bool },
    /// A node sends its last batch again, though it may know the answer.
    Repeat { node: usize },
    /// A node learns of the last position.
    Look { node: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let append = (0..3_usize, 1..6_usize, 1..5_usize, any::<bool>())
        .prop_map(|(node, n_events, opt_in_every, is_lost)| Step::Append { node, n_events, opt_in_every, is_lost });
    let other = (0..3_usize, any::<bool>())
        .prop_map(|(node, is_look)| if is_look { Step::Look { node } } else { Step::Repeat { node } });
    prop::collection::vec(prop_oneof![3 => append, 1 => other], 1..40)
}

/// One node, as far as it knows.
struct Knowledge<'a> {
    history: &'a HistoryStream,
    seen: Option<Position>,
    last: Option<Batch>,
    is_in_doubt: bool,
}

impl Knowledge<'_> {
    async fn send(&mut self, of: &str, told: &mut HashMap<String, u64>, is_lost: bool) {
        let Some(batch) = &self.last else { return };
        let appended = self.history.append(&tenant(of), self.seen, batch).await.expect("appended");
        self.is_in_doubt = is_lost;
        if is_lost {
            return;
        }
        let last = Position { epoch: appended.epoch, offset: *appended.offsets.end() };
        self.seen = self.seen.max(Some(last));
        for (event, offset) in batch.events().iter().zip(appended.offsets) {
            let envelope: serde_json::Value = serde_json::from_slice(&event.envelope).expect("an envelope");
            let id = envelope["id"].as_str().expect("an id").to_owned();
            assert_eq!(*told.entry(id).or_insert(offset), offset, "the same as ever");
        }
    }
}

async fn run(nodes: &[HistoryNode], of: &str, steps: &[Step]) {
    let knowledge = |n: usize| Knowledge { history: &nodes[n].history, seen: None, last: None, is_in_doubt: false };
    let mut known = [0, 1, 2].map(knowledge);
    let (mut told, mut order, mut n_events_made) = (HashMap::new(), [vec![], vec![], vec![]], 0);
    for step in steps {
        match *step {
            Step::Append { node, n_events, opt_in_every, is_lost } => {
                let know = &mut known[node];
                // Later batches wait for one that is in doubt.
                if know.is_in_doubt {
                    know.send(of, &mut told, false).await;
                }
                let make = |n: usize| {
                    let id = (n_events_made + n).to_string();
                    if n.is_multiple_of(opt_in_every) { opt_in(of, &id) } else { ordinary(of, &id) }
                };
                let events: Vec<AppendEvent> = (0..n_events).map(make).collect();
                order[node].extend((n_events_made..n_events_made + n_events).map(|id| id.to_string()));
                n_events_made += n_events;
                know.last = Some(know.history.batch(events));
                know.send(of, &mut told, is_lost).await;
            }
            Step::Repeat { node } => known[node].send(of, &mut told, false).await,
            Step::Look { node } => {
                let heads = known[node].history.heads(&[tenant(of)]).await;
                let head = heads[0].as_ref().expect("read").map(|head| head.position);
                known[node].seen = known[node].seen.max(head);
            }
        }
    }
    if n_events_made == 0 {
        return;
    }
    let held = read_all(&nodes[0].history, &tenant(of), WIDE).await;
    let offsets: Vec<u64> = held.iter().map(|event| event.offset).collect();
    assert_eq!(offsets, (1..=n_events_made as u64).collect::<Vec<_>>(), "dense, each event once");
    for (node, wanted) in nodes.iter().zip(order) {
        let of_node = held.iter().filter(|event| event.node == node.node.name);
        assert_eq!(of_node.map(id_of).collect::<Vec<_>>(), wanted, "each node's in its order");
    }
    for event in &held {
        assert!(told.get(&id_of(event)).is_none_or(|offset| *offset == event.offset), "where its node was told");
    }
}

#[test]
fn every_event_is_there_once_in_one_order() {
    static CASES: AtomicU64 = AtomicU64::new(0);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let redis = RedisSpec::new().start().await;
        let bounds = StreamLimits { events: 10_000, ..StreamLimits::default() };
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(HistoryNode::bounded(&redis.url(), bounds).await);
        }
        tokio::task::block_in_place(|| {
            let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
            let ran = TestRunner::new(config).run(&steps(), |steps| {
                let of = format!("case{}", CASES.fetch_add(1, Ordering::Relaxed));
                tokio::runtime::Handle::current().block_on(run(&nodes, &of, &steps));
                Ok(())
            });
            ran.expect("every history is right");
        });
    });
}
