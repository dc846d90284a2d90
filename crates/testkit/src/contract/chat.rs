//! What every `ChatSessionStore` promises.

use std::time::Duration;

use hookswitch_hub::{ChatSession, ChatSessionStore, SessionStart};
use hookswitch_protocol::{SessionKey, TenantId, Timestamp};

const SILENCE: Duration = Duration::from_hours(24);
const START: Timestamp = Timestamp::from_millis(1_761_393_600_000);

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
    sessions.sort_by(|a, b| a.key.cmp(&b.key));
    sessions
}

async fn a_started_session_is_live_with_all_it_has(store: &impl ChatSessionStore) {
    let plain = session("tenant-1", "17", START);
    let named = ChatSession { alias: Some(key("17")), ..session("tenant-2", "chat-Ü-1", START) };
    assert_eq!(start(store, &plain).await, SessionStart::Live);
    assert_eq!(start(store, &named).await, SessionStart::Live);
    assert_eq!(live(store, START).await, [plain.clone(), named.clone()], "a started session is known");
    let renewed = ChatSession { last_active: START.after(SILENCE), ..plain };
    assert_eq!(start(store, &renewed).await, SessionStart::Live, "its owner may start it again");
    assert_eq!(live(store, START).await, [renewed, named], "a repeated start renews it");
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
