//! A node's orderly end, whatever Redis does.

use std::time::Duration;

use hookswitch_testkit::{Fault, FaultProxy, PATIENCE, RedisSpec};

use crate::presence::{config, node, user};
use crate::rig::{Node, event};

/// So long an end may take at most.
const AT_MOST: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_redis_that_hangs_does_not_hold_up_the_end() {
    let redis = RedisSpec::new().start().await;
    let node = Node::start(&redis.url()).await;
    let agent = user("7");
    node.touch(&agent, 1).await;
    redis.suspend();
    let words = async { tokio::join!(node.leave(&agent), node.publish([event("t", "alert", "last")])) };
    let (ended, _said) = tokio::join!(node.shut_down(AT_MOST), words);
    assert!(ended, "in time");
}

#[tokio::test]
async fn departures_that_have_to_wait_do_not_hold_up_the_end() {
    let redis = RedisSpec::new().start().await;
    let proxy = FaultProxy::start(&redis.addr()).await;
    let far = Node::with(config(&format!("redis://{}", proxy.addr()))).await;
    far.touch(&user("7"), 1).await;
    proxy.set(Fault::Stall);
    far.until_down().await;
    proxy.heal();
    far.until_up().await;
    // That everything is said again is noticed with the next word, and then departures wait.
    far.until_online("t", &["7"]).await;
    far.leave(&user("7")).await;
    assert!(far.shut_down(AT_MOST).await, "in time");
    assert_eq!(redis.cli(&["ZCARD", "callcenter:nodes"]).await, "1", "it has not taken leave");
    let near = node(&redis.url()).await;
    near.until_online("t", &[]).await;
}

#[tokio::test]
async fn the_link_is_looked_after_until_the_last_word() {
    let redis = RedisSpec::new().start().await;
    let node = Node::start(&redis.url()).await;
    node.touch(&user("7"), 1).await;
    let watched = async {
        redis.suspend();
        node.until_down().await;
        node.leave(&user("7")).await;
    };
    let (ended, ()) = tokio::join!(node.shut_down(PATIENCE), watched);
    assert!(ended);
}
