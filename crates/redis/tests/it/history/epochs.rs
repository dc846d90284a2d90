//! A history that lost something begins anew, later than ever before.

use hookswitch_redis::history::{AppendWay, Position};
use hookswitch_testkit::{PATIENCE, RedisSentinel, RedisServer, RedisSpec, eventually_some};

use super::rig::{HEAD, HistoryNode, STREAM};
use crate::rig::tenant;

/// Appends three events, has something done to Redis, and appends a fourth, which must begin a new epoch.
async fn begins_anew(damage: impl AsyncFn(&RedisServer, u64)) {
    let redis = RedisSpec::new().start().await;
    let node = HistoryNode::start(&redis.url()).await;
    node.append(&["a"]).await;
    redis.cli(&["COPY", HEAD, "{callcenter:online:t}head"]).await;
    redis.cli(&["COPY", STREAM, "{callcenter:online:t}stream"]).await;
    node.append(&["b"]).await;
    let before = node.append(&["c"]).await;
    assert_eq!((before.way, before.offsets), (AppendWay::Ready, 3..=3));
    damage(&redis, before.epoch).await;
    let after = node.append(&["d"]).await;
    assert!(after.epoch > before.epoch, "{} > {}", after.epoch, before.epoch);
    assert_eq!(after.offsets, 1..=1);
    assert_eq!(node.ids().await, ["d"], "nothing of the old epoch is left");
    assert_eq!(node.append(&["e"]).await.offsets, 2..=2);
    assert_eq!(redis.cli(&["XLEN", STREAM]).await, "2");
}

#[tokio::test]
async fn a_redis_that_was_emptied() {
    begins_anew(async |redis, _| drop(redis.cli(&["FLUSHALL"]).await)).await;
}

#[tokio::test]
async fn a_stream_that_was_emptied() {
    begins_anew(async |redis, _| drop(redis.cli(&["DEL", STREAM]).await)).await;
    begins_anew(async |redis, _| drop(redis.cli(&["XTRIM", STREAM, "MAXLEN", "0"]).await)).await;
}

#[tokio::test]
async fn a_head_that_is_gone_or_unreadable() {
    begins_anew(async |redis, _| drop(redis.cli(&["DEL", HEAD]).await)).await;
    begins_anew(async |redis, _| drop(redis.cli(&["HSET", HEAD, "held", "x"]).await)).await;
}

#[tokio::test]
async fn a_history_that_was_set_back() {
    begins_anew(async |redis, _| {
        redis.cli(&["RENAME", "{callcenter:online:t}head", HEAD]).await;
        redis.cli(&["RENAME", "{callcenter:online:t}stream", STREAM]).await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_was_set_back() {
    begins_anew(async |redis, _| drop(redis.cli(&["RENAME", "{callcenter:online:t}stream", STREAM]).await)).await;
}

#[tokio::test]
async fn a_head_that_was_set_back() {
    begins_anew(async |redis, _| drop(redis.cli(&["RENAME", "{callcenter:online:t}head", HEAD]).await)).await;
}

#[tokio::test]
async fn a_stream_whose_last_entry_was_deleted() {
    begins_anew(async |redis, epoch| drop(redis.cli(&["XDEL", STREAM, &format!("{epoch}-3")]).await)).await;
}

#[tokio::test]
async fn a_server_that_is_another_one() {
    begins_anew(async |redis, _| drop(redis.cli(&["HSET", HEAD, "run", &"0".repeat(40)]).await)).await;
}

#[tokio::test]
async fn a_stream_that_somebody_else_wrote_into() {
    begins_anew(async |redis, _| {
        redis.cli(&["XADD", STREAM, "9000000000000000000-1", "x", "y"]).await;
    })
    .await;
}

#[tokio::test]
async fn an_epoch_follows_on_the_greatest_one_seen_with_all_its_digits() {
    let redis = RedisSpec::new().start().await;
    let node = HistoryNode::start(&redis.url()).await;
    node.append(&["a"]).await;
    let cases = [
        (9_100_000_000_000_000_001, 9_100_000_000_000_000_002_u64),
        (9_100_000_000_999_999_999, 9_100_000_001_000_000_000),
        (9_199_999_999_999_999_999, 9_200_000_000_000_000_000),
    ];
    for (seen, wanted) in cases {
        let seen = Position { epoch: seen, offset: 5 };
        let appended = node.history.append(&tenant("t"), Some(seen), &node.batch(&["b"])).await.expect("appended");
        assert_eq!((appended.epoch, appended.offsets, appended.way), (wanted, 1..=1, AppendWay::Joined));
    }
}

#[tokio::test]
async fn a_fail_over_is_a_new_epoch_and_nothing_is_appended_under_the_old_servers_name() {
    let sentinel = RedisSentinel::start().await;
    let node = HistoryNode::start(&sentinel.url()).await;
    let before = node.append(&["a"]).await;
    sentinel.fail_over().await;
    // The old master takes it too until it hears of the new one; then it is lost, and is sent again.
    let batch = node.batch(&["b"]);
    let begins = async || node.send(&batch).await.ok().filter(|appended| appended.epoch > before.epoch);
    let after = eventually_some("the new master begins an epoch", PATIENCE * 2, begins).await;
    assert_eq!(after.offsets, 1..=1);
    assert_eq!(node.ids().await, ["b"]);
}
