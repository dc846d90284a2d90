//! Connections that do not read, read slowly, or get much at once.

use hookswitch_hub::{HistoryLimits, HubConfig};

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

/// Nothing but the last few events of a tenant are kept.
fn forgetful(events: usize) -> HubConfig {
    HubConfig { history: HistoryLimits { events, ..HistoryLimits::default() }, ..config() }
}

#[tokio::test]
async fn a_connection_that_does_not_read_misses_nothing_that_history_holds() {
    let rig = Rig::new().await;
    let mut slow = stalled(&rig).await;
    rig.settle("t").await;
    let mut reader = rig.user("t", 8).await;
    let all = ids("e", 0..900);
    publish_each(&rig, &all).await;
    assert_eq!(rig.ids("t", &mut reader).await, all, "others are not affected");
    assert!(slow.ids().is_empty());
    slow.resume(None).await;
    rig.publish([event("t", "alert", "after")]).await;
    let mut got = slow.until("after").await;
    got.retain(|id| !id.starts_with("fence-"));
    let wanted = ["first"].map(str::to_owned).into_iter().chain(all).chain(["after".to_owned()]);
    assert_eq!(got, wanted.collect::<Vec<_>>());
    assert_eq!((rig.hub.metrics().messages_dropped.get(), rig.hub.metrics().drop_notices.get()), (0, 0));
}

#[tokio::test]
async fn what_history_does_not_hold_any_more_is_told_at_its_place() {
    let rig = Rig::with(forgetful(20)).await;
    let mut slow = stalled(&rig).await;
    let (early, late) = (ids("e", 0..300), ids("late", 0..3));
    publish_each(&rig, &early).await;
    rig.settle("t").await;
    slow.resume(None).await;
    publish_each(&rig, &late).await;
    let got = slow.until("late2").await;
    let gap = got.iter().position(|id| id == "messages_dropped").expect("it is told");
    assert_eq!((got[0].as_str(), &got[1..gap]), ("first", &early[..gap - 1]), "what waited in its outbox");
    assert!(gap <= 17, "few messages wait in the outbox of one that does not read: {gap}");
    let mut behind = got[gap + 1..].to_vec();
    behind.retain(|id| !id.starts_with("fence-"));
    assert_eq!(behind, [&early[281..], &late].concat());
    assert_eq!(rig.hub.metrics().drop_notices.get(), 1);
}

#[tokio::test]
async fn each_gap_is_told_at_its_place() {
    let rig = Rig::with(HubConfig { outbox_messages: 4, ..forgetful(2) }).await;
    let mut slow = rig.user("t", 7).await;
    for round in ["a", "b"] {
        slow.stall_after(0);
        let all = ids(round, 0..8);
        publish_each(&rig, &all[..1]).await;
        slow.until_wire("it is blocked", |wire| wire.is_blocked).await;
        publish_each(&rig, &all[1..]).await;
        rig.settle("t").await;
        slow.resume(None).await;
        slow.turn_over().await;
    }
    let told = "messages_dropped";
    // A fence is the last of the two that are kept.
    assert_eq!(
        slow.ids(),
        ["a0", "a1", "a2", "a3", told, "a7", "fence-0", "b0", "b1", "b2", "b3", told, "b7", "fence-1"]
    );
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
async fn the_outbox_is_bounded_by_bytes_as_well() {
    let rig = Rig::with(HubConfig { outbox_bytes: 2_000, ..forgetful(30) }).await;
    let mut slow = stalled(&rig).await;
    let all = ids("e", 0..100);
    publish_each(&rig, &all).await;
    slow.resume(None).await;
    let got = slow.until("e99").await;
    let gap = got.iter().position(|id| id == "messages_dropped").expect("most are not kept any more");
    assert!(gap < 16, "{gap}");
    assert_eq!(got[gap + 1..], all[70..]);
}

#[tokio::test]
async fn a_connection_hears_of_the_end_of_its_session_when_it_comes_to_it() {
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
    assert_eq!(visitor.until("close 4410").await, ["m0", "m1", "m2", "m3", "ended", "close 4410"]);
}

#[tokio::test]
async fn a_connection_that_is_sent_away_is_given_what_it_is_owed() {
    let rig = Rig::with(HubConfig { outbox_messages: 8, ..config() }).await;
    let mut slow = stalled(&rig).await;
    publish_each(&rig, &ids("e", 0..40)).await;
    rig.settle("t").await;
    slow.call(|handle| handle.close(hookswitch_protocol::CloseCode::Restarting)).await;
    slow.resume(None).await;
    let got = slow.until("close 1012").await;
    assert_eq!(got[..8], [&["first".to_owned()], &ids("e", 0..7)[..]].concat(), "as much as its outbox holds");
    assert_eq!(got[8..], ["messages_dropped", "close 1012"]);
}

#[tokio::test]
async fn what_comes_between_attach_and_open_is_not_lost() {
    let rig = Rig::new().await;
    let pending = rig.pending("t", hookswitch_hub::Subject::User(7.into())).await;
    let all = ids("e", 0..300);
    publish_each(&rig, &all).await;
    rig.publish([to_user(event("t", "alert", "mine"), 7)]).await;
    rig.settle("t").await;
    let mut client = rig.open(pending).await;
    let got = client.until("mine").await;
    assert_eq!(got[..300], all);
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

fn stats(id: &str, queue: &str) -> hookswitch_protocol::Event {
    let payload = format!(r#"{{"queue_name":"{queue}"}}"#);
    let payload = hookswitch_protocol::Payload::parse(&payload).expect("an object");
    hookswitch_protocol::Event { payload, ..event("t", "queue.stats", id) }
}

/// More than waits in an outbox, so that the client is behind.
async fn fall_behind(rig: &Rig) -> Client {
    let client = stalled(rig).await;
    rig.publish(ids("a", 0..20).iter().map(|id| event("t", "agent.status", id))).await;
    client
}

#[tokio::test]
async fn what_is_urgent_comes_first_and_of_statistics_the_newest() {
    let rig = Rig::new().await;
    let mut slow = fall_behind(&rig).await;
    for n in 0..3 {
        rig.publish([stats(&format!("support{n}"), "support"), stats(&format!("sales{n}"), "sales")]).await;
    }
    rig.publish([event("t", "call.incoming", "call0"), event("t", "agent.status", "b0")]).await;
    rig.publish([event("t", "call.ended", "call1")]).await;
    rig.settle("t").await;
    slow.resume(None).await;
    rig.publish([event("t", "agent.status", "after")]).await;
    let got = slow.until("after").await;
    let (early, late) = got.split_at(got.iter().position(|id| id == "call0").expect("it came"));
    assert_eq!((early[0].as_str(), &early[1..]), ("first", &ids("a", 0..early.len() - 1)[..]), "its outbox");
    assert!(early.len() <= 16, "the calls overtake what is in history: {got:?}");
    let rest: Vec<String> = ids("a", early.len() - 1..20);
    let mut wanted = vec!["call0".to_owned(), "call1".to_owned()];
    wanted.extend(rest);
    wanted.extend(["support2", "sales2", "b0", "fence-0", "after"].map(str::to_owned));
    assert_eq!(late, wanted);
    assert_eq!(rig.hub.metrics().messages_superseded.get(), 4);
}

#[tokio::test]
async fn a_client_may_want_strict_order() {
    let rig = Rig::new().await;
    let mut slow = fall_behind(&rig).await;
    slow.call(|handle| handle.use_classes(false)).await;
    rig.publish([stats("support0", "support"), stats("support1", "support")]).await;
    rig.publish([event("t", "call.incoming", "call0")]).await;
    rig.settle("t").await;
    slow.resume(None).await;
    rig.publish([event("t", "agent.status", "after")]).await;
    let got = slow.until("after").await;
    assert_eq!(got[1..21], ids("a", 0..20));
    assert_eq!(got[21..], ["support0", "support1", "call0", "fence-0", "after"]);
}

#[tokio::test]
async fn other_peoples_urgent_events_do_not_hide_ones_own() {
    let rig = Rig::new().await;
    let mut slow = fall_behind(&rig).await;
    rig.publish((0..200).map(|n| to_user(event("t", "call.incoming", &format!("x{n}")), 8))).await;
    rig.publish([to_user(event("t", "call.incoming", "mine"), 7), event("t", "agent.status", "last")]).await;
    slow.resume(None).await;
    let got = slow.until("last").await;
    let at = |id: &str| got.iter().position(|got| got == id).expect("it came");
    assert!(at("mine") < at("a19"), "{got:?}");
}

#[tokio::test]
async fn only_one_that_was_sent_too_much_is_given_another_order() {
    let rig = Rig::new().await;
    crate::backlog::keep(&rig, &ids("m", 0..1)).await;
    let mut client = rig.user("t", 7).await;
    let (_, ping) = crate::backlog::page(&mut client).await;
    rig.publish([to_user(event("t", "agent.status", "status"), 7)]).await;
    rig.publish([to_user(event("t", "call.incoming", "call"), 7)]).await;
    rig.settle("t").await;
    client.pong(&ping).await;
    assert_eq!(client.until("call").await[..2], ["status", "call"]);
}
