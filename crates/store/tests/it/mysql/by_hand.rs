//! What operators do with the `mariadb` program, word for word from the contract, beside running nodes.

use std::time::Duration;

use hookswitch_protocol::{Timestamp, WebhookId};
use hookswitch_webhooks::{
    AttemptRow, Attempted, DeliveryLedger as _, DisableRule, Disposition, NewDeliveries, Timings, WebhookDirectory as _,
};

use super::rig::Rig;
use crate::rig::{FIRST_PAGE, duty, now, tenant, webhook, wish};

const INSERT: &str = r#"INSERT INTO webhooks (tenant_id, name, url, events, secret, is_active, retry_count, timeout)
VALUES ('tenant-123','Slack Alerts','https://hooks.slack.com/services/XXX','["call.incoming", "agent.state.changed"]','slack-secret',true,3,30);"#;

const PER_WEBHOOK: &str = "SELECT w.name, COUNT(*) AS total_deliveries,
       SUM(CASE WHEN wl.response_code BETWEEN 200 AND 299 THEN 1 ELSE 0 END) AS successful,
       ROUND(100.0 * SUM(CASE WHEN wl.response_code BETWEEN 200 AND 299 THEN 1 ELSE 0 END) / COUNT(*), 2) AS success_rate
FROM webhook_logs wl JOIN webhooks w ON w.id = wl.webhook_id
WHERE wl.created_at > NOW() - INTERVAL 24 HOUR GROUP BY w.id, w.name;";

const LAST_HOUR: &str = "SELECT COUNT(*) AS deliveries, AVG(duration_ms) AS avg_latency,
       SUM(CASE WHEN response_code BETWEEN 200 AND 299 THEN 1 ELSE 0 END) AS successful
FROM webhook_logs WHERE created_at > NOW() - INTERVAL 1 HOUR;";

const ERRORS: &str =
    "SELECT w.name, wl.event, wl.error, wl.created_at FROM webhook_logs wl JOIN webhooks w ON w.id = wl.webhook_id
WHERE wl.response_code >= 400 AND wl.created_at > NOW() - INTERVAL 1 HOUR ORDER BY wl.created_at DESC;";

#[tokio::test]
async fn the_contracts_insert_works_as_it_stands_and_is_noticed() {
    let rig = Rig::start().await;
    let store = rig.store();
    let before = store.version().await.expect("version");
    rig.database.sql(INSERT).await;
    assert_ne!(store.version().await.expect("version"), before, "a change by hand is noticed");
    let found = store.all().await.expect("active");
    assert_eq!(found.len(), 1);
    let found = &found[0];
    assert_eq!((found.tenant.as_str(), found.name.as_str()), ("tenant-123", "Slack Alerts"));
    assert_eq!(found.events, ["call.incoming", "agent.state.changed"]);
    assert_eq!(found.secret.as_ref().expect("has one").reveal(), "slack-secret");
    assert_eq!((found.is_active, found.retry_count, found.timeout_secs), (true, 3, 30));
    let age = now().as_millis() - found.created_at.as_millis();
    assert!((-1_000..60_000).contains(&age), "created now: {age} ms ago");
    assert_eq!(found.created_at, found.updated_at);
    rig.opened.close().await;
}

#[tokio::test]
async fn an_insert_without_the_optional_columns_gets_the_defaults() {
    let rig = Rig::start().await;
    // An operator in another time zone, too.
    rig.database
        .sql(
            r#"SET time_zone = '+09:00';
               INSERT INTO webhooks (tenant_id, name, url, events) VALUES ('tenant-123','x','https://x','["*"]');
               INSERT INTO webhooks (tenant_id, name, url, events, retry_count, timeout, created_at)
               VALUES ('tenant-123','y','https://y','["*"]', 99, NULL, '2025-10-25 21:00:00')"#,
        )
        .await;
    let rows = rig.store().list(&tenant(), FIRST_PAGE).await.expect("list").rows;
    let figures: Vec<_> = rows.iter().map(|row| (row.is_active, row.retry_count, row.timeout_secs)).collect();
    assert_eq!(figures, [(true, 3, 30), (true, 20, 30)]);
    assert_eq!(rows[0].secret, None);
    assert!((now().as_millis() - rows[0].created_at.as_millis()).abs() < 60_000);
    assert_eq!(rows[1].created_at, Timestamp::parse("2025-10-25T12:00:00Z").expect("legal"));
    rig.opened.close().await;
}

#[tokio::test]
async fn changes_and_deletions_by_hand_are_noticed_and_deliveries_are_not() {
    let rig = Rig::start().await;
    let (store, database) = (rig.store(), &rig.database);
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    let before = store.version().await.expect("version");
    store.enqueue(vec![duty("e-1", &[id])]).await.expect("enqueue");
    settle(&rig, id, Some(200)).await;
    assert_eq!(database.sql("SELECT COUNT(*) FROM webhooks WHERE last_triggered_at IS NOT NULL").await, "1");
    assert_eq!(store.version().await.expect("version"), before, "a delivery does not change the directory");
    database.sql("UPDATE webhooks SET updated_at = '2020-01-01', is_active = 0").await;
    let after = store.version().await.expect("version");
    assert_ne!(after, before);
    database.sql("UPDATE webhooks SET is_active = 1").await;
    let row = store.get(&tenant(), id).await.expect("get").expect("there");
    assert!(row.is_active && row.updated_at.as_millis() > now().as_millis() - 60_000, "updated_at follows");
    database.sql("DELETE FROM webhook_logs; DELETE FROM webhooks").await;
    assert_ne!(store.version().await.expect("version"), after);
    assert_eq!(store.get(&tenant(), id).await.expect("get"), None);
    rig.opened.close().await;
}

#[tokio::test]
async fn one_that_is_switched_on_again_by_hand_begins_anew() {
    let rig = Rig::start().await;
    let (store, database) = (rig.store(), &rig.database);
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    database
        .sql(
            "UPDATE webhooks SET is_active = 0, failing_since = NOW() - INTERVAL 6 DAY, n_failures = 50,
                    disabled_reason = 'failing', disabled_at = NOW() - INTERVAL 1 HOUR",
        )
        .await;
    let get = async || store.get(&tenant(), id).await.expect("get").expect("there");
    assert!(get().await.health.disabled.is_some());
    database.sql("UPDATE webhooks SET is_active = 1").await;
    assert_eq!(get().await.health.disabled, None);
    for n in 1..=2 {
        store.enqueue(vec![duty(&format!("e-{n}"), &[id])]).await.expect("enqueue");
        settle(&rig, id, Some(500)).await;
        let found = get().await;
        assert!(found.is_active, "after {n} failures");
        assert_eq!(found.health.n_failures, n);
        assert!(found.health.failing_since.is_some_and(|since| now().since(since) < Duration::from_mins(1)));
    }
    rig.opened.close().await;
}

#[tokio::test]
async fn a_moment_that_never_was_does_not_spoil_the_table() {
    let rig = Rig::start().await;
    let insert = "SET sql_mode = ''; INSERT INTO webhooks (tenant_id, name, url, events, created_at, last_triggered_at)
                  VALUES ('tenant-123','x','https://x','[\"*\"]', 0, '0000-00-00')";
    rig.database.sql(insert).await;
    let rows = rig.store().all().await.expect("all");
    assert_eq!((rows.len(), rows[0].created_at.as_millis()), (1, 0));
    rig.opened.close().await;
}

/// Leases the one delivery that is due and settles it with this answer.
async fn settle(rig: &Rig, id: WebhookId, code: Option<u16>) {
    let leased = rig.store().lease(wish(id, 1)).await.expect("lease");
    let leased = &leased[0];
    let row = AttemptRow {
        webhook: id,
        event_type: leased.event_type.clone(),
        body: leased.body.clone(),
        response_code: code,
        response_body: Some("ok".to_owned()),
        error: code.is_none_or(|code| code >= 400).then(|| "said no".to_owned()),
        duration_ms: 40,
        attempt: leased.attempt,
        delivery: None,
        timings: Timings::default(),
        at: now(),
    };
    let attempted = Attempted {
        lease: leased.lease.clone(),
        row,
        disposition: Disposition::Delivered,
        judged: Some(leased.webhook.clone()),
    };
    rig.store().finish(vec![attempted], DisableRule::default()).await.expect("finish");
}

#[tokio::test]
async fn the_reports_are_right_word_for_word() {
    let rig = Rig::start().await;
    let (store, database) = (rig.store(), &rig.database);
    let id = store.create(&tenant(), webhook("CRM")).await.expect("create").id;
    store.create(&tenant(), webhook("idle")).await.expect("create");
    for (n, code) in [Some(200), Some(503), None, Some(204), Some(404)].into_iter().enumerate() {
        store.enqueue(vec![duty(&format!("e-{n}"), &[id])]).await.expect("enqueue");
        settle(&rig, id, code).await;
        // TIMESTAMPs are kept to the millisecond, and the newest row comes first.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(database.sql(PER_WEBHOOK).await, "CRM\t5\t2\t40.00");
    assert_eq!(database.sql(LAST_HOUR).await, "5\t40.0000\t2");
    database.sql("UPDATE webhook_logs SET created_at = NOW() - INTERVAL 2 HOUR WHERE response_code = 404").await;
    assert_eq!(database.sql(LAST_HOUR).await, "4\t40.0000\t2");
    let errors = database.sql(ERRORS).await;
    assert!(errors.starts_with("CRM\tcall.incoming\tsaid no\t20") && !errors.contains('\n'), "{errors}");
    let newest = format!("SELECT * FROM webhook_logs WHERE webhook_id = {id} ORDER BY created_at DESC LIMIT 10");
    let newest = database.sql(&newest).await;
    let codes: Vec<_> = newest.lines().filter_map(|line| line.split('\t').nth(4)).collect();
    assert_eq!(codes, ["204", "NULL", "503", "200", "404"]);
    let payloads = database.sql("SELECT payload FROM webhook_logs WHERE response_code = 200").await;
    assert_eq!(payloads, r#"{"event":"call.incoming","timestamp":1,"data":{"n":"e-0"}}"#, "the body sent");
    rig.opened.close().await;
}

#[tokio::test]
async fn a_body_that_the_servers_json_does_not_take_stops_nothing() {
    let rig = Rig::start().await;
    let id = rig.store().create(&tenant(), webhook("x")).await.expect("create").id;
    // Nested too deeply; half an emoji, which JSON allows and JavaScript's `slice` makes; and no JSON,
    // which stands for whatever else a server may refuse.
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let bodies = [&deep, r#"{"said":"well \ud83d"}"#, "none"].map(str::to_owned);
    for (n, body) in bodies.iter().enumerate() {
        let odd = NewDeliveries { body: body.clone().into(), ..duty(&format!("e-{n}"), &[id]) };
        rig.store().enqueue(vec![odd]).await.expect("enqueue");
        settle(&rig, id, Some(200)).await;
    }
    assert_eq!(rig.database.sql("SELECT SUM(JSON_VALID(payload)) FROM webhook_logs").await, "3");
    let kept = "SELECT JSON_UNQUOTE(payload) FROM webhook_logs ORDER BY id";
    let kept = rig.database.sql(kept).await;
    assert_eq!(kept.replace(r"\\", r"\"), bodies.join("\n"), "as text");
    rig.opened.close().await;
}
