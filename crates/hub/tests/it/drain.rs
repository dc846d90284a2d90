//! Sending everybody elsewhere, spread over a window.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use hookswitch_hub::memory::MemoryPresence;
use hookswitch_hub::{
    BoxFuture, HubConfig, HubError, PresenceChange, PresenceError, PresenceStore, Seams, Subject, UserKey, UserPresence,
};
use hookswitch_protocol::{NodeId, TenantId, Timestamp, UserId};
use hookswitch_runtime::Clock;
use hookswitch_testkit::{PATIENCE, eventually};
use tokio::time::Instant;

use crate::rig::{Client, Frame, Rig, ScriptedForm, config, event, tenant, user};

fn over(drain_window: Duration) -> HubConfig {
    HubConfig { drain_window, ..config() }
}

/// Waits for the end; gives when it came and what the client was told: when to be back, in milliseconds.
async fn sent_away(client: &mut Client) -> (Instant, u64) {
    let mut frames = Vec::new();
    let after = client
        .until_some("it is sent away", |client| {
            frames.extend(client.frames());
            match frames.as_slice() {
                [.., Frame::Reconnect(after), Frame::Close(1012)] => Some(*after),
                _ => None,
            }
        })
        .await;
    (Instant::now(), after)
}

#[tokio::test]
async fn closes_are_spread_over_the_window_and_each_client_has_a_moment_of_its_own() {
    const CLIENTS: usize = 60;
    let window = Duration::from_secs(1);
    let rig = Rig::with(over(window)).await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(rig.user(["t", "u"][number % 2], number as i64).await);
    }
    let (start, hub) = (Instant::now(), rig.hub.clone());
    let draining = rig.scope.spawn("drain", async move { hub.drain().await });
    let mut ends = join_all(clients.iter_mut().map(sent_away)).await;
    assert_eq!(draining.await.expect("no panic"), Some(true), "all were out in time");
    ends.sort_unstable();
    for (at, (end, after_ms)) in ends.iter().enumerate() {
        // A busy machine is late, and never early; each of the two shards is even by itself.
        let earliest = window.mul_f64(at.saturating_sub(2) as f64 / CLIENTS as f64);
        assert!(*end - start >= earliest, "number {at} left after {:?}", *end - start);
        assert!(*after_ms <= 5_000, "a quarter of what it may miss");
    }
    let mut moments: Vec<u64> = ends.iter().map(|(_, after_ms)| *after_ms).collect();
    moments.sort_unstable();
    moments.dedup();
    assert!(moments.len() > CLIENTS / 2, "they come back at moments of their own: {moments:?}");
}

#[tokio::test]
async fn meanwhile_nobody_is_taken_in_and_those_who_are_here_go_on() {
    let rig = Rig::with(over(Duration::from_mins(5))).await;
    let mut client = rig.user("t", 7).await;
    let pending = rig.pending("t", Subject::User(8.into())).await;
    rig.hub.refuse_newcomers();
    let who = hookswitch_hub::Attachment::new(tenant("t"), Subject::User(9.into()));
    assert!(matches!(rig.admission.attach(who, &ScriptedForm).await, Err(HubError::Draining)));
    assert!(rig.hub.is_draining());
    assert_eq!(rig.hub.n_to_drain(), 2);
    // One that was let in before is in.
    let mut second = rig.open(pending).await;
    let (hub, other) = (rig.hub.clone(), rig.hub.clone());
    let draining = rig.scope.spawn("drain", async move { hub.drain().await });
    rig.publish([event("t", "alert", "still-here")]).await;
    client.until("still-here").await;
    second.until("still-here").await;
    assert_eq!(rig.hub.n_connections(), 2);
    // The rest of a window is cut short by whoever is in a hurry.
    let hurried = Instant::now();
    assert!(other.drain_within(Duration::ZERO).await);
    for client in [&mut client, &mut second] {
        sent_away(client).await;
    }
    assert_eq!(draining.await.expect("no panic"), Some(true));
    assert!(hurried.elapsed() < PATIENCE, "not the whole window");
}

/// Tells what the hub said of whom, besides what it keeps.
struct Recording {
    memory: MemoryPresence,
    said: Arc<Mutex<Vec<String>>>,
}

impl PresenceStore for Recording {
    fn touch<'a>(
        &'a self,
        user: &'a UserKey,
        n_connections: u32,
    ) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        self.memory.touch(user, n_connections)
    }

    fn leave<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{} left", user.user));
        self.memory.leave(user)
    }

    fn hold<'a>(
        &'a self,
        user: &'a UserKey,
        n_sent_away: u32,
    ) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{} held for {n_sent_away}", user.user));
        self.memory.leave(user)
    }

    fn other_holders<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<Vec<NodeId>, PresenceError>> {
        self.memory.other_holders(user)
    }

    fn state<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<UserPresence, PresenceError>> {
        self.memory.state(user)
    }

    fn online_users<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<Vec<UserId>, PresenceError>> {
        self.memory.online_users(tenant)
    }
}

#[tokio::test]
async fn presence_is_held_for_those_who_are_sent_away_and_not_for_those_who_leave() {
    let clock = Clock::manual(Timestamp::from_millis(0));
    let said = Arc::<Mutex<Vec<String>>>::default();
    let presence = Recording { memory: MemoryPresence::new(clock.clone()), said: Arc::clone(&said) };
    let seams = Seams { presence: Arc::new(presence), ..Seams::memory(&clock) };
    let rig = Rig::assemble(over(Duration::from_mins(5)), clock, |_| seams).await;
    let mut sent = rig.user("t", 7).await;
    let leaver = rig.user("t", 8).await;
    let _visitor = rig.visitor("t", "s1").await;
    rig.hub.refuse_newcomers();
    leaver.leave().await;
    let has_said = async |what: &str| {
        eventually(what, PATIENCE, async || {
            said.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|said| said == what)
        })
        .await;
    };
    has_said("8 left").await;
    rig.hub.drain_within(Duration::ZERO).await;
    sent_away(&mut sent).await;
    has_said("7 held for 1").await;
    assert_eq!(said.lock().unwrap_or_else(PoisonError::into_inner).len(), 2, "each once");
    assert!(!rig.hub.is_online(&user("t", 7)).await.expect("memory"), "a store of its own holds nobody");
}

/// A store of two nodes, of which the other one has those of 70 clients who are not here.
struct OfTwoNodes(MemoryPresence, Arc<Mutex<Vec<Option<u64>>>>);

impl PresenceStore for OfTwoNodes {
    fn touch<'a>(
        &'a self,
        user: &'a UserKey,
        n_connections: u32,
    ) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        self.0.touch(user, n_connections)
    }

    fn leave<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        self.0.leave(user)
    }

    fn exchange_counts(&self, n_connections: Option<u64>) -> BoxFuture<'_, Result<Vec<u64>, PresenceError>> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).push(n_connections);
        let all = n_connections.into_iter().flat_map(|own| [own, 70 - own.min(70)]).collect();
        Box::pin(std::future::ready(Ok(all)))
    }

    fn other_holders<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<Vec<NodeId>, PresenceError>> {
        self.0.other_holders(user)
    }

    fn state<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<UserPresence, PresenceError>> {
        self.0.state(user)
    }

    fn online_users<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<Vec<UserId>, PresenceError>> {
        self.0.online_users(tenant)
    }
}

#[tokio::test]
async fn a_node_with_far_more_than_its_share_sends_a_few_away_until_it_has_not() {
    let clock = Clock::manual(Timestamp::from_millis(0));
    let told = Arc::<Mutex<Vec<Option<u64>>>>::default();
    let presence = OfTwoNodes(MemoryPresence::new(clock.clone()), Arc::clone(&told));
    let seams = Seams { presence: Arc::new(presence), ..Seams::memory(&clock) };
    let balance_interval = Duration::from_millis(400);
    let uneven = HubConfig { balance_rate: 5, balance_interval, ..config() };
    let rig = Rig::assemble(uneven, clock, |_| seams).await;
    let mut clients = Vec::new();
    for number in 0..70 {
        clients.push(rig.user("t", number).await);
    }
    // Its share is 35, and 28 more are no matter; a round takes five.
    rig.until("it is even", |hub| hub.n_connections() <= 65).await;
    // Those of the round before are gone with the next but one.
    let n_rounds = || told.lock().unwrap_or_else(PoisonError::into_inner).len();
    let n_even = n_rounds();
    rig.until("some rounds on", |_| n_rounds() >= n_even + 3).await;
    let n_gone = 70 - rig.hub.n_connections();
    assert!((5..=15).contains(&n_gone), "a few, and it ends: {n_gone}");
    assert_eq!(rig.hub.metrics().evened_out.get(), n_gone as u64);
    let sent: usize = clients.iter_mut().map(|client| usize::from(client.frames().contains(&Frame::Close(1012)))).sum();
    assert_eq!(sent, n_gone, "as in a drain");
    assert!(!rig.hub.is_draining());
    rig.hub.refuse_newcomers();
    rig.until("it takes no more part", |_| told.lock().unwrap_or_else(PoisonError::into_inner).last() == Some(&None))
        .await;
}
