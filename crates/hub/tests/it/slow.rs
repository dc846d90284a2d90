//! Connections that do not read, read slowly, or get much at once.

use hookswitch_hub::HubConfig;

use crate::rig::{Client, Frame, Rig, config, event, in_session, to_user};

fn ids(prefix: &str, range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("{prefix}{n}")).collect()
}

/// Publishes one by one, each its own batch.
async fn publish_each(rig: &Rig, ids: &[String]) {
    for id in ids {
        rig.publish([event("t", "alert", id)]).await;
    }
}

/// A connection whose socket takes nothing; one event, `first`, waits for it.
async fn stalled(rig: &Rig) -> Client {
    let client = rig.user("t", 7).await;
    client.stall_after(0);
    rig.publish([event("t", "alert", "first")]).await;
    client.until_wire("it is blocked", |wire| wire.is_blocked).await;
    client
}

#[tokio::test]
async fn a_connection_that_does_not_read_loses_the_newest_and_is_told_where() {
    let rig = Rig::new().await;
    let mut slow = stalled(&rig).await;
    rig.settle("t").await;
    let mut reader = rig.user("t", 8).await;
    let all = ids("e", 0..300);
    publish_each(&rig, &all).await;
    assert_eq!(rig.ids("t", &mut reader).await, all, "others are not affected");
    assert!(slow.ids().is_empty());
    // 256 in all: the first, a fence and 254 of the 300; the second fence is dropped with the others.
    assert_eq!(rig.hub.metrics().messages_dropped.get(), 47);
    slow.resume(None).await;
    rig.publish([event("t", "alert", "after")]).await;
    let got = slow.until("after").await;
    assert_eq!(got[..2], ["first", "fence-0"]);
    assert_eq!(got[2..256], all[..254]);
    assert_eq!(got[256..], ["messages_dropped 47", "after"]);
    assert_eq!(rig.hub.metrics().drop_notices.get(), 1);
}

#[tokio::test]
async fn the_notice_stands_before_anything_newer_as_soon_as_there_is_room() {
    let rig = Rig::new().await;
    let mut slow = stalled(&rig).await;
    publish_each(&rig, &ids("e", 0..300)).await;
    rig.settle("t").await;
    // Reads most of what waits, but not all. Half of it would do, but a burst counts as waiting until
    // it is written as a whole.
    slow.resume(Some(256 * 82)).await;
    let early = slow.ids();
    assert!((192..256).contains(&early.len()), "{}", early.len());
    publish_each(&rig, &ids("late", 0..3)).await;
    rig.settle("t").await;
    slow.resume(None).await;
    let late = slow.ids();
    assert_eq!(late[256 - early.len()..][..4], ["messages_dropped 46", "late0", "late1", "late2"]);
}

#[tokio::test]
async fn each_gap_is_told_at_its_place() {
    let rig = Rig::with(HubConfig { outbox_messages: 4, ..config() }).await;
    let mut slow = rig.user("t", 7).await;
    for round in ["a", "b"] {
        slow.stall_after(0);
        let all = ids(round, 0..6);
        publish_each(&rig, &all[..1]).await;
        slow.until_wire("it is blocked", |wire| wire.is_blocked).await;
        publish_each(&rig, &all[1..]).await;
        rig.settle("t").await;
        slow.resume(Some(0)).await;
        slow.resume(None).await;
    }
    let told = "messages_dropped 3";
    assert_eq!(slow.ids(), ["a0", "a1", "a2", "a3", told, "b0", "b1", "b2", "b3", told]);
}

#[tokio::test]
async fn a_client_that_reads_loses_nothing_to_one_batch() {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    client.stall_after(500);
    let batch = ids("e", 0..1_000);
    rig.publish(batch.iter().map(|id| event("t", "alert", id))).await;
    let mut got = Vec::new();
    for _ in 0..200 {
        rig.settle("t").await;
        client.resume(Some(5_000)).await;
        got.extend(client.ids().into_iter().filter(|id| !id.starts_with("fence")));
        if got.len() >= batch.len() {
            break;
        }
    }
    assert_eq!(got[..1_000], batch);
}

#[tokio::test]
async fn a_batch_close_behind_another_event_is_no_exception() {
    let rig = Rig::with(HubConfig { shards: 1, ..config() }).await;
    let mut client = rig.user("t", 7).await;
    let hold = client.hold_shard().await;
    client.stall_after(100);
    let batch = ids("e", 0..1_000);
    rig.publish([event("t", "alert", "before")]).await;
    rig.publish(batch.iter().map(|id| event("t", "alert", id))).await;
    drop(hold);
    rig.until("all is queued", |hub| hub.metrics().messages_queued.get() == 1_001).await;
    client.resume(None).await;
    let got = client.until("e999").await;
    assert_eq!((got[0].as_str(), &got[1..]), ("before", &batch[..]));
    assert_eq!(rig.hub.metrics().messages_dropped.get(), 0);
}

#[tokio::test]
async fn a_burst_is_written_together() {
    let rig = Rig::with(HubConfig { shards: 1, ..config() }).await;
    let mut client = rig.user("t", 7).await;
    let check = async |client: &mut Client, n_events: usize, n_flushes: usize| {
        let n_before = client.wire(|wire| wire.n_flushes);
        let hold = client.hold_shard().await;
        let batch = ids("e", 0..n_events);
        publish_each(&rig, &batch).await;
        drop(hold);
        client.until(&batch[n_events - 1]).await;
        assert_eq!(client.wire(|wire| wire.n_flushes) - n_before, n_flushes, "{n_events} events");
    };
    check(&mut client, 1, 1).await;
    check(&mut client, 64, 1).await;
    check(&mut client, 200, 4).await;
}

#[tokio::test]
async fn answers_do_not_take_the_place_of_events() {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    client.stall_after(100);
    let batch = ids("e", 0..1_000);
    rig.publish(batch.iter().map(|id| event("t", "alert", id))).await;
    client.until_wire("it is blocked", |wire| wire.is_blocked).await;
    client.answer("pong").await;
    rig.until("all is queued", |hub| hub.metrics().messages_queued.get() == 1_000).await;
    client.resume(None).await;
    let mut got = client.ids();
    assert_eq!(got.iter().filter(|id| *id == "pong").count(), 1, "the answer came");
    got.retain(|id| id != "pong");
    assert_eq!(got, batch, "and every event");
}

#[tokio::test]
async fn a_client_that_asks_without_reading_is_bounded_too() {
    let rig = Rig::new().await;
    let mut client = stalled(&rig).await;
    for _ in 0..300 {
        client.answer("pong").await;
    }
    client.resume(None).await;
    let got = client.ids();
    assert_eq!(got.iter().filter(|id| *id == "pong").count(), 256);
    assert_eq!(got.last().map(String::as_str), Some("messages_dropped 44"));
}

#[tokio::test]
async fn bytes_are_bounded_as_well() {
    let rig = Rig::with(HubConfig { outbox_bytes: 2_000, ..config() }).await;
    let mut slow = stalled(&rig).await;
    publish_each(&rig, &ids("e", 0..100)).await;
    rig.settle("t").await;
    slow.resume(None).await;
    let got = slow.ids();
    assert!(got.len() < 40, "{}", got.len());
    assert_eq!(got.last(), Some(&format!("messages_dropped {}", 102 - (got.len() - 1))));
}

#[tokio::test]
async fn a_connection_that_missed_something_hears_of_it_even_as_it_is_closed() {
    let rig = Rig::with(HubConfig { outbox_messages: 2, ..config() }).await;
    let mut visitor = rig.visitor("t", "s1").await;
    visitor.stall_after(0);
    let say = |kind, id| in_session(event("t", kind, id), "s1");
    rig.publish([say("chat.message", "m0")]).await;
    visitor.until_wire("it is blocked", |wire| wire.is_blocked).await;
    for id in ["m1", "m2", "m3"] {
        rig.publish([say("chat.message", id)]).await;
    }
    rig.publish([say("chat.session.ended", "ended")]).await;
    rig.settle("t").await;
    visitor.resume(None).await;
    assert_eq!(visitor.ids(), ["m0", "m1", "messages_dropped 3", "close 4410"]);
}

#[tokio::test]
async fn what_comes_between_attach_and_open_waits_within_the_same_bound() {
    let rig = Rig::new().await;
    let pending = rig.pending("t", hookswitch_hub::Subject::User(7.into())).await;
    publish_each(&rig, &ids("e", 0..300)).await;
    rig.publish([to_user(event("t", "alert", "mine"), 7)]).await;
    rig.settle("t").await;
    let mut client = rig.open(pending).await;
    let got = client.until("messages_dropped 46").await;
    assert_eq!(got[..256], ids("e", 0..256));
}

#[tokio::test]
async fn a_dead_socket_is_taken_out_at_the_next_write() {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    client.wire(|wire| wire.is_dead = true);
    rig.publish([event("t", "alert", "e")]).await;
    client.until_wire("the transport is dropped", |wire| wire.is_dropped).await;
    rig.until("it is counted out", |hub| hub.n_connections() == 0).await;
    assert_eq!(client.frames(), [] as [Frame; 0]);
}
