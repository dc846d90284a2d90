//! Rows that somebody else has locked, and rows that the server does not take: nobody else is held up.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_hub::{OfflineLimits, OfflineMessage, OfflineStore as _, UserKey};
use hookswitch_protocol::{EventId, UserId, WebhookId};
use hookswitch_runtime::Clock;
use hookswitch_store::{EndedNodes, MySqlConfig};
use hookswitch_testkit::{PATIENCE, eventually};
use hookswitch_webhooks::{
    Attempted, DeliveryLedger as _, DisableRule, Finished, LedgerError, NewDeliveries, WebhookChange,
    WebhookDirectory as _,
};
use tokio::time::Instant;

use super::rig::{Rig, config, open, open_with};
use crate::rig::{attempted, duty, now, sweep, tenant, webhook, wish};

fn large(id: &str, webhook: WebhookId, n_bytes: usize) -> NewDeliveries {
    let body = format!(r#"{{"event":"call.incoming","timestamp":1,"data":{{"x":"{}"}}}}"#, "x".repeat(n_bytes));
    NewDeliveries { body: Bytes::from(body), ..duty(id, &[webhook]) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_in_an_operators_open_transaction_holds_up_nobody_else() {
    let rig = Rig::start().await;
    let store = rig.store();
    let held = store.create(&tenant(), webhook("held")).await.expect("create").id;
    let free = store.create(&tenant(), webhook("free")).await.expect("create").id;
    store.enqueue(vec![duty("e-1", &[held, free]), duty("e-2", &[held, free])]).await.expect("enqueue");
    let leased =
        [store.lease(wish(held, 9)).await.expect("lease"), store.lease(wish(free, 9)).await.expect("lease")].concat();
    assert_eq!(leased.len(), 4);
    // A client in which somebody has begun a change and gone for coffee.
    let locking = format!("BEGIN; UPDATE webhooks SET name = 'changed' WHERE id = {held}; SELECT SLEEP(8); ROLLBACK;");
    let operator = rig.database.sql(&locking);
    let meanwhile = async {
        // Not the table of transactions: the server renews that only when nobody has looked for a while.
        let is_locked = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'";
        eventually("the row is locked", PATIENCE, async || rig.database.sql(is_locked).await == "1").await;
        let started = Instant::now();
        let rule = DisableRule::default();
        for pair in [[0, 2], [1, 3]] {
            let pair = pair.map(|place: usize| attempted(&leased[place])).to_vec();
            let settled = store.finish(pair, rule).await.expect("settled");
            assert_eq!(settled.finished, [Finished::Recorded; 2]);
        }
        store.sweep(sweep(now())).await.expect("it says that it lives");
        let change = WebhookChange { name: Some("mine".to_owned()), ..WebhookChange::default() };
        let owner = tenant();
        let (changed, published) = tokio::join!(store.update(&owner, held, change), async {
            store.enqueue(vec![duty("e-3", &[free])]).await.expect("accepted");
            store.create(&tenant(), webhook("new")).await.expect("created");
            started.elapsed()
        });
        assert!(changed.is_err(), "only who wants the row itself is told");
        assert!(published < Duration::from_secs(5), "{published:?}");
        let logged = "SELECT COUNT(*) FROM webhook_logs WHERE webhook_id";
        assert_eq!(rig.database.sql(&format!("{logged} = {free}")).await, "2");
        assert_eq!(rig.database.sql(&format!("{logged} = {held}")).await, "0", "owed");
        let ended = "SELECT COUNT(*) FROM webhook_deliveries WHERE state = 'delivered'";
        assert_eq!(rig.database.sql(ended).await, "4", "and nothing will be sent twice");
    };
    tokio::join!(operator, meanwhile);
    let rows = format!("SELECT COUNT(*) FROM webhook_logs WHERE webhook_id = {held}");
    eventually("what was owed is written", PATIENCE, async || rig.database.sql(&rows).await == "2").await;
    rig.opened.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owed_attempts_beyond_the_room_lose_bodies_and_a_refused_one_holds_up_nobody() {
    let rig = Rig::start().await;
    let store = rig.store();
    let first = store.create(&tenant(), webhook("first")).await.expect("create").id;
    let second = store.create(&tenant(), webhook("second")).await.expect("create").id;
    rig.database.sql("ALTER TABLE webhook_logs ADD CONSTRAINT odd CHECK (response_code <> 299)").await;
    store.enqueue(vec![duty("e-1", &[first, second]), duty("e-2", &[first])]).await.expect("enqueue");
    let leased =
        [store.lease(wish(first, 9)).await.expect("lease"), store.lease(wish(second, 9)).await.expect("lease")]
            .concat();
    let mut attempts: Vec<Attempted> = leased.iter().map(attempted).collect();
    assert_eq!(attempts.len(), 3);
    attempts[0].row.response_code = Some(299);
    attempts[1].row.body = Bytes::from(format!("\"{}\"", "y".repeat(17 * 1024 * 1024)));
    let operator = rig.database.sql("BEGIN; UPDATE webhooks SET name = 'changed'; SELECT SLEEP(3); ROLLBACK;");
    let meanwhile = async {
        let is_locked = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'";
        eventually("the rows are locked", PATIENCE, async || rig.database.sql(is_locked).await == "1").await;
        let settled = store.finish(attempts.clone(), DisableRule::default()).await.expect("settled, whatever the room");
        assert_eq!(settled.finished, [Finished::Recorded; 3]);
        store.finish(attempts, DisableRule::default()).await.expect("a repeated call");
        assert_eq!(rig.database.sql("SELECT COUNT(*) FROM webhook_logs").await, "0", "owed");
    };
    tokio::join!(operator, meanwhile);
    let all = "SELECT COUNT(*) FROM webhook_logs";
    eventually("what was owed is written", PATIENCE, async || rig.database.sql(all).await == "2").await;
    let bare = format!("{all} WHERE webhook_id = {first} AND payload LIKE '%locked for too long%'");
    assert_eq!(rig.database.sql(&bare).await, "1");
    assert_eq!(rig.database.sql(&format!("{all} WHERE webhook_id = {second}")).await, "1", "once");
    assert_eq!(store.metrics().unlogged.get(), 1, "the refused one");
    rig.opened.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_that_end_together_are_settled_in_statements_that_the_server_takes() {
    let rig = Rig::start().await;
    rig.database.sql("SET GLOBAL max_allowed_packet = 1048576").await;
    let opened = open(config(&rig.database), Clock::system()).await.expect("opens");
    let store = &opened.store;
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    for n in 0..4 {
        store.enqueue(vec![large(&format!("e-{n}"), id, 300_000)]).await.expect("accepted");
    }
    let four = (4..8).map(|n| large(&format!("e-{n}"), id, 300_000)).collect();
    store.enqueue(four).await.expect("a batch of them, too");
    let leased = store.lease(wish(id, 9)).await.expect("lease");
    assert_eq!(leased.len(), 8);
    let settled = store.finish(leased.iter().map(attempted).collect(), DisableRule::default()).await.expect("settled");
    assert_eq!(settled.finished, [Finished::Recorded; 8]);
    assert_eq!(rig.database.sql("SELECT COUNT(*) FROM webhook_logs WHERE LENGTH(payload) > 300000").await, "8");
    opened.close().await;
    rig.opened.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_never_takes_is_refused_alone_with_its_reason() {
    let rig = Rig::start().await;
    rig.database.sql("SET GLOBAL max_allowed_packet = 1048576").await;
    let opened = open(config(&rig.database), Clock::system()).await.expect("opens");
    let store = &opened.store;
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    let (poisoned, one, two) = tokio::join!(
        store.enqueue(vec![large("too-large", id, 1_100_000)]),
        store.enqueue(vec![duty("e-1", &[id])]),
        store.enqueue(vec![duty("e-2", &[id])]),
    );
    let refused = poisoned.expect_err("never");
    assert!(matches!(refused, LedgerError::TooLarge { .. }), "{refused}");
    let reason = refused.source().and_then(|cause| cause.source()).expect("a reason");
    let told = reason.source().unwrap_or(reason).to_string();
    assert!(told.contains("max_allowed_packet") && told.contains("1100"), "{told}");
    assert!(one.is_ok() && two.is_ok(), "the others pass");
    // An attempt whose bodies the log cannot take is settled all the same.
    let leased = store.lease(wish(id, 9)).await.expect("lease");
    let mut attempts: Vec<Attempted> = leased.iter().map(attempted).collect();
    attempts[0].row.body = Bytes::from(format!("\"{}\"", "y".repeat(1_100_000)));
    let settled = store.finish(attempts, DisableRule::default()).await.expect("settled");
    assert_eq!(settled.finished, [Finished::Recorded; 2]);
    let noted = "SELECT COUNT(*) FROM webhook_logs WHERE payload LIKE '%max_allowed_packet%'";
    assert_eq!(rig.database.sql(noted).await, "1");
    opened.close().await;
    rig.opened.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_message_that_the_server_never_takes_is_dropped_alone() {
    let rig = Rig::start().await;
    rig.database.sql("SET GLOBAL max_allowed_packet = 1048576").await;
    let opened = open(config(&rig.database), Clock::system()).await.expect("opens");
    let message = |user: i64, id: &str, n_bytes: usize| OfflineMessage {
        user: UserKey { tenant: tenant(), user: UserId::from(user) },
        event_id: EventId::parse(id).expect("legal"),
        envelope: Bytes::from("x".repeat(n_bytes)),
        at: now(),
    };
    let messages = vec![message(7, "a", 9), message(7, "b", 1_100_000), message(7, "c", 9), message(8, "d", 9)];
    opened.store.put(messages).await.expect("the others are kept");
    for (user, kept) in [(7, (2, 1)), (8, (1, 0))] {
        let user = UserKey { tenant: tenant(), user: UserId::from(user) };
        let claim = opened.store.claim(&user, 9).await.expect("claim");
        assert_eq!((claim.messages.len(), claim.n_dropped), kept);
    }
    opened.close().await;
    rig.opened.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_a_node_of_the_version_before_left_in_the_count_drop_nothing() {
    let rig = Rig::start().await;
    let limits = OfflineLimits { per_user_bytes: 1_000, ..OfflineLimits::default() };
    let opened = open_with(config(&rig.database), limits, Clock::system()).await.expect("opens");
    let agent = UserKey { tenant: tenant(), user: UserId::from(7) };
    let message = |id: &str| OfflineMessage {
        user: agent.clone(),
        event_id: EventId::parse(id).expect("legal"),
        envelope: Bytes::from("x".repeat(100)),
        at: now(),
    };
    opened.store.put(vec![message("a"), message("b")]).await.expect("put");
    rig.database.sql("UPDATE offline_users SET n_bytes = 5000").await;
    opened.store.put(vec![message("c")]).await.expect("put");
    assert_eq!(rig.database.sql("SELECT n_messages, n_bytes FROM offline_users").await, "3\t300");
    assert_eq!(opened.store.claim(&agent, 9).await.expect("claim").n_dropped, 0);
    opened.close().await;
    rig.opened.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_ended_node_had_claimed_is_free_at_once() {
    let rig = Rig::start().await;
    let of_ended = MySqlConfig { node_name: Some("ended".to_owned()), ..config(&rig.database) };
    let former = open(of_ended, Clock::system()).await.expect("opens");
    let agent = UserKey { tenant: tenant(), user: UserId::from(7) };
    rig.database
        .sql(
            "INSERT INTO offline_messages (tenant_id, user_id, event_id, envelope, accepted_at)
             VALUES ('tenant-123', '7', 'e', '{}', UNIX_TIMESTAMP() * 1000);
             INSERT INTO offline_users (tenant_id, user_id, n_messages) VALUES ('tenant-123', '7', 1);",
        )
        .await;
    assert_eq!(former.store.claim(&agent, 9).await.expect("claim").messages.len(), 1);
    let claim = rig.store().claim(&agent, 9).await.expect("claim");
    assert!(claim.held_elsewhere.is_some() && claim.messages.is_empty(), "{claim:?}");
    let ended_nodes = EndedNodes::new(|name| name == "ended");
    let next = MySqlConfig { ended_nodes, ..config(&rig.database) };
    let next = open(next, Clock::system()).await.expect("opens");
    assert_eq!(next.store.claim(&agent, 9).await.expect("claim").messages.len(), 1, "at once");
    next.close().await;
    former.close().await;
    rig.opened.close().await;
}
