//! Keys that differ in a space at their end.

use hookswitch_hub::{ChatSession, ChatSessionStore as _, SessionStart};
use hookswitch_protocol::{SessionKey, TenantId, Timestamp};
use hookswitch_store::MySqlConfig;
use hookswitch_store::migrations::{self, Database};

use super::rig::Rig;
use crate::rig::now;

fn session(of: &str, key: &str) -> ChatSession {
    ChatSession {
        tenant: TenantId::parse(of).expect("legal"),
        key: SessionKey::parse(key).expect("legal"),
        alias: None,
        last_active: now(),
    }
}

#[tokio::test]
async fn a_space_at_the_end_makes_another_key_and_the_former_schema_can_be_had_back() {
    let rig = Rig::start().await;
    let store = rig.store();
    let long_ago = Timestamp::from_millis(0);
    for (of, key) in [("tenant-1", "k"), ("tenant-2", "k "), ("tenant-3", "k  ")] {
        let started = store.start(&session(of, key), long_ago).await.expect("start");
        assert_eq!(started, SessionStart::Live, "{key:?}");
    }
    store.end(&session("tenant-2", "k ").tenant, &session("tenant-2", "k ").key).await.expect("end");
    let live = store.live(long_ago).await.expect("live");
    let mut keys: Vec<_> = live.iter().map(|session| session.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["k", "k  "]);
    rig.database
        .sql(
            "INSERT INTO event_ids (tenant_id, event_id, fingerprint, accepted_at)
              VALUES ('t', 'x', REPEAT('f', 32), 1), ('t', 'x ', REPEAT('f', 32), 1)",
        )
        .await;
    rig.opened.close().await;
    let target = Database::MySql(Box::new(MySqlConfig::parse_url(&rig.database.url()).expect("a URL")));
    while migrations::down(&target).await.expect("down").expect("a step") != "20261130110200_collate-keys" {}
    assert_eq!(
        rig.database.sql("SELECT session_key FROM chat_sessions").await,
        "k",
        "one of those it cannot tell apart"
    );
    assert_eq!(rig.database.sql("SELECT COUNT(*) FROM event_ids").await, "1");
    migrations::up(&target).await.expect("up again");
}
