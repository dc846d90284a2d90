//! What every `PresenceStore` promises, as far as one node can see it.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_hub::{PresenceChange, PresenceState, PresenceStore, UserKey, UserPresence};
use hookswitch_protocol::payloads::{PresenceCause, PresenceWord};
use hookswitch_protocol::{TenantId, Timestamp, UserId};
use hookswitch_runtime::Clock;

const START: Timestamp = Timestamp::from_millis(1_761_393_600_000);

/// Tries every sentence of the promise, each on a store of its own made by `open`. The store must
/// take its time from the clock it is given.
///
/// # Panics
/// When a sentence does not hold; the message says which.
pub async fn check<S: PresenceStore>(open: impl AsyncFn(Clock) -> Arc<S>) {
    let fresh = async || open(Clock::manual(START)).await;
    nobody_is_there_at_first(&*fresh().await).await;
    a_touched_user_is_online_until_it_leaves(&*fresh().await).await;
    the_last_touch_says_how_many(&*fresh().await).await;
    leaving_is_idempotent(&*fresh().await).await;
    tenants_and_users_are_apart(&*fresh().await).await;
    a_transition_is_told_once_or_by_the_store_itself(&*fresh().await).await;
    a_node_is_no_other_holder_of_its_own_users(&*fresh().await).await;
    let clock = Clock::manual(START);
    a_touch_is_a_sign_of_life(&*open(clock.clone()).await, &clock).await;
}

fn user(tenant: &str, user: &str) -> UserKey {
    UserKey { tenant: TenantId::parse(tenant).expect("legal tenant"), user: UserId::parse(user).expect("legal user") }
}

async fn touch(store: &impl PresenceStore, user: &UserKey, n_connections: u32) {
    store.touch(user, n_connections).await.expect("touch");
}

async fn state(store: &impl PresenceStore, user: &UserKey) -> UserPresence {
    store.state(user).await.expect("state")
}

async fn online(store: &impl PresenceStore, tenant: &str) -> Vec<String> {
    let tenant = TenantId::parse(tenant).expect("legal tenant");
    let mut users: Vec<String> =
        store.online_users(&tenant).await.expect("online users").iter().map(UserId::to_string).collect();
    users.sort();
    users
}

async fn nobody_is_there_at_first(store: &impl PresenceStore) {
    assert_eq!(state(store, &user("tenant-1", "7")).await, UserPresence::OFFLINE, "an unknown user is offline");
    assert!(online(store, "tenant-1").await.is_empty(), "nobody is online");
}

async fn a_touched_user_is_online_until_it_leaves(store: &impl PresenceStore) {
    let agent = user("tenant-1", "7");
    touch(store, &agent, 1).await;
    let presence = state(store, &agent).await;
    assert_eq!((presence.state, presence.n_connections), (PresenceState::Online, 1), "a connected user is online");
    assert_eq!(online(store, "tenant-1").await, ["7"], "and among the online users");
    store.leave(&agent).await.expect("leave");
    let presence = state(store, &agent).await;
    assert_eq!((presence.state, presence.n_connections), (PresenceState::Offline, 0), "who left is offline");
    assert!(online(store, "tenant-1").await.is_empty(), "and not among the online users");
}

async fn the_last_touch_says_how_many(store: &impl PresenceStore) {
    let agent = user("tenant-1", "7");
    for n in [1, 3, 2] {
        touch(store, &agent, n).await;
        assert_eq!(state(store, &agent).await.n_connections, n, "a touch says how many, it does not add");
    }
    store.leave(&agent).await.expect("leave");
    assert_eq!(state(store, &agent).await.state, PresenceState::Offline, "leaving is for all of a node's connections");
}

async fn leaving_is_idempotent(store: &impl PresenceStore) {
    let agent = user("tenant-1", "7");
    store.leave(&agent).await.expect("leaving without having been there");
    touch(store, &agent, 1).await;
    store.leave(&agent).await.expect("leave");
    store.leave(&agent).await.expect("leaving twice");
    touch(store, &agent, 1).await;
    assert_eq!(state(store, &agent).await.state, PresenceState::Online, "who comes again is online");
}

async fn tenants_and_users_are_apart(store: &impl PresenceStore) {
    touch(store, &user("tenant-1", "7"), 1).await;
    touch(store, &user("tenant-1", "user-7"), 2).await;
    touch(store, &user("tenant-2", "7"), 4).await;
    touch(store, &user("tenant-2", "8"), 1).await;
    store.leave(&user("tenant-2", "8")).await.expect("leave");
    assert_eq!(online(store, "tenant-1").await, ["7", "user-7"], "online users are the tenant's own");
    assert_eq!(online(store, "tenant-2").await, ["7"], "online users are the tenant's own");
    assert_eq!(state(store, &user("tenant-1", "7")).await.n_connections, 1, "a namesake elsewhere is somebody else");
    assert_eq!(state(store, &user("tenant-1", "8")).await.state, PresenceState::Offline, "nothing crosses a tenant");
}

async fn a_transition_is_told_once_or_by_the_store_itself(store: &impl PresenceStore) {
    let agent = user("tenant-1", "7");
    let change = |state, cause| PresenceChange { user: agent.clone(), state, cause };
    let (came, went) = (PresenceCause::Connected, PresenceCause::Disconnected);
    let told = [
        store.leave(&agent).await.expect("leaving without having been there"),
        store.touch(&agent, 1).await.expect("coming"),
        store.touch(&agent, 2).await.expect("a second connection"),
        store.touch(&agent, 1).await.expect("one of two is gone"),
        store.leave(&agent).await.expect("going"),
        store.leave(&agent).await.expect("leaving twice"),
        store.touch(&agent, 1).await.expect("coming again"),
    ];
    let online = Some(change(PresenceWord::Online, came));
    let by_return = [None, online.clone(), None, None, Some(change(PresenceWord::Offline, went)), None, online];
    let by_itself = [const { None }; 7];
    assert!(told == by_return || told == by_itself, "each coming and going is told once: {told:?}");
}

async fn a_node_is_no_other_holder_of_its_own_users(store: &impl PresenceStore) {
    let agent = user("tenant-1", "7");
    let holders = async |user| store.other_holders(user).await.expect("holders");
    assert!(holders(&agent).await.is_empty(), "nobody holds an unknown user");
    store.touch(&agent, 2).await.expect("touch");
    assert!(holders(&agent).await.is_empty(), "nobody else holds a user who is here");
}

async fn a_touch_is_a_sign_of_life(store: &impl PresenceStore, clock: &Clock) {
    let agent = user("tenant-1", "7");
    touch(store, &agent, 1).await;
    clock.advance(Duration::from_secs(30));
    touch(store, &agent, 1).await;
    let seen = state(store, &agent).await.last_seen;
    assert_eq!(seen.map(Timestamp::as_secs), Some(clock.now().as_secs()), "the last sign of life is the last touch");
}
