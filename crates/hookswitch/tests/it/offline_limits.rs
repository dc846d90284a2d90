//! The bounds of messages for absent users are one setting, whoever keeps them.

use std::time::Duration;

use hookswitch::hub::{OfflineLimits, UserKey};
use hookswitch::payloads::Notification;
use hookswitch::{Switch, SwitchBuilder, TenantId, UserId};

/// Sends four messages to a user who is away, where three are kept.
async fn the_oldest_is_dropped(node: SwitchBuilder) {
    let limits = OfflineLimits { per_user: 3, ..OfflineLimits::default() };
    let switch = node.offline(limits).start().await.expect("starts");
    let (tenant, user) = (TenantId::parse("t").expect("legal"), UserId::from(7));
    for id in 1..=4 {
        let message = Notification::new(id, "a", "b");
        switch.broadcaster().send_notification(&tenant, user.clone(), message).await.expect("accepted");
    }
    let user = UserKey { tenant, user };
    let kept = switch.broadcaster().fetch_offline_messages(&user, 10).await.expect("fetched");
    assert_eq!(kept.len(), 3);
    assert!(switch.shut_down(Duration::from_secs(5)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_memory() {
    the_oldest_is_dropped(Switch::builder()).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn in_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = hookswitch::store::StoreConfig::new(directory.path().join("hookswitch.db"));
    the_oldest_is_dropped(Switch::builder().sqlite(store)).await;
}

#[cfg(all(feature = "redis", feature = "sqlite"))]
#[tokio::test(flavor = "multi_thread")]
async fn in_redis_beside_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let redis = hookswitch_testkit::RedisSpec::new().start().await;
    let config = hookswitch::redis::RedisConfig::parse_url(&redis.url()).expect("a URL");
    let store = hookswitch::store::StoreConfig::new(directory.path().join("hookswitch.db"));
    the_oldest_is_dropped(Switch::builder().sqlite(store).redis(config)).await;
    assert_eq!(redis.cli(&["KEYS", "callcenter:online*"]).await, "", "nobody was there");
}
