//! What Redis refuses changes nothing and is told with the key; what it does not answer is sent again.

use std::error::Error as _;
use std::time::Duration;

use hookswitch_redis::history::{AppendWay, HistoryError, Position, StreamLimits};
use hookswitch_testkit::{Fault, FaultProxy, PATIENCE, RedisSpec, eventually_some};

use super::rig::{HEAD, HistoryNode, STREAM, WIDE, config};
use crate::rig::tenant;

/// What was refused, where, and in which words of Redis.
#[track_caller]
fn check_refusal(error: &HistoryError, key: &str, words: &str) {
    let HistoryError::Refused { key: told, .. } = error else { panic!("{error:?}") };
    assert_eq!(told, key);
    let source = error.source().and_then(|source| source.source()).expect("Redis' answer").to_string();
    assert!(source.contains(words) && error.to_string().contains(key), "{error}: {source}");
    assert!(!error.is_doubtful());
}

#[tokio::test]
async fn a_key_of_another_type_is_named() {
    let redis = RedisSpec::new().start().await;
    let node = HistoryNode::start(&redis.url()).await;
    for key in [HEAD, STREAM] {
        redis.cli(&["SET", key, "x"]).await;
        let batch = node.batch(&["a"]);
        check_refusal(&node.send(&batch).await.expect_err("refused"), key, "WRONGTYPE");
        let read = node.history.read_after(&tenant("t"), Position { epoch: 1, offset: 0 }, WIDE).await;
        assert!(key == STREAM || matches!(read, Err(HistoryError::Refused { .. })), "{read:?}");
        redis.cli(&["DEL", key]).await;
        assert_eq!(node.send(&batch).await.expect("appended now").offsets, 1..=1);
        redis.cli(&["DEL", HEAD, STREAM]).await;
    }
}

#[tokio::test]
async fn a_full_redis_refuses_and_has_changed_nothing() {
    let redis = RedisSpec::new().start().await;
    let node = HistoryNode::bounded(&redis.url(), StreamLimits { events: 2, ..StreamLimits::default() }).await;
    node.append(&["a"]).await;
    node.append(&["b"]).await;
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let batch = node.batch(&["c"]);
    check_refusal(&node.send(&batch).await.expect_err("refused"), STREAM, "OOM");
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(node.ids().await, ["a", "b"]);
    let appended = node.send(&batch).await.expect("appended");
    assert_eq!((appended.way, appended.offsets), (AppendWay::Ready, 3..=3));
}

#[tokio::test]
async fn a_missing_permission_is_told() {
    let redis = RedisSpec::new().start().await;
    let node = HistoryNode::start(&redis.url()).await;
    node.append(&["a"]).await;
    redis.cli(&["ACL", "SETUSER", "default", "-xadd"]).await;
    let error = node.send(&node.batch(&["b"])).await.expect_err("refused");
    check_refusal(&error, STREAM, "can't run this command");
    redis.cli(&["ACL", "SETUSER", "default", "+xadd", "-evalsha", "-eval"]).await;
    check_refusal(&node.send(&node.batch(&["b"])).await.expect_err("refused"), HEAD, "NOPERM");
    redis.cli(&["ACL", "SETUSER", "default", "+evalsha", "+eval", "-publish"]).await;
    let appended = node.send(&node.batch(&["b"])).await.expect("it is in the history");
    assert_eq!(appended.offsets, 2..=2);
    let refusal = appended.unpublished.expect("and was published nowhere");
    assert_eq!(refusal.channel, "callcenter:tenant:t");
    redis.cli(&["ACL", "SETUSER", "default", "+publish"]).await;
    assert_eq!(node.append(&["c"]).await.unpublished, None);
    assert_eq!(node.ids().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn an_append_without_an_answer_is_sent_again_and_is_there_once() {
    let redis = RedisSpec::new().start().await;
    let proxy = FaultProxy::start(&redis.addr()).await;
    let mut config = config(&format!("redis://{}", proxy.addr()));
    config.command_timeout = Duration::from_millis(500);
    let node = HistoryNode::with(config, StreamLimits::default()).await;
    let first = eventually_some("appended", PATIENCE, async || node.send(&node.batch(&["a"])).await.ok()).await;
    let before = node.ids().await.len();
    for fault in [Fault::Stall, Fault::Cut] {
        proxy.set(fault);
        let batch = node.batch(&["x"]);
        let error = node.send(&batch).await.expect_err("no answer");
        assert!(matches!(error, HistoryError::Unanswered { .. } | HistoryError::Away { .. }), "{error:?}");
        proxy.heal();
        let again = eventually_some("it is sent again", PATIENCE, async || node.send(&batch).await.ok()).await;
        assert_eq!(again.epoch, first.epoch);
    }
    assert_eq!(node.ids().await.len(), before + 2, "once each");
}

#[tokio::test]
async fn a_connection_that_was_cut_is_replaced() {
    let redis = RedisSpec::new().start().await;
    let node = HistoryNode::start(&redis.url()).await;
    node.append(&["a"]).await;
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    let batch = node.batch(&["b"]);
    let appended = eventually_some("over another", PATIENCE, async || node.send(&batch).await.ok()).await;
    assert_eq!(appended.offsets, 2..=2);
    assert_eq!(node.ids().await, ["a", "b"]);
}
