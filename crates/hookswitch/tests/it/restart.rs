//! What is kept in a SQLite file is there after a restart.

use std::path::Path;
use std::time::Duration;

use hookswitch::hub::UserKey;
use hookswitch::payloads::{ChatSession, Notification};
use hookswitch::store::StoreConfig;
use hookswitch::{
    ErrorCode, EventId, EventType, NewEvent, Payload, SessionKey, StartError, Switch, SwitchBuilder, TenantId, UserId,
};

fn node(directory: &Path) -> SwitchBuilder {
    Switch::builder().sqlite(StoreConfig::new(directory.join("hookswitch.db")))
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_sessions_and_messages_survive() {
    let directory = tempfile::tempdir().expect("a directory");
    let (tenant, user) = (TenantId::parse("t").expect("legal"), UserId::from(7));
    let alert = |payload: &str| NewEvent {
        id: Some(EventId::parse("a").expect("legal")),
        ..NewEvent::new(EventType::ALERT, Payload::parse(payload).expect("legal"))
    };

    let switch = node(directory.path()).start().await.expect("starts");
    let broadcaster = switch.broadcaster();
    broadcaster.publish(&tenant, alert("{}")).await.expect("accepted");
    broadcaster.chat_session_started(&tenant, ChatSession::new(77, "open")).await.expect("accepted");
    broadcaster.send_notification(&tenant, user.clone(), Notification::new(1, "a", "b")).await.expect("accepted");
    assert!(switch.shut_down(Duration::from_secs(5)).await);

    let switch = node(directory.path()).start().await.expect("starts again");
    let broadcaster = switch.broadcaster();
    broadcaster.publish(&tenant, alert("{}")).await.expect("a repetition");
    assert_eq!(switch.switchboard().metrics().repeated.get(), 1);
    let conflict = broadcaster.publish(&tenant, alert(r#"{"x":1}"#)).await.expect_err("other content");
    assert_eq!(conflict.code(), ErrorCode::Conflict);
    assert!(switch.hub().sessions().find_known(&SessionKey::parse("77").expect("legal")).is_some());
    let waiting = broadcaster.fetch_offline_messages(&UserKey { tenant, user }, 10).await.expect("fetched");
    assert_eq!(waiting.len(), 1);
    assert!(switch.shut_down(Duration::from_secs(5)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_opened_is_told_and_leaves_nothing_running() {
    let directory = tempfile::tempdir().expect("a directory");
    let refused = node(&directory.path().join("missing")).start().await;
    assert!(matches!(refused, Err(StartError::Store(_))), "{refused:?}");
    let first = node(directory.path()).start().await.expect("starts");
    let second = node(directory.path()).start().await;
    assert!(matches!(second, Err(StartError::Store(_))), "one process, one node per file: {second:?}");
    assert!(first.shut_down(Duration::from_secs(5)).await);
    node(directory.path()).start().await.expect("free again").shut_down(Duration::from_secs(5)).await;
}
