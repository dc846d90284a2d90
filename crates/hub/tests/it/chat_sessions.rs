//! Which chat sessions are known, to whom they belong, and for how long.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_hub::memory::MemoryChatSessions;
use hookswitch_hub::{ChatSessionStore, HubConfig, Seams, SessionError};
use hookswitch_protocol::{ErrorCode, Timestamp};
use hookswitch_runtime::Clock;

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
    assert!(matches!(refused, SessionError::TooMany { limit: 2 }));
    start(&rig, "t", "k2", None).await.expect("a known one is renewed");
    rig.hub.sessions().end(&tenant("t"), &key("k1")).await.expect("ended");
    start(&rig, "t", "k3", None).await.expect("there is room again");
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
