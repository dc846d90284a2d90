//! What comes from other nodes: delivered, waited with, kept, told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hookswitch_hub::memory::MemoryOffline;
use hookswitch_hub::{
    GapScope, HubConfig, OfflineLimits, OfflineMessage, OfflineStore as _, Origin, Received, Seams, UserKey,
};
use hookswitch_protocol::{Event, NodeId, Payload, Timestamp};
use hookswitch_runtime::Clock;
use hookswitch_testkit::{PATIENCE, eventually};

use tokio::sync::Semaphore;

use crate::rig::{FailingOffline, Rig, config, in_session, key, tenant, to_user, user};

const NOW: Timestamp = Timestamp::from_millis(1_761_393_600_000);

/// A fresh event: kept ones must not be too old.
fn event(of: &str, kind: &str, id: &str) -> Event {
    Event { timestamp: NOW, ..crate::rig::event(of, kind, id) }
}

fn from_a_node(event: Event) -> Received {
    Received::live(event, Origin::Node { answerable_with: None })
}

/// An event for whose user this node is answerable, together with these.
fn answerable(event: Event, others: &[&str]) -> Received {
    let others = others.iter().map(|name| NodeId::parse(name).expect("legal")).collect();
    Received::live(event, Origin::Node { answerable_with: Some(others) })
}

/// A rig whose kept messages can be looked at.
async fn with_offline() -> (Rig, Arc<MemoryOffline>) {
    let clock = Clock::manual(NOW);
    let offline = Arc::new(MemoryOffline::new(OfflineLimits::default(), clock.clone()));
    let seams = Seams { offline: offline.clone(), ..Seams::memory(&clock) };
    (Rig::assemble(config(), clock, |_| seams).await, offline)
}

async fn until_kept(offline: &MemoryOffline, who: &UserKey) {
    eventually("the message is kept", PATIENCE, async || offline.may_have(who)).await;
}

#[tokio::test]
async fn an_event_whose_user_has_just_left_is_kept_by_the_node_that_held_him() {
    let (rig, offline) = with_offline().await;
    let _somebody = rig.user("t", 1).await;
    rig.sink.on_events(&tenant("t"), vec![answerable(to_user(event("t", "alert", "missed"), 7), &[])]);
    until_kept(&offline, &user("t", 7)).await;
    let mut back = rig.user("t", 7).await;
    assert_eq!(back.until("missed").await, ["missed"]);
}

#[tokio::test]
async fn it_is_left_alone_by_a_node_that_is_not_answerable_or_met_him() {
    let (rig, offline) = with_offline().await;
    let mut here = rig.user("t", 8).await;
    rig.sink.on_events(&tenant("t"), vec![from_a_node(to_user(event("t", "alert", "not-ours"), 7))]);
    rig.sink.on_events(&tenant("t"), vec![answerable(to_user(event("t", "alert", "received"), 8), &[])]);
    assert_eq!(here.until("received").await, ["received"]);
    // Jobs are done in turn: when this one is kept, those before it are settled.
    rig.sink.on_events(&tenant("t"), vec![answerable(to_user(event("t", "alert", "missed"), 9), &[])]);
    until_kept(&offline, &user("t", 9)).await;
    assert!(!offline.may_have(&user("t", 7)) && !offline.may_have(&user("t", 8)));
}

#[tokio::test]
async fn what_another_node_kept_is_brought_to_who_is_here() {
    let (rig, offline) = with_offline().await;
    let mut client = rig.user("t", 7).await;
    let message = OfflineMessage::of(&to_user(event("t", "alert", "kept"), 7)).expect("it is for one user");
    offline.put(vec![message]).await.expect("kept");
    rig.sink.on_backlog(user("t", 7));
    assert_eq!(client.until("kept").await, ["kept"]);
}

#[tokio::test]
async fn a_gap_is_told_to_the_connections_it_concerns() {
    let rig = Rig::new().await;
    let (mut here, mut visitor) = (rig.user("t", 1).await, rig.visitor("t", "s").await);
    let mut elsewhere = rig.user("u", 1).await;
    rig.sink.on_gap(GapScope::Tenant(tenant("t")), Some(3));
    assert_eq!(here.until("messages_dropped 3").await, ["messages_dropped 3"]);
    assert_eq!(visitor.until("messages_dropped 3").await, ["messages_dropped 3"]);
    rig.sink.on_gap(GapScope::All, None);
    assert_eq!(elsewhere.until("messages_dropped").await, ["messages_dropped"]);
}

#[tokio::test]
async fn a_burst_of_another_node_waits_for_room_in_order() {
    let rig = Rig::with(HubConfig { mailbox_events: 1_000, shards: 1, ..config() }).await;
    let mut client = rig.user("t", 1).await;
    let hold = client.hold_shard().await;
    let ids: Vec<String> = (0..3_000).map(|n| format!("e{n}")).collect();
    for id in &ids {
        rig.sink.on_events(&tenant("t"), vec![from_a_node(event("t", "alert", id))]);
    }
    drop(hold);
    assert_eq!(client.until("e2999").await, ids);
}

#[tokio::test]
async fn what_comes_before_the_end_of_its_session_still_belongs_to_it_in_a_batch_that_is_cut() {
    let rig = Rig::new().await;
    rig.hub.sessions().start(&tenant("t"), &key("s"), None).await.expect("started");
    let mut visitor = rig.visitor("t", "s").await;
    let payload = Payload::parse(r#"{"session_id":"s"}"#).expect("an object");
    let message = Event { payload, ..event("t", "chat.message", "message") };
    let mut batch = vec![Received::live(message, Origin::Foreign)];
    batch.extend((0..100).map(|n| from_a_node(event("t", "alert", &format!("e{n}")))));
    batch.push(from_a_node(in_session(event("t", "chat.session.ended", "end"), "s")));
    rig.sink.on_events(&tenant("t"), batch);
    assert_eq!(visitor.until("end").await[..2], ["message", "end"]);
    assert_eq!(rig.hub.sessions().find_known(&key("s")), None);
}

#[tokio::test]
async fn what_waits_is_bounded_by_bytes_and_shared_between_tenants() {
    let rig = Rig::with(HubConfig { mailbox_events: 4, shards: 1, ..config() }).await;
    let mut quiet = rig.user("u", 1).await;
    let mut client = rig.user("t", 1).await;
    let hold = client.hold_shard().await;
    let payload = Payload::parse(&format!("{{\"x\":\"{}\"}}", "x".repeat(1024 * 1024))).expect("an object");
    let large = from_a_node(Event { payload, ..event("t", "alert", "large") });
    for _ in 0..200 {
        rig.sink.on_events(&tenant("t"), vec![large.clone()]);
    }
    let n_dropped = rig.hub.metrics().events_overflowed.get();
    assert!((130..=140).contains(&n_dropped), "of 128 MiB one tenant may have half: {n_dropped} dropped");
    rig.sink.on_events(&tenant("u"), vec![from_a_node(event("u", "alert", "small"))]);
    drop(hold);
    assert_eq!(quiet.until("small").await, ["small"]);
    client.until(&format!("messages_dropped {n_dropped}")).await;
}

/// A store that hangs fills nobody else's part of what may wait for it.
#[tokio::test]
async fn what_waits_to_be_kept_is_shared_between_tenants() {
    let clock = Clock::manual(NOW);
    let offline = FailingOffline { puts: Arc::new(Semaphore::new(0)), ..FailingOffline::new(clock.clone()) };
    let (puts, n_puts) = (Arc::clone(&offline.puts), Arc::clone(&offline.n_puts));
    let seams = Seams { offline: Arc::new(offline), ..Seams::memory(&clock) };
    let rig = Rig::assemble(config(), clock, |_| seams).await;
    let message = |of: &str, n: usize| {
        OfflineMessage::of(&to_user(event(of, "alert", &format!("e{n}")), 7)).expect("it is for one user")
    };
    let n_taken = (0..5_000).take_while(|n| rig.hub.keep_later(message("t", *n))).count();
    assert_eq!(n_taken, 2_048, "half of the room, each counted as 16 KiB");
    assert!(rig.hub.keep_later(message("u", 0)), "another tenant's");
    assert_eq!(rig.hub.metrics().jobs_dropped.get(), 1);
    let begun = "half of those at once are the first tenant's, and the last one's is begun beside them";
    eventually(begun, PATIENCE, async || n_puts.load(Ordering::SeqCst) == 33).await;
    puts.add_permits(33);
    eventually("the other's is kept", PATIENCE, async || {
        !rig.hub.take_offline(&user("u", 7), 1).await.expect("memory").is_empty()
    })
    .await;
}

#[tokio::test]
async fn what_finds_no_room_for_long_is_dropped_and_told() {
    let deadline = std::time::Duration::from_millis(50);
    let rig = Rig::with(HubConfig { mailbox_events: 4, shards: 1, publish_deadline: deadline, ..config() }).await;
    let mut client = rig.user("t", 1).await;
    let hold = client.hold_shard().await;
    for n in 0..40 {
        rig.sink.on_events(&tenant("t"), vec![from_a_node(event("t", "alert", &format!("e{n}")))]);
    }
    rig.until("some were dropped", |hub| hub.metrics().events_overflowed.get() > 0).await;
    drop(hold);
    client
        .until_some("the client is told", |client| {
            client.ids().iter().any(|id| id.starts_with("messages_dropped")).then_some(())
        })
        .await;
}

/// What a node published together comes together, and is handed over so; where there is less room, in parts.
#[tokio::test]
async fn a_batch_of_another_node_keeps_its_order_whatever_room_there_is() {
    for mailbox_events in [4, 64, 1_000] {
        let rig = Rig::with(HubConfig { mailbox_events, shards: 1, ..config() }).await;
        let (mut all, mut one) = (rig.user("t", 1).await, rig.user("t", 7).await);
        let hold = all.hold_shard().await;
        let ids: Vec<String> = (0..200).map(|n| format!("e{n}")).collect();
        for batch in ids.chunks(100) {
            let for_one = |n: usize| n.is_multiple_of(3);
            let batch = batch.iter().enumerate().map(|(n, id)| {
                let event = event("t", "alert", id);
                from_a_node(if for_one(n) { to_user(event, 7) } else { event })
            });
            rig.sink.on_events(&tenant("t"), batch.collect());
        }
        drop(hold);
        assert_eq!(one.until("e199").await, ids, "{mailbox_events}");
        let for_all: Vec<_> =
            ids.iter().enumerate().filter(|(n, _)| n % 100 % 3 != 0).map(|(_, id)| id.clone()).collect();
        assert_eq!(all.until(for_all.last().expect("some")).await, for_all, "{mailbox_events}");
    }
}

/// A batch larger than what may wait loses its end, and that is told.
#[tokio::test]
async fn the_end_of_a_batch_that_finds_no_room_is_dropped_and_told() {
    let deadline = std::time::Duration::from_secs(30);
    let rig = Rig::with(HubConfig { mailbox_events: 64, shards: 1, publish_deadline: deadline, ..config() }).await;
    let mut client = rig.user("t", 1).await;
    let hold = client.hold_shard().await;
    let batch = (0..6_000).map(|n| from_a_node(event("t", "alert", &format!("e{n}"))));
    rig.sink.on_events(&tenant("t"), batch.collect());
    let n_dropped = rig.hub.metrics().events_overflowed.get();
    assert!((1_700..2_000).contains(&n_dropped), "4,096 wait and some are taken in: {n_dropped}");
    drop(hold);
    let told = format!("messages_dropped {n_dropped}");
    client.until_some("the client is told", |client| client.ids().contains(&told).then_some(())).await;
}

/// The receiver of a broker goes on while the line is handed over: both are at it at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lasting_burst_of_another_node_is_one_line() {
    let bounds = HubConfig { outbox_messages: 1_000_000, outbox_bytes: 1 << 30, ..config() };
    let rig = Rig::with(HubConfig { mailbox_events: 128, shards: 1, ..bounds }).await;
    let mut client = rig.user("t", 1).await;
    let sink = Arc::clone(&rig.sink);
    // Now faster than the shard, now slower, so that the line is emptied and filled again and again.
    let flood = move || {
        for n in 0..BURST {
            sink.on_events(&tenant("t"), vec![from_a_node(event("t", "alert", &format!("e{n}")))]);
            if n % 400 > 150 {
                (0..2_000).for_each(|n| _ = std::hint::black_box(n));
            }
        }
        // The last one finds room at some time; whatever was dropped before is told.
        sink.on_events(&tenant("t"), vec![from_a_node(event("t", "alert", "last"))]);
    };
    tokio::task::spawn_blocking(flood).await.expect("no panic");
    let ids = client
        .until_some("the end arrives or the line is dead", |client| {
            let ids = client.ids();
            (rig.scope.crash().is_some() || ids.iter().any(|id| id == "last")).then_some(ids)
        })
        .await;
    let numbers: Vec<u64> = ids.iter().filter_map(|id| id.strip_prefix('e').and_then(|n| n.parse().ok())).collect();
    assert_eq!((rig.scope.crash(), numbers.is_sorted()), (None, true), "of {}", numbers.len());
}

const BURST: u64 = 100_000;
