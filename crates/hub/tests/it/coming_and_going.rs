//! Connections come and go, on every path; a node drains; a shard crashes.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_hub::memory::MemoryPresence;
use hookswitch_hub::{Attachment, ConnectionCap, ConnectionCaps, HubConfig, HubError, PresenceState, Seams, Subject};
use hookswitch_protocol::{CloseCode, SessionKey, Timestamp};
use hookswitch_runtime::Clock;
use hookswitch_testkit::{PATIENCE, eventually};

use crate::rig::{Client, Failing, FailingPresence, Rig, Scripted, ScriptedForm, config, event, tenant, user};

fn who(of: &str, number: i64) -> Attachment {
    Attachment::new(tenant(of), Subject::User(number.into()))
}

async fn offline(rig: &Rig, number: i64) {
    let key = user("t", number);
    eventually("presence says offline", PATIENCE, async || {
        rig.hub.presence(&key).await.expect("memory").state == PresenceState::Offline
    })
    .await;
}

#[tokio::test]
async fn counts_and_presence_follow_every_connection() {
    let rig = Rig::new().await;
    let phone = rig.user("t", 7).await;
    let desktop = rig.user("t", 7).await;
    let _visitor = rig.visitor("t", "s1").await;
    let _other = rig.user("u", 7).await;
    let key = user("t", 7);
    assert_eq!((rig.hub.n_connections(), rig.hub.n_tenant_connections(&tenant("t"))), (4, 3));
    assert_eq!(rig.hub.n_user_connections(&key), 2);
    assert_eq!(rig.hub.presence(&key).await.expect("memory").n_connections, 2);
    assert_eq!(rig.hub.online_users(&tenant("t")).await.expect("memory"), [7.into()]);
    phone.leave().await;
    eventually("one is left", PATIENCE, async || rig.hub.presence(&key).await.expect("memory").n_connections == 1)
        .await;
    assert!(rig.hub.is_online(&key).await.expect("memory"));
    desktop.leave().await;
    offline(&rig, 7).await;
    assert!(!rig.hub.is_online(&key).await.expect("memory"));
    assert_eq!((rig.hub.n_connections(), rig.hub.n_tenant_connections(&tenant("t"))), (2, 1));
    let metrics = rig.hub.metrics();
    assert_eq!((metrics.attached.get(), metrics.detached.get()), (4, 2));
}

#[tokio::test]
async fn nobody_has_more_connections_than_the_caps_say() {
    let connection_caps = ConnectionCaps { per_tenant: 4, per_user: 2, per_session: 1 };
    let rig = Rig::with(HubConfig { connection_caps, ..config() }).await;
    let visitor = |session: &str| {
        let subject = Subject::Visitor(SessionKey::parse(session).expect("legal"));
        Attachment { subject, ..who("t", 0) }
    };
    let refusal = async |who: Attachment| match rig.admission.attach(who, &ScriptedForm).await {
        Err(HubError::TooManyConnections { cap, limit }) => Some((cap, limit)),
        other => other.map(drop).map(|()| None).expect("taken in"),
    };
    let phone = rig.user("t", 7).await;
    let _waiting = rig.pending("t", Subject::User(7.into())).await;
    assert_eq!(refusal(who("t", 7)).await, Some((ConnectionCap::User, 2)), "also while one waits for its socket");
    let _visitor = rig.visitor("t", "s1").await;
    assert_eq!(refusal(visitor("s1")).await, Some((ConnectionCap::Session, 1)));
    let _other = rig.user("t", 8).await;
    assert_eq!(refusal(who("t", 9)).await, Some((ConnectionCap::Tenant, 4)));
    assert_eq!(refusal(visitor("s2")).await, Some((ConnectionCap::Tenant, 4)));
    assert_eq!(refusal(who("u", 7)).await, None, "another tenant has its own");
    phone.leave().await;
    eventually("there is room again", PATIENCE, async || refusal(who("t", 7)).await.is_none()).await;
}

#[tokio::test]
async fn a_user_is_not_online_before_events_reach_him() {
    let rig = Rig::with(HubConfig { shards: 1, ..config() }).await;
    let other = rig.user("t", 8).await;
    let hold = other.hold_shard().await;
    let admission = rig.admission.clone();
    let attaching = rig.scope.spawn("attach", async move { admission.attach(who("t", 7), &ScriptedForm).await });
    rig.until("it is on its way", |hub| hub.n_connections() == 2).await;
    assert!(!rig.hub.is_online(&user("t", 7)).await.expect("memory"), "an event sent now would be lost");
    drop(hold);
    let pending = attaching.await.expect("no panic").expect("not ended").expect("attached");
    assert!(rig.hub.is_online(&user("t", 7)).await.expect("memory"));
    rig.publish([event("t", "alert", "early")]).await;
    rig.open(pending).await.until("early").await;
}

#[tokio::test]
async fn an_attach_that_is_cancelled_leaves_nothing() {
    let rig = Rig::with(HubConfig { shards: 1, ..config() }).await;
    let other = rig.user("t", 8).await;
    let hold = other.hold_shard().await;
    let attaching = tokio::time::timeout(Duration::from_millis(30), rig.admission.attach(who("t", 7), &ScriptedForm));
    assert!(attaching.await.is_err(), "the shard stands still");
    drop(hold);
    rig.until("it is counted out", |hub| hub.n_connections() == 1).await;
    offline(&rig, 7).await;
}

#[tokio::test]
async fn a_berth_that_is_given_up_leaves_nothing() {
    let rig = Rig::new().await;
    drop(rig.pending("t", Subject::User(7.into())).await);
    rig.until("it is counted out", |hub| hub.n_connections() == 0).await;
    offline(&rig, 7).await;
}

#[tokio::test]
async fn a_socket_that_cannot_be_opened_leaves_nothing() {
    let rig = Rig::new().await;
    let pending = rig.pending("t", Subject::User(7.into())).await;
    let (ticket, client) = Client::pair(pending.id(), Arc::default());
    client.wire(|wire| wire.is_dead = true);
    pending.open(|handle| Scripted::open(ticket, &handle)).await;
    rig.until("it is counted out", |hub| hub.n_connections() == 0).await;
    offline(&rig, 7).await;
}

#[tokio::test]
async fn a_slot_that_changes_hands_while_it_is_dirty_harms_nobody() {
    let rig = Rig::with(HubConfig { shards: 1, ..config() }).await;
    let mut keeper = rig.user("u", 1).await;
    for round in 0..20 {
        let leaver = rig.user("t", 7).await;
        let hold = keeper.hold_shard().await;
        rig.publish([event("t", "alert", "for-the-leaver")]).await;
        drop(hold);
        leaver.leave().await;
        // Takes the slot over, for another tenant.
        let mut heir = rig.user("u", 8).await;
        let id = format!("e{round}");
        rig.publish([event("u", "alert", &id)]).await;
        assert_eq!(heir.until(&id).await, std::slice::from_ref(&id));
        assert_eq!(keeper.until(&id).await, [id]);
        heir.leave().await;
    }
    rig.until("only the keeper is left", |hub| hub.n_connections() == 1).await;
}

async fn with_failing_presence(fails: usize) -> (Rig, Arc<Failing>) {
    let clock = Clock::manual(Timestamp::from_millis(0));
    let calls = Arc::new(Failing::default());
    calls.next(fails);
    let presence = FailingPresence { memory: MemoryPresence::new(clock.clone()), calls: Arc::clone(&calls) };
    let seams = Seams { presence: Arc::new(presence), ..Seams::memory(&clock) };
    (Rig::assemble(config(), clock, |_| seams).await, calls)
}

#[tokio::test]
async fn an_attach_without_presence_is_refused_and_leaves_nothing() {
    let (rig, _) = with_failing_presence(1).await;
    let refused = rig.admission.attach(who("t", 7), &ScriptedForm).await.expect_err("presence fails");
    assert!(matches!(refused, HubError::Presence(_)), "{refused:?}");
    rig.until("it is counted out", |hub| hub.n_connections() == 0).await;
    rig.user("t", 7).await;
    assert!(rig.hub.is_online(&user("t", 7)).await.expect("memory"));
}

#[tokio::test]
async fn a_departure_that_presence_did_not_take_is_said_again() {
    let (rig, calls) = with_failing_presence(0).await;
    let client = rig.user("t", 7).await;
    calls.next(1);
    client.leave().await;
    offline(&rig, 7).await;
    assert_eq!((calls.left(), rig.hub.metrics().keeper_failures.get()), (0, 1));
}

#[tokio::test]
async fn a_drain_sends_everybody_elsewhere_and_takes_nobody_in() {
    let rig = Rig::new().await;
    let mut agent = rig.user("t", 7).await;
    let mut visitor = rig.visitor("t", "s1").await;
    let pending = rig.pending("t", Subject::User(8.into())).await;
    let hub = rig.hub.clone();
    let draining = rig.scope.spawn("drain", async move { hub.drain().await });
    assert_eq!(agent.closed().await, 1012);
    assert_eq!(visitor.closed().await, 1012);
    assert!(matches!(rig.admission.attach(who("t", 9), &ScriptedForm).await, Err(HubError::Draining)));
    assert!(rig.hub.is_draining());
    // Who was half in hears it too.
    assert_eq!(rig.open(pending).await.closed().await, 1012);
    assert_eq!(draining.await.expect("no panic"), Some(true), "all were out in time");
    assert_eq!(rig.hub.n_connections(), 0);
    assert_eq!(rig.hub.metrics().closed.get(CloseCode::Restarting.reason()), 3);
}

#[tokio::test]
async fn a_drain_lingers_once_and_not_at_all_by_default() {
    use futures_util::FutureExt as _;
    let rig = Rig::new().await;
    assert_eq!(rig.hub.drain().now_or_never(), Some(true), "nobody is here and nothing to wait for");
    let rig = Rig::with(HubConfig { drain_linger: Duration::from_millis(20), ..config() }).await;
    assert_eq!(rig.hub.drain().now_or_never(), None, "other nodes may still send");
    assert!(rig.hub.drain().await, "the rest of the same time");
    assert_eq!(rig.hub.drain().now_or_never(), Some(true), "it is over");
}

#[tokio::test]
async fn a_drain_does_not_wait_longer_than_its_bound() {
    let rig = Rig::with(HubConfig { close_timeout: Duration::from_millis(200), ..config() }).await;
    let client = rig.user("t", 7).await;
    client.stall_after(0);
    assert!(!rig.hub.drain().await || rig.hub.n_connections() == 0);
    rig.until("it is dropped", |hub| hub.n_connections() == 0).await;
    // The count goes down a moment before the socket is let go.
    client.until_wire("the socket is dropped", |wire| wire.is_dropped).await;
    assert!(client.wire(|wire| !wire.is_finished));
}

#[tokio::test]
async fn when_the_scope_ends_the_sockets_end() {
    let rig = Rig::new().await;
    let client = rig.user("t", 7).await;
    rig.scope.hard().cancel();
    client.until_wire("the transport is dropped", |wire| wire.is_dropped).await;
    eventually("nobody is taken in any more", PATIENCE, async || {
        rig.admission.attach(who("t", 8), &ScriptedForm).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn a_panic_of_a_shard_is_noticed() {
    let rig = Rig::with(HubConfig { shards: 1, ..config() }).await;
    let client = rig.user("t", 7).await;
    client.wire(|wire| wire.panics_on_write = true);
    rig.publish([event("t", "alert", "e")]).await;
    tokio::time::timeout(PATIENCE, rig.scope.soft().cancelled()).await.expect("the scope hears of it");
    assert_eq!(rig.scope.crash().map(|crash| crash.task), Some("hub-shard"));
    eventually("nobody is taken in any more", PATIENCE, async || {
        rig.admission.attach(who("t", 8), &ScriptedForm).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn a_panic_inside_the_tables_is_noticed_although_a_reader_caused_it() {
    let rig = Rig::new().await;
    let client = rig.user("t", 7).await;
    client.wire(|wire| wire.panics_on_drop = true);
    client.leave().await;
    tokio::time::timeout(PATIENCE, rig.scope.soft().cancelled()).await.expect("the scope hears of it");
    assert_eq!(rig.scope.crash().map(|crash| crash.task), Some("hub-shard"));
    client.until_wire("the transport is dropped", |wire| wire.is_dropped).await;
}
