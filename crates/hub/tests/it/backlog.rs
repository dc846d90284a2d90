//! What a user missed: comes first, in order, once, and is never lost between store and client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hookswitch_hub::memory::MemoryOffline;
use hookswitch_hub::{HubConfig, OfflineLimits, OfflineMessage, Seams, Subject};
use hookswitch_protocol::{Payload, Timestamp};
use hookswitch_runtime::Clock;
use hookswitch_testkit::{PATIENCE, eventually};
use tokio::sync::Semaphore;

use crate::rig::{Client, FailingOffline, Frame, Rig, config, event, to_user, user};

pub(crate) fn ids(prefix: &str, range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("{prefix}{n}")).collect()
}

pub(crate) async fn keep(rig: &Rig, ids: &[String]) {
    keep_of(rig, ids, 0).await;
}

/// Keeps messages with payloads of about so many bytes.
pub(crate) async fn keep_of(rig: &Rig, ids: &[String], n_bytes: usize) {
    let message = |id: &String| {
        let mut event = to_user(event("t", "notification", id), 7);
        if n_bytes > 0 {
            event.payload = Payload::from_serialize(&std::collections::BTreeMap::from([("x", "x".repeat(n_bytes))]))
                .expect("a payload");
        }
        OfflineMessage {
            user: user("t", 7),
            event_id: event.id.clone(),
            envelope: Bytes::from(event.encode()),
            at: rig.clock.now(),
        }
    };
    rig.hub.keep_offline(ids.iter().map(message).collect()).await.expect("kept");
}

/// What still waits in the store and is not claimed.
pub(crate) async fn left(rig: &Rig) -> usize {
    rig.hub.take_offline(&user("t", 7), 100_000).await.expect("memory").len()
}

/// Waits for the ping behind a page; gives what came up to it and the ping.
pub(crate) async fn page(client: &mut Client) -> (Vec<String>, Vec<u8>) {
    let mut got = Vec::new();
    let ping = client
        .until_some("a page and its ping", |client| {
            let frames = client.frames();
            let mut ping = None;
            for frame in frames {
                match frame {
                    Frame::Event(_, id) => got.push(id),
                    Frame::Error(code, _) => got.push(code),
                    Frame::Ping(payload) if !payload.is_empty() => ping = Some(payload),
                    _ => {}
                }
            }
            ping
        })
        .await;
    (got, ping)
}

/// Takes in so many pages.
async fn one_by_one(client: &mut Client, n_pages: usize) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..n_pages {
        let (got, ping) = page(client).await;
        all.extend(got);
        client.pong(&ping).await;
    }
    all
}

pub(crate) async fn confirmed(rig: &Rig, n_messages: u64) {
    rig.until("the client's pong confirms", |hub| hub.metrics().offline_delivered.get() == n_messages).await;
}

#[tokio::test]
async fn it_comes_oldest_first_and_newer_events_for_the_user_wait_behind_it() {
    let rig = Rig::new().await;
    let kept = ids("m", 0..3);
    keep(&rig, &kept).await;
    let mut client = rig.user("t", 7).await;
    let (got, ping) = page(&mut client).await;
    assert_eq!(got, kept);
    rig.publish([event("t", "alert", "for-all"), to_user(event("t", "alert", "newer"), 7)]).await;
    assert_eq!(rig.ids("t", &mut client).await, ["for-all"], "tenant-wide events do not wait");
    rig.publish([event("t", "alert", "behind")]).await;
    assert_eq!(rig.ids("t", &mut client).await, [""; 0], "but behind one that does: positions rise");
    // Another's pong, or an old one, proves nothing.
    client.pong(b"page-0").await;
    client.pong(b"").await;
    assert_eq!(rig.ids("t", &mut client).await, [""; 0]);
    client.pong(&ping).await;
    let mut got = client.until("behind").await;
    got.retain(|id| !id.starts_with("fence-"));
    assert_eq!(got, ["newer", "behind"]);
    confirmed(&rig, 3).await;
    assert_eq!(left(&rig).await, 0);
}

#[tokio::test]
async fn an_event_between_attach_and_open_does_not_overtake_it() {
    let rig = Rig::new().await;
    keep(&rig, &ids("m", 0..2)).await;
    let pending = rig.pending("t", Subject::User(7.into())).await;
    rig.publish([to_user(event("t", "alert", "newer"), 7)]).await;
    rig.settle("t").await;
    let mut client = rig.open_answering(pending).await;
    let mut got = client.until("newer").await;
    got.retain(|id| !id.starts_with("fence-"));
    assert_eq!(got, ["m0", "m1", "newer"]);
}

#[tokio::test]
async fn it_comes_in_pages_each_proved_before_the_next() {
    let rig = Rig::new().await;
    let kept = ids("m", 0..450);
    keep(&rig, &kept).await;
    let mut client = rig.user("t", 7).await;
    let mut all = Vec::new();
    for n_page in [200, 200, 50] {
        let (got, ping) = page(&mut client).await;
        assert_eq!(got.len(), n_page);
        all.extend(got);
        client.pong(&ping).await;
    }
    assert_eq!(all, kept);
    confirmed(&rig, 450).await;
    // Through: an event for the user goes out at once.
    rig.publish([to_user(event("t", "alert", "live"), 7)]).await;
    client.until("live").await;
}

#[tokio::test]
async fn what_a_connection_took_with_it_comes_again_on_the_next() {
    let rig = Rig::new().await;
    let kept = ids("m", 0..250);
    keep(&rig, &kept).await;
    let mut first = rig.user("t", 7).await;
    let (_, ping) = page(&mut first).await;
    first.pong(&ping).await;
    // Written, but nobody knows whether it was read.
    assert_eq!(page(&mut first).await.0, kept[200..]);
    first.leave().await;
    rig.until("it is given back", |hub| hub.metrics().offline_given_back.get() == 50).await;
    let mut second = rig.user("t", 7).await;
    assert_eq!(one_by_one(&mut second, 50).await, kept[200..], "nobody knows whether one of them ended it");
    confirmed(&rig, 250).await;
    assert_eq!(left(&rig).await, 0);
}

#[tokio::test]
async fn a_connection_that_is_cut_hands_over_to_one_that_is_there() {
    let rig = Rig::new().await;
    let mut second = rig.user("t", 7).await;
    let mut first = rig.user("t", 7).await;
    keep(&rig, &ids("m", 0..2)).await;
    rig.hub.backlog_arrived(&user("t", 7));
    rig.until("somebody is written to", |_| {
        first.wire(|wire| wire.n_flushes > 0) || second.wire(|wire| wire.n_flushes > 0)
    })
    .await;
    if second.wire(|wire| wire.n_flushes > 0) {
        std::mem::swap(&mut first, &mut second);
    }
    assert_eq!(page(&mut first).await.0, ["m0", "m1"]);
    assert_eq!(second.frames(), [], "only one connection is brought the backlog");
    first.wire(|wire| wire.is_dead = true);
    rig.publish([event("t", "alert", "finds-it-dead")]).await;
    let mut got = one_by_one(&mut second, 2).await;
    got.retain(|id| id != "finds-it-dead");
    assert_eq!(got, ["m0", "m1"]);
    confirmed(&rig, 2).await;
}

#[tokio::test]
async fn of_two_connections_at_once_one_is_served_and_both_go_on() {
    let rig = Rig::new().await;
    keep(&rig, &ids("m", 0..2)).await;
    let pending = [rig.pending("t", Subject::User(7.into())).await, rig.pending("t", Subject::User(7.into())).await];
    rig.publish([to_user(event("t", "alert", "newer"), 7)]).await;
    let mut all = Vec::new();
    for one in pending {
        all.push(rig.open_answering(one).await);
    }
    let mut n_served = 0;
    for client in &mut all {
        let got = client.until("newer").await;
        if got.len() > 1 {
            assert_eq!(got, ["m0", "m1", "newer"]);
            n_served += 1;
        }
    }
    assert_eq!(n_served, 1);
    confirmed(&rig, 2).await;
}

#[tokio::test]
async fn messages_kept_for_somebody_who_came_meanwhile_are_brought() {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    client.wire(|wire| wire.answers_pings = true);
    // Each round may fall into the last moments of the delivery task before: none may be forgotten.
    for round in 0..100 {
        let id = format!("m{round}");
        keep(&rig, std::slice::from_ref(&id)).await;
        rig.hub.backlog_arrived(&user("t", 7));
        assert_eq!(client.until(&id).await, [id]);
    }
    confirmed(&rig, 100).await;
}

#[tokio::test]
async fn what_was_dropped_over_the_bound_is_told_until_somebody_has_heard() {
    let clock = Clock::manual(Timestamp::from_millis(0));
    let limits = OfflineLimits { per_user: 3, ..OfflineLimits::default() };
    let seams = Seams { offline: Arc::new(MemoryOffline::new(limits, clock.clone())), ..Seams::memory(&clock) };
    let rig = Rig::assemble(config(), clock, |_| seams).await;
    keep(&rig, &ids("m", 0..5)).await;
    let wanted = ["messages_dropped", "m2", "m3", "m4"];
    let mut first = rig.user("t", 7).await;
    let mut second = rig.user("t", 7).await;
    assert_eq!(page(&mut first).await.0, wanted);
    first.leave().await;
    assert_eq!(one_by_one(&mut second, 3).await, wanted);
    confirmed(&rig, 3).await;
}

#[tokio::test]
async fn what_waits_behind_it_comes_from_history_however_much_it_is() {
    let rig = Rig::with(HubConfig { outbox_messages: 10, ..config() }).await;
    keep(&rig, &ids("m", 0..1)).await;
    let mut client = rig.user("t", 7).await;
    let (_, ping) = page(&mut client).await;
    rig.publish([event("t", "alert", "for-all")]).await;
    assert_eq!(rig.ids("t", &mut client).await, ["for-all"]);
    for id in ids("e", 0..13) {
        rig.publish([to_user(event("t", "alert", &id), 7)]).await;
    }
    client.pong(&ping).await;
    assert_eq!(client.until("e12").await, ids("e", 0..13));
    rig.publish([event("t", "alert", "live")]).await;
    assert_eq!(rig.ids("t", &mut client).await, ["live"], "what was for everybody does not come again");
}

#[tokio::test]
async fn a_close_takes_what_was_held_along_and_the_store_keeps_the_rest() {
    let rig = Rig::new().await;
    keep(&rig, &ids("m", 0..1)).await;
    let mut client = rig.user("t", 7).await;
    page(&mut client).await;
    rig.publish([to_user(event("t", "alert", "held"), 7)]).await;
    rig.settle("t").await;
    client.frames();
    client.call(|line| line.close(hookswitch_protocol::CloseCode::Restarting)).await;
    // The fence of this test came behind it.
    assert_eq!(client.until("close 1012").await, ["held", "fence-0", "close 1012"]);
    rig.until("it is given back", |hub| hub.metrics().offline_given_back.get() == 1).await;
    assert_eq!(left(&rig).await, 1);
}

#[tokio::test]
async fn while_a_page_awaits_its_proof_every_ping_asks_for_just_that() {
    let quick = HubConfig { ping_interval: Duration::from_millis(100), ..config() };
    let rig = Rig::with(quick).await;
    keep(&rig, &ids("m", 0..1)).await;
    let mut client = rig.user("t", 7).await;
    let (_, first) = page(&mut client).await;
    let (_, again) = page(&mut client).await;
    assert_eq!(first, again);
    client.pong(&again).await;
    confirmed(&rig, 1).await;
    assert_eq!(client.pinged().await, b"", "then they are ordinary again");
}

#[tokio::test]
async fn a_client_that_talks_but_never_proves_is_sent_away() {
    let quick =
        HubConfig { ping_interval: Duration::from_millis(50), pong_timeout: Duration::from_millis(600), ..config() };
    let rig = Rig::with(quick).await;
    keep(&rig, &ids("m", 0..1)).await;
    let mut client = rig.user("t", 7).await;
    let (mut closed, deadline) = (false, tokio::time::Instant::now() + PATIENCE);
    while !closed {
        assert!(tokio::time::Instant::now() < deadline, "it is never sent away");
        client.tell(hookswitch_hub::ConnectionHandle::heard).await;
        client
            .until_some("a ping or a close", |client| {
                let frames = client.frames();
                closed = frames.contains(&Frame::Close(4408));
                (!frames.is_empty()).then_some(())
            })
            .await;
    }
    rig.until("it is given back", |hub| hub.metrics().offline_given_back.get() == 1).await;
    assert_eq!(left(&rig).await, 1);
}

#[tokio::test]
async fn a_store_that_fails_is_asked_again() {
    let clock = Clock::manual(Timestamp::from_millis(0));
    let offline = FailingOffline::new(clock.clone());
    let (claims, settlements) = (Arc::clone(&offline.claims), Arc::clone(&offline.settlements));
    let seams = Seams { offline: Arc::new(offline), ..Seams::memory(&clock) };
    let rig = Rig::assemble(config(), clock, |_| seams).await;
    keep(&rig, &ids("m", 0..1)).await;
    claims.next(1);
    settlements.next(1);
    let pending = rig.pending("t", Subject::User(7.into())).await;
    rig.publish([to_user(event("t", "alert", "live"), 7)]).await;
    let mut client = rig.open_answering(pending).await;
    assert_eq!(client.until("live").await, ["live"], "a failing store does not hold up live events");
    client.until("m0").await;
    confirmed(&rig, 1).await;
    assert_eq!((claims.left(), settlements.left(), rig.hub.metrics().keeper_failures.get()), (0, 0, 2));
    eventually("it is gone for good", PATIENCE, async || left(&rig).await == 0).await;
}

/// A hub whose store looks up each claim at once, and answers only as many as there are permits; and
/// how many were made.
async fn answering(n_claims: usize) -> (Rig, Arc<Semaphore>, Arc<AtomicUsize>) {
    let clock = Clock::manual(Timestamp::from_millis(0));
    let offline = FailingOffline { answers: Arc::new(Semaphore::new(n_claims)), ..FailingOffline::new(clock.clone()) };
    let (answers, n_claims) = (Arc::clone(&offline.answers), Arc::clone(&offline.n_claims));
    let seams = Seams { offline: Arc::new(offline), ..Seams::memory(&clock) };
    (Rig::assemble(config(), clock, |_| seams).await, answers, n_claims)
}

#[tokio::test]
async fn a_request_at_the_last_moment_of_a_courier_is_not_lost() {
    let (rig, answers, n_claims) = answering(1).await;
    keep(&rig, &ids("m", 0..1)).await;
    let pending = rig.pending("t", Subject::User(7.into())).await;
    let mut client = rig.open_answering(pending).await;
    client.until("m0").await;
    // The second claim has found nothing, but the delivery task has not heard it yet.
    rig.until("the second claim is made", |_| n_claims.load(Ordering::SeqCst) == 2).await;
    keep(&rig, &["late".to_owned()]).await;
    let _held_back = rig.hub.backlog_arrived(&user("t", 7));
    answers.add_permits(10);
    client.until("late").await;
    confirmed(&rig, 2).await;
}

/// Or whoever publishes for a user that is just coming would wait for that user's pong.
#[tokio::test]
async fn no_client_can_delay_who_asks_while_a_claim_is_made() {
    let (rig, answers, n_claims) = answering(0).await;
    keep(&rig, &ids("m", 0..1)).await;
    let mut client = rig.user("t", 7).await;
    rig.until("the first claim is made", |_| n_claims.load(Ordering::SeqCst) == 1).await;
    keep(&rig, &["late".to_owned()]).await;
    let notice = rig.hub.backlog_arrived(&user("t", 7));
    answers.add_permits(10);
    let (_, ping) = page(&mut client).await;
    tokio::time::timeout(PATIENCE, notice.taken()).await.expect("although no pong has come");
    client.pong(&ping).await;
    client.until("late").await;
}

/// Who came while the store was away gets what waited when it is back, not at his next connection.
#[tokio::test]
async fn a_store_that_was_away_for_long_is_asked_again_when_it_is_back() {
    let clock = Clock::manual(Timestamp::from_millis(0));
    let offline = FailingOffline::new(clock.clone());
    let claims = Arc::clone(&offline.claims);
    let seams = Seams { offline: Arc::new(offline), ..Seams::memory(&clock) };
    let rig = Rig::assemble(config(), clock, |_| seams).await;
    keep(&rig, &ids("m", 0..1)).await;
    claims.next(5);
    let pending = rig.pending("t", Subject::User(7.into())).await;
    let mut client = rig.open_answering(pending).await;
    rig.until("the delivery task gave up", |hub| hub.metrics().keeper_failures.get() == 5).await;
    // What a broker says when the way to the store is open again.
    rig.sink.on_gap(hookswitch_hub::GapScope::All, None);
    client.until("m0").await;
}
