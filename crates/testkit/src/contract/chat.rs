//! What every `ChatSessionStore` promises.

use std::time::Duration;

use hookswitch_hub::{ChatSession, ChatSessionStore, SessionStart, SharedChatSessions};
use hookswitch_protocol::{SessionKey, TenantId, Timestamp};
use hookswitch_runtime::Clock;

const SILENCE: Duration = Duration::from_hours(24);
const START: Timestamp = Timestamp::from_millis(1_761_393_600_000);

/// Every key the suite starts a session with: a shared store may leave sessions out of its list, and
/// is then asked for each.
const NAMES: [&str; 6] = ["17", "a", "b", "c", ODD, "chat-Ü-1"];

/// All that a key may hold, as far as a store could stumble over it.
const ODD: &str = "a b:{c}:*?[d]\\\"'%0A-π";

/// Tries every sentence of the promise, each on a store of its own made by `open`.
///
/// # Panics
/// When a sentence does not hold; the message says which.
pub async fn check<S: ChatSessionStore>(open: impl AsyncFn() -> S) {
    a_started_session_is_live_with_all_it_has(&open().await).await;
    a_key_belongs_to_the_first_tenant(&open().await).await;
    an_ended_key_is_free(&open().await).await;
    a_silent_session_is_forgotten(&open().await).await;
    touching_moves_many_forward_and_none_back(&open().await).await;
    a_session_is_stored_under_the_id_it_was_started_with_last(&open().await).await;
}

/// The same for a store that several nodes share. It must take its time from the clock it is given.
///
/// # Panics
/// When a sentence does not hold; the message says which.
pub async fn check_shared<S: ChatSessionStore>(open: impl AsyncFn(Clock) -> S) {
    let fresh = async || open(Clock::manual(START)).await;
    a_started_session_is_live_with_all_it_has(&fresh().await).await;
    a_key_belongs_to_the_first_tenant(&fresh().await).await;
    an_ended_key_is_free(&fresh().await).await;
    touching_moves_many_forward_and_none_back(&fresh().await).await;
    a_session_is_stored_under_the_id_it_was_started_with_last(&fresh().await).await;
    an_ended_session_leaves_its_id_to_the_newer(&fresh().await).await;
    let clock = Clock::manual(START);
    a_silent_session_is_not_found(&open(clock.clone()).await, &clock).await;
    a_name_finds_the_tenants_live_session(&fresh().await).await;
    restoring_what_was_not_lost_changes_nothing(&fresh().await).await;
}

fn shared(store: &impl ChatSessionStore) -> &dyn SharedChatSessions {
    store.shared().expect("a store that several nodes share says so")
}

fn key(text: &str) -> SessionKey {
    SessionKey::parse(text).expect("legal key")
}

fn tenant(text: &str) -> TenantId {
    TenantId::parse(text).expect("legal tenant")
}

fn session(of: &str, name: &str, last_active: Timestamp) -> ChatSession {
    ChatSession { key: key(name), tenant: tenant(of), alias: None, last_active }
}

async fn start(store: &impl ChatSessionStore, session: &ChatSession) -> SessionStart {
    store.start(session, session.last_active.before(SILENCE)).await.expect("start")
}

async fn live(store: &impl ChatSessionStore, silent_before: Timestamp) -> Vec<ChatSession> {
    let mut sessions = store.live(silent_before).await.expect("live");
    if let Some(shared) = store.shared() {
        for name in NAMES {
            let found = shared.find(&key(name)).await.expect("find");
            let is_new = |found: &ChatSession| found.last_active >= silent_before && !sessions.contains(found);
            let found = found.filter(is_new);
            sessions.extend(found);
        }
    }
    sessions.sort_by(|a, b| a.key.cmp(&b.key));
    sessions
}

async fn a_started_session_is_live_with_all_it_has(store: &impl ChatSessionStore) {
    let plain = session("tenant-1", "17", START);
    let named = ChatSession { alias: Some(key("17")), ..session("tenant-2", "chat-Ü-1", START) };
    let odd = ChatSession { alias: Some(key("π{a}:b")), ..session("tenant-2", ODD, START) };
    for session in [&plain, &named, &odd] {
        assert_eq!(start(store, session).await, SessionStart::Live);
    }
    assert_eq!(live(store, START).await, [plain.clone(), odd.clone(), named.clone()], "a started session is known");
    let renewed = ChatSession { last_active: START.after(SILENCE), ..plain };
    assert_eq!(start(store, &renewed).await, SessionStart::Live, "its owner may start it again");
    assert_eq!(live(store, START).await, [renewed, odd, named], "a repeated start renews it");
}

async fn a_key_belongs_to_the_first_tenant(store: &impl ChatSessionStore) {
    let first = session("tenant-1", "a", START);
    assert_eq!(start(store, &first).await, SessionStart::Live);
    let second = session("tenant-2", "a", START.after(Duration::from_secs(1)));
    assert_eq!(start(store, &second).await, SessionStart::Taken, "a live key is another tenant's");
    assert_eq!(live(store, START).await, [first], "a start that was refused changes nothing");
    let last_moment = session("tenant-2", "a", START.after(SILENCE));
    assert_eq!(start(store, &last_moment).await, SessionStart::Taken, "24 h of silence are still within");
    let later = session("tenant-2", "a", START.after(SILENCE + Duration::from_millis(1)));
    assert_eq!(start(store, &later).await, SessionStart::Live, "a silent session's key is free");
    assert_eq!(live(store, START).await, [later], "and belongs to the new tenant");
}

async fn an_ended_key_is_free(store: &impl ChatSessionStore) {
    let first = session("tenant-1", "a", START);
    start(store, &first).await;
    store.end(&tenant("tenant-2"), &key("a")).await.expect("end");
    assert_eq!(live(store, START).await, [first], "nobody ends another tenant's session");
    store.end(&tenant("tenant-1"), &key("a")).await.expect("end");
    store.end(&tenant("tenant-1"), &key("a")).await.expect("ending is idempotent");
    assert_eq!(live(store, START).await, [], "an ended session is forgotten");
    assert_eq!(start(store, &session("tenant-2", "a", START)).await, SessionStart::Live, "its key is free");
}

async fn a_silent_session_is_forgotten(store: &impl ChatSessionStore) {
    let (old, new) = (session("tenant-1", "a", START), session("tenant-1", "b", START.after(SILENCE)));
    start(store, &old).await;
    start(store, &new).await;
    assert_eq!(live(store, START).await, [old, new.clone()], "active just at the limit is still live");
    let limit = START.after(Duration::from_millis(1));
    assert_eq!(live(store, limit).await, std::slice::from_ref(&new), "older ones are left out");
    assert_eq!(live(store, START).await, [new], "and forgotten");
}

async fn touching_moves_many_forward_and_none_back(store: &impl ChatSessionStore) {
    let later = START.after(Duration::from_mins(1));
    for name in ["a", "b", "c"] {
        start(store, &session("tenant-1", name, START)).await;
    }
    let seen = vec![(key("a"), later), (key("b"), START.before(SILENCE)), (key("unknown"), later)];
    store.touch(seen).await.expect("unknown keys are ignored");
    let times: Vec<Timestamp> =
        live(store, Timestamp::from_millis(0)).await.iter().map(|session| session.last_active).collect();
    assert_eq!(times, [later, START, START], "activity moves forward, and never back");
}

async fn a_session_is_stored_under_the_id_it_was_started_with_last(store: &impl ChatSessionStore) {
    let named = |name: &str| ChatSession { alias: Some(key("17")), ..session("tenant-1", name, START) };
    start(store, &named("a")).await;
    start(store, &named("b")).await;
    let without = ChatSession { alias: None, ..named("a") };
    assert_eq!(start(store, &without).await, SessionStart::Live);
    assert_eq!(live(store, START).await, [without, named("b")], "a start without an id takes the session's id away");
}

async fn an_ended_session_leaves_its_id_to_the_newer(store: &impl ChatSessionStore) {
    let named = |name: &str| ChatSession { alias: Some(key("17")), ..session("tenant-1", name, START) };
    start(store, &named("a")).await;
    store.end(&tenant("tenant-1"), &key("a")).await.expect("end");
    start(store, &named("b")).await;
    store.end(&tenant("tenant-1"), &key("a")).await.expect("ending is idempotent");
    assert_eq!(shared(store).find(&key("a")).await.expect("find"), None, "a key that ended is none");
    assert_eq!(find_alias(store, "tenant-1", "17").await, Some(named("b")), "and takes nothing along");
}

async fn a_silent_session_is_not_found(store: &impl ChatSessionStore, clock: &Clock) {
    let named = ChatSession { alias: Some(key("17")), ..session("tenant-1", "a", START) };
    start(store, &named).await;
    start(store, &session("tenant-1", "b", START)).await;
    clock.advance(SILENCE);
    assert_eq!(shared(store).find(&key("a")).await.expect("find").as_ref(), Some(&named), "24 h are still within");
    store.touch(vec![(key("b"), clock.now())]).await.expect("touch");
    clock.advance(Duration::from_millis(1));
    assert_eq!(shared(store).find(&key("a")).await.expect("find"), None, "a silent session is unknown");
    let found = shared(store).find_alias(&tenant("tenant-1"), &key("17")).await.expect("find");
    assert_eq!(found, None, "by its other name too");
    let touched = shared(store).find(&key("b")).await.expect("find").map(|session| session.last_active);
    assert_eq!(touched, Some(START.after(SILENCE)), "activity keeps a session known");
}

async fn find_alias(store: &impl ChatSessionStore, of: &str, alias: &str) -> Option<ChatSession> {
    shared(store).find_alias(&tenant(of), &key(alias)).await.expect("find")
}

async fn a_name_finds_the_tenants_live_session(store: &impl ChatSessionStore) {
    let named = |name: &str| ChatSession { alias: Some(key("17")), ..session("tenant-1", name, START) };
    let (first, second) = (named("a"), named("b"));
    start(store, &first).await;
    assert_eq!(find_alias(store, "tenant-1", "17").await, Some(first), "a name finds its session");
    assert_eq!(find_alias(store, "tenant-2", "17").await, None, "names are each tenant's own");
    assert_eq!(find_alias(store, "tenant-1", "a").await, None, "a key is no name");
    start(store, &second).await;
    store.touch(vec![(key("a"), START.after(Duration::from_secs(1)))]).await.expect("touch");
    assert_eq!(find_alias(store, "tenant-1", "17").await, Some(second), "the name is the newer session's");
    store.end(&tenant("tenant-1"), &key("b")).await.expect("end");
    assert_eq!(find_alias(store, "tenant-1", "17").await, None, "an ended session has no name");
    start(store, &ChatSession { alias: Some(key("17")), ..session("tenant-2", "b", START) }).await;
    assert_eq!(find_alias(store, "tenant-1", "17").await, None, "a name never leads to another tenant");
    start(store, &named("c")).await;
    start(store, &session("tenant-1", "c", START)).await;
    assert_eq!(find_alias(store, "tenant-1", "17").await, None, "a session started anew without the name lost it");
}

async fn restoring_what_was_not_lost_changes_nothing(store: &impl ChatSessionStore) {
    let (ended, kept) = (session("tenant-1", "a", START), session("tenant-1", "b", START));
    start(store, &ended).await;
    start(store, &kept).await;
    store.end(&tenant("tenant-1"), &key("a")).await.expect("end");
    let stale = ChatSession { last_active: START.before(Duration::from_secs(1)), ..kept.clone() };
    shared(store).restore(vec![ended, stale]).await.expect("restore");
    assert_eq!(live(store, Timestamp::from_millis(0)).await, [kept], "what has ended meanwhile stays ended");
}
