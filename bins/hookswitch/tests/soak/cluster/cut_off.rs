//! Many clients that are cut off at random and come back to another node, while all nodes publish.

use std::time::Duration;

use hookswitch_testkit::{Crowd, CrowdLoad, NodeProcess, RedisSpec};
use tokio::task::JoinSet;

use super::{DEADLINE, nodes};
use crate::stage::{agent_token, my_turn, service};

const NODES: usize = 3;
const CLIENTS: usize = 60;
/// How long a connection lives on the average.
const CUT_AFTER: Duration = Duration::from_secs(2);
const PUBLISHING: Duration = Duration::from_secs(20);
/// Events a second and node.
const RATE: usize = 60;

/// All events are for the whole tenant: nothing is kept, so that no repeat is allowed at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_is_cut_off_again_and_again_misses_nothing_and_gets_nothing_twice() {
    let _turn = my_turn().await;
    let redis = RedisSpec::new().start().await;
    let nodes = nodes(&redis.url(), NODES).await;
    let addrs: Vec<&str> = nodes.iter().map(NodeProcess::addr).collect();
    let users = (1..=CLIENTS).map(|user| (user, agent_token(&nodes[0], user)));
    let crowd = Crowd::join(&addrs, users, CUT_AFTER).await;
    let mut publishers = JoinSet::new();
    for (publisher, node) in nodes.iter().enumerate() {
        publishers.spawn(CrowdLoad { publisher, rate: RATE, duration: PUBLISHING }.publish(service(node)));
    }
    let published: Vec<_> = publishers.join_all().await.into_iter().flatten().collect();
    let report = crowd.finish(&published, DEADLINE).await;
    println!("{} published, {} received over {} connections", published.len(), report.received, report.connections);
    assert_eq!([report.faults, report.told, report.repeats], [const { Vec::<String>::new() }; 3]);
    assert!(report.connections > 2 * CLIENTS, "they were cut off: {} connections", report.connections);
}
