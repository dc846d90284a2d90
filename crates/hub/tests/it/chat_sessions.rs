//! Which chat sessions are known, to whom they belong, and for how long.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookswitch_hub::memory::MemoryChatSessions;
use hookswitch_hub::{
    BoxFuture, ChatSession, ChatSessionError, ChatSessionStore, HubConfig, Seams, SessionError, SessionStart,
    SharedChatSessions,
};
use hookswitch_protocol::{ErrorCode, SessionKey, SessionName, TenantId, Timestamp};
use hookswitch_runtime::Clock;
use hookswitch_testkit::{PATIENCE, eventually};

use crate::rig::{Rig, config, key, tenant};

const HOUR: Duration = Duration::from_hours(1);

async fn start(rig: &Rig, of: &str, session: &str, alias: Option<&str>) -> Result<(), SessionError> {
    rig.hub.sessions().start(&tenant(of), &key(session), alias.map(key).as_ref()).await
}

fn resolve(rig: &Rig, of: &str, id: &str) -> Option<String> {
    rig.hub.sessions().resolve_known(&tenant(of), &key(id)).map(|key| key.as_str().to_owned())
}

fn is_live(rig: &Rig, session: &str) -> bool {
    rig.hub.sessions().find_known(&key(session)).is_some()
}

#[tokio::test]
async fn a_started_session_is_known_by_its_key_and_by_the_tenants_own_id() {
    let rig = Rig::new().await;
    assert!(!is_live(&rig, "k1"));
    start(&rig, "t", "k1", Some("42")).await.expect("free");
    let found = rig.hub.sessions().find_known(&key("k1")).expect("live");
    assert_eq!((found.tenant, found.alias), (tenant("t"), Some(key("42"))));
    assert_eq!(resolve(&rig, "t", "k1").as_deref(), Some("k1"));
    assert_eq!(resolve(&rig, "t", "42").as_deref(), Some("k1"));
    // Neither visitors nor other tenants know it by the tenant's id.
    assert!(!is_live(&rig, "42"));
    assert_eq!(resolve(&rig, "u", "42"), None);
    assert_eq!(resolve(&rig, "u", "k1"), None);
}

#[tokio::test]
async fn a_live_key_belongs_to_its_first_tenant() {
    let rig = Rig::new().await;
    start(&rig, "t", "k1", None).await.expect("free");
    let refused = start(&rig, "u", "k1", None).await.expect_err("taken");
    assert!(matches!(refused, SessionError::Taken));
    assert_eq!(refused.code(), ErrorCode::Conflict);
    assert!(rig.hub.sessions().is_taken(&tenant("u"), &key("k1")));
    assert!(!rig.hub.sessions().is_taken(&tenant("t"), &key("k1")));
    // Another tenant cannot end it either.
    rig.hub.sessions().end(&tenant("u"), &key("k1")).await.expect("no effect");
    assert!(is_live(&rig, "k1"));
    rig.hub.sessions().end(&tenant("t"), &key("k1")).await.expect("ended");
    assert!(!is_live(&rig, "k1"));
    start(&rig, "u", "k1", None).await.expect("free again");
}

/// A store that several nodes share, which says when it has lost something, and counts.
#[derive(Default)]
struct SharedSessions {
    memory: MemoryChatSessions,
    has_lost: AtomicBool,
    n_asked: AtomicUsize,
    restored: Mutex<Vec<usize>>,
}

impl ChatSessionStore for SharedSessions {
    fn start<'a>(
        &'a self,
        session: &'a ChatSession,
        silent_before: Timestamp,
    ) -> BoxFuture<'a, Result<SessionStart, ChatSessionError>> {
        self.memory.start(session, silent_before)
    }

    fn end<'a>(&'a self, tenant: &'a TenantId, key: &'a SessionKey) -> BoxFuture<'a, Result<(), ChatSessionError>> {
        self.memory.end(tenant, key)
    }

    fn touch(&self, seen: Vec<(SessionKey, Timestamp)>) -> BoxFuture<'_, Result<(), ChatSessionError>> {
        self.memory.touch(seen)
    }

    fn live(&self, silent_before: Timestamp) -> BoxFuture<'_, Result<Vec<ChatSession>, ChatSessionError>> {
        self.memory.live(silent_before)
    }

    fn shared(&self) -> Option<&dyn SharedChatSessions> {
        Some(self)
    }
}

impl SharedChatSessions for SharedSessions {
    fn find<'a>(&'a self, _key: &'a SessionKey) -> BoxFuture<'a, Result<Option<ChatSession>, ChatSessionError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn find_alias<'a>(
        &'a self,
        _tenant: &'a TenantId,
        _alias: &'a SessionKey,
    ) -> BoxFuture<'a, Result<Option<ChatSession>, ChatSessionError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn may_have_lost(&self) -> BoxFuture<'_, Result<bool, ChatSessionError>> {
        self.n_asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(self.has_lost.load(Ordering::SeqCst))))
    }

    fn restore(&self, sessions: Vec<ChatSession>) -> BoxFuture<'_, Result<(), ChatSessionError>> {
        self.restored.lock().expect("not poisoned").push(sessions.len());
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A million of them are not to be copied whenever the way to the store was closed for a moment.
#[tokio::test]
async fn sessions_are_put_back_into_a_store_that_has_lost_some_and_no_other() {
    let (clock, store) = (Clock::manual(Timestamp::from_millis(0)), Arc::<SharedSessions>::default());
    let seams = Seams { chat: store.clone(), ..Seams::memory(&clock) };
    let rig = Rig::assemble(config(), clock, |_| seams).await;
    for session in ["a", "b", "c"] {
        start(&rig, "t", session, None).await.expect("free");
    }
    rig.sink.on_store_lost();
    eventually("it is asked", PATIENCE, async || store.n_asked.load(Ordering::SeqCst) == 1).await;
    store.has_lost.store(true, Ordering::SeqCst);
    rig.sink.on_store_lost();
    let restored = || store.restored.lock().expect("not poisoned").clone();
    eventually("they are put back", PATIENCE, async || !restored().is_empty()).await;
    assert_eq!(restored(), [3], "once");
}

#[tokio::test]
async fn a_silent_session_is_forgotten_and_an_active_one_is_not() {
    let rig = Rig::new().await;
    start(&rig, "t", "silent", Some("1")).await.expect("free");
    start(&rig, "t", "active", Some("2")).await.expect("free");
    rig.clock.advance(23 * HOUR);
    rig.hub.sessions().seen(&key("active"));
    rig.clock.advance(HOUR);
    assert!(is_live(&rig, "silent"), "24 h are not yet over");
    rig.clock.advance(Duration::from_millis(1));
    assert!(!is_live(&rig, "silent") && is_live(&rig, "active"));
    assert_eq!((resolve(&rig, "t", "1"), resolve(&rig, "t", "2")), (None, Some("active".to_owned())));
    start(&rig, "u", "silent", None).await.expect("a forgotten key is free");
    assert_eq!(resolve(&rig, "t", "silent"), None);
}

#[tokio::test]
async fn a_repeated_start_renews_it() {
    let rig = Rig::new().await;
    start(&rig, "t", "k1", Some("1")).await.expect("free");
    rig.clock.advance(23 * HOUR);
    start(&rig, "t", "k1", Some("2")).await.expect("renewed");
    rig.clock.advance(23 * HOUR);
    assert!(is_live(&rig, "k1"));
    assert_eq!((resolve(&rig, "t", "1"), resolve(&rig, "t", "2")), (None, Some("k1".to_owned())));
}

#[tokio::test]
async fn the_end_of_an_older_session_leaves_its_id_to_the_newer() {
    let rig = Rig::new().await;
    start(&rig, "t", "older", Some("42")).await.expect("free");
    start(&rig, "t", "newer", Some("42")).await.expect("free");
    assert_eq!(resolve(&rig, "t", "42").as_deref(), Some("newer"));
    rig.hub.sessions().end(&tenant("t"), &key("older")).await.expect("ended");
    assert_eq!(resolve(&rig, "t", "42").as_deref(), Some("newer"));
}

#[tokio::test]
async fn starts_are_bounded() {
    let rig = Rig::with(HubConfig { max_sessions: 2, ..config() }).await;
    start(&rig, "t", "k1", None).await.expect("free");
    start(&rig, "t", "k2", None).await.expect("free");
    let refused = start(&rig, "t", "k3", None).await.expect_err("too many");
    assert!(matches!(refused, SessionError::TooMany { n_live: 2, limit: 2 }), "{refused:?}");
    start(&rig, "t", "k2", None).await.expect("a known one is renewed");
    rig.hub.sessions().end(&tenant("t"), &key("k1")).await.expect("ended");
    start(&rig, "t", "k3", None).await.expect("there is room again");
}

#[tokio::test]
async fn no_tenant_takes_the_last_session_from_others_nor_more_than_one_may_have() {
    let limits = HubConfig { max_sessions: 100, max_tenant_sessions: 60, ..config() };
    let rig = Rig::with(limits).await;
    let fill = async |of: &str, n: usize| {
        for n in 0..n {
            if let Err(refused) = start(&rig, of, &format!("{of}-{n}"), None).await {
                return (n, refused.code(), refused.to_string());
            }
        }
        (n, ErrorCode::Internal, String::new())
    };
    let (n_first, code, told) = fill("t", 200).await;
    assert_eq!((n_first, code), (51, ErrorCode::Overloaded), "as many as are left, and one");
    assert!(told.contains("this tenant has 51"), "{told}");
    assert_eq!(fill("u", 200).await.0, 25, "half of what was left");
    assert_eq!(fill("v", 1).await.0, 1, "one that has none finds room");
    assert_eq!(rig.hub.metrics().chat_sessions_refused.get(), 2);
    let limits = HubConfig { max_tenant_sessions: 3, ..config() };
    let rig = Rig::with(limits).await;
    for name in ["a", "b", "c"] {
        start(&rig, "t", name, None).await.expect("within the bound");
    }
    let refused = start(&rig, "t", "d", None).await.expect_err("its own bound");
    assert!(matches!(refused, SessionError::TooManyOfTenant { limit: 3 }), "{refused:?}");
    start(&rig, "u", "d", None).await.expect("another's");
}

/// A session key that has ended names nothing, whatever the id beside it stands for by now.
#[tokio::test]
async fn an_explicit_key_is_never_taken_for_an_id() {
    let rig = Rig::new().await;
    start(&rig, "t", "k-old", Some("88")).await.expect("free");
    rig.hub.sessions().end(&tenant("t"), &key("k-old")).await.expect("ended");
    start(&rig, "t", "k-new", Some("88")).await.expect("free");
    let named = |name: SessionName| rig.hub.sessions().named_known(&tenant("t"), &name);
    assert_eq!(named(SessionName::Key(key("k-old"))), None);
    assert_eq!(named(SessionName::Key(key("88"))), None, "88 is no key");
    assert_eq!(named(SessionName::Id(key("88"))), Some(key("k-new")));
    assert_eq!(named(SessionName::Key(key("k-new"))), Some(key("k-new")));
    assert_eq!(rig.hub.sessions().named_known(&tenant("u"), &SessionName::Key(key("k-new"))), None);
}

#[tokio::test]
async fn an_id_stands_for_the_session_started_with_it_last_also_after_a_restart() {
    let clock = Clock::manual(Timestamp::from_millis(0));
    let store = Arc::new(MemoryChatSessions::default());
    let rig = over(&store, &clock).await;
    start(&rig, "t", "older", Some("88")).await.expect("free");
    start(&rig, "t", "newer", Some("88")).await.expect("free");
    clock.advance(HOUR);
    start(&rig, "t", "older", None).await.expect("renewed, under no id of its own");
    assert_eq!(resolve(&rig, "t", "88").as_deref(), Some("newer"));
    drop(rig);
    let rig = over(&store, &clock).await;
    assert_eq!(resolve(&rig, "t", "88").as_deref(), Some("newer"), "although the older one was active later");
    // A session whose key is the id of another takes that id with its start.
    start(&rig, "t", "88", None).await.expect("free");
    assert_eq!(resolve(&rig, "t", "88").as_deref(), Some("88"));
}

#[tokio::test]
async fn a_former_holder_of_an_id_is_stored_without_it() {
    let clock = Clock::manual(Timestamp::from_millis(0));
    let store = Arc::new(MemoryChatSessions::default());
    let rig = over(&store, &clock).await;
    start(&rig, "t", "older", Some("88")).await.expect("free");
    start(&rig, "t", "newer", Some("88")).await.expect("free");
    let live = store.live(Timestamp::from_millis(0)).await.expect("memory");
    let holders: Vec<_> = live.iter().filter(|session| session.alias.is_some()).map(|s| s.key.as_str()).collect();
    assert_eq!(holders, ["newer"]);
}

async fn over(store: &Arc<MemoryChatSessions>, clock: &Clock) -> Rig {
    let seams = Seams { chat: Arc::clone(store) as Arc<dyn ChatSessionStore>, ..Seams::memory(clock) };
    Rig::assemble(config(), clock.clone(), |_| seams).await
}

/// Paused, so that the minute between two write-downs passes at once.
#[tokio::test(start_paused = true)]
async fn sessions_and_their_last_activity_survive_a_restart() {
    let clock = Clock::manual(Timestamp::from_millis(0));
    let store = Arc::new(MemoryChatSessions::default());
    let rig = over(&store, &clock).await;
    start(&rig, "t", "active", Some("1")).await.expect("free");
    start(&rig, "t", "silent", None).await.expect("free");
    start(&rig, "t", "ended", None).await.expect("free");
    rig.hub.sessions().end(&tenant("t"), &key("ended")).await.expect("ended");
    clock.advance(20 * HOUR);
    rig.hub.sessions().seen(&key("active"));
    let written_down = async || {
        let live = store.live(Timestamp::from_millis(0)).await.expect("memory");
        live.iter().any(|session| session.last_active == clock.now())
    };
    hookswitch_testkit::eventually("the activity is written down", Duration::from_mins(3), written_down).await;
    drop(rig);
    clock.advance(10 * HOUR);
    let rig = over(&store, &clock).await;
    assert_eq!(["active", "silent", "ended"].map(|session| is_live(&rig, session)), [true, false, false]);
    assert_eq!(resolve(&rig, "t", "1").as_deref(), Some("active"));
}
