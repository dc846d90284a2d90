//! What is held: so many events and bytes, for so long, and of opt-in types a quarter.

use std::time::Duration;

use hookswitch_redis::history::{AppendEvent, MissingEvents, StreamLimits};
use hookswitch_testkit::{PATIENCE, RedisSpec, eventually};

use super::rig::{HEAD, HistoryNode, STREAM, id_of, ordinary};

fn missing(first: u64, last: u64, is_opt_in: bool) -> MissingEvents {
    MissingEvents { first, last, is_opt_in }
}

#[tokio::test]
async fn the_oldest_events_go_when_there_are_too_many() {
    let redis = RedisSpec::new().start().await;
    let node = HistoryNode::bounded(&redis.url(), StreamLimits { events: 16, ..StreamLimits::default() }).await;
    for n in 1..=25 {
        node.append(&[&n.to_string()]).await;
    }
    let page = node.page_after(3).await;
    assert_eq!(page.events.iter().map(|event| event.offset).collect::<Vec<_>>(), (10..=25).collect::<Vec<_>>());
    assert_eq!((page.missing, page.held_from, page.through), (vec![missing(4, 9, false)], 10, 25));
    let pairs: Vec<String> = (26..=33).map(|n| n.to_string()).collect();
    node.append(&pairs.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(node.page_after(0).await.held_from, 18);
    assert_eq!(redis.cli(&["XLEN", STREAM]).await, "12", "eight single ones, and four entries of two");
}

#[tokio::test]
async fn the_oldest_events_go_when_they_have_too_many_bytes() {
    let redis = RedisSpec::new().start().await;
    let size = ordinary("t", "1").envelope.len();
    let bounds = StreamLimits { bytes: 5 * size, ..StreamLimits::default() };
    let node = HistoryNode::bounded(&redis.url(), bounds).await;
    for n in 1..=8 {
        node.append(&[&n.to_string()]).await;
    }
    assert_eq!(node.ids().await, ["4", "5", "6", "7", "8"]);
    let vast = AppendEvent {
        envelope: [b"{\"x\":\"", vec![b'x'; 5 * size].as_slice(), b"\"}"].concat().into(),
        ..ordinary("t", "9")
    };
    let appended = node.send(&node.history.batch(vec![vast])).await.expect("appended, and not held");
    assert_eq!(appended.offsets, 9..=9);
    let page = node.page_after(7).await;
    assert_eq!((page.events.len(), page.missing, page.held_from), (0, vec![missing(8, 9, false)], 10));
    assert_eq!(node.append(&["10"]).await.epoch, appended.epoch, "nothing was lost, so the epoch goes on");
    assert_eq!(node.ids().await, ["10"]);
}

#[tokio::test]
async fn the_oldest_events_go_when_they_are_too_old_and_a_quiet_stream_expires() {
    let redis = RedisSpec::new().start().await;
    let bounds = StreamLimits { age: Duration::from_millis(400), ..StreamLimits::default() };
    let node = HistoryNode::bounded(&redis.url(), bounds).await;
    let first = node.append(&["1"]).await;
    let mut n = 1;
    let begun = tokio::time::Instant::now();
    while node.page_after(0).await.held_from == 1 {
        assert!(begun.elapsed() < PATIENCE, "the first is dropped");
        n += 1;
        node.append(&[&n.to_string()]).await;
    }
    eventually("the stream expires", PATIENCE, async || redis.cli(&["EXISTS", STREAM]).await == "0").await;
    let page = node.page_after(0).await;
    assert_eq!((page.events, page.missing, page.held_from), (vec![], vec![missing(1, n, false)], n + 1));
    let next = node.append(&["next"]).await;
    assert_eq!((next.epoch, next.offsets), (first.epoch, n + 1..=n + 1), "it expired, and was not lost");
    assert_eq!(node.ids().await, ["next"]);
}

#[tokio::test]
async fn opt_in_types_have_a_quarter_and_push_nothing_else_out() {
    let redis = RedisSpec::new().start().await;
    let node = HistoryNode::bounded(&redis.url(), StreamLimits { events: 40, ..StreamLimits::default() }).await;
    for n in 1..=60 {
        if n % 2 == 0 {
            node.append_opt_in(&n.to_string()).await;
        } else {
            node.append(&[&n.to_string()]).await;
        }
    }
    let page = node.page_after(0).await;
    assert_eq!(page.events.len(), 40);
    assert_eq!(page.events.iter().filter(|event| event.marks.is_opt_in).count(), 10);
    assert_eq!((page.held_from, page.opt_in_held_from), (1, 41));
    let wanted: Vec<_> = (1..=20).map(|n| missing(2 * n, 2 * n, true)).collect();
    assert_eq!(page.missing, wanted, "holes that only concern whoever asked for such events");
    for n in 61..=90 {
        node.append(&[&n.to_string()]).await;
    }
    let page = node.page_after(0).await;
    assert_eq!(page.events.len(), 40);
    assert!(page.events.iter().all(|event| id_of(event) == event.offset.to_string()));
    assert_eq!(page.missing[0], missing(1, page.held_from - 1, false));
    let fields = redis.cli(&["HKEYS", HEAD]).await;
    let n_opt_in = page.events.iter().filter(|event| event.marks.is_opt_in).count();
    assert_eq!(fields.lines().filter(|field| field.starts_with("o:")).count(), n_opt_in);
}
