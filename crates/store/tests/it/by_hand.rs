//! What operators do with the `sqlite3` program, word for word from the contract, beside a running server.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{EventType, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{AttemptLog as _, AttemptRow, LogFilter, Timings, WebhookChange, WebhookDirectory as _};

use crate::rig::{FIRST_PAGE, Operator, Rig, now, tenant, webhook};

const INSERT: &str = r#"INSERT INTO webhooks (tenant_id, name, url, events, secret, is_active, retry_count, timeout)
VALUES ('tenant-123','Slack Alerts','https://hooks.slack.com/services/XXX','["call.incoming", "agent.state.changed"]','slack-secret',true,3,30);"#;

#[tokio::test]
async fn the_contracts_insert_works_as_it_stands_and_is_noticed() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = &opened.store;
    let before = store.version().await.expect("version");
    rig.operator().run(INSERT);
    assert_ne!(store.version().await.expect("version"), before, "a change by hand is noticed");
    let found = store.all().await.expect("active");
    assert_eq!(found.len(), 1);
    let found = &found[0];
    assert_eq!((found.tenant.as_str(), found.name.as_str()), ("tenant-123", "Slack Alerts"));
    assert_eq!(found.events, ["call.incoming", "agent.state.changed"]);
    assert_eq!(found.secret.as_ref().expect("has one").reveal(), "slack-secret");
    assert_eq!((found.is_active, found.retry_count, found.timeout_secs), (true, 3, 30));
    let age = now().as_millis() - found.created_at.as_millis();
    assert!((-1_000..60_000).contains(&age), "created now, in UTC: {age} ms ago");
    assert_eq!(found.created_at, found.updated_at);
    opened.close().await;
}

#[tokio::test]
async fn an_insert_without_the_optional_columns_gets_the_defaults() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let mut operator = rig.operator();
    operator
        .run(r#"INSERT INTO webhooks (tenant_id, name, url, events) VALUES ('tenant-123','x','https://x','["*"]')"#);
    operator.run(
        r#"INSERT INTO webhooks (tenant_id, name, url, events, retry_count, timeout, created_at)
           VALUES ('tenant-123','y','https://y','["*"]', 99, NULL, '2025-10-25 12:00:00')"#,
    );
    let rows = opened.store.list(&tenant(), FIRST_PAGE).await.expect("list").rows;
    let figures: Vec<_> = rows.iter().map(|row| (row.is_active, row.retry_count, row.timeout_secs)).collect();
    assert_eq!(figures, [(true, 3, 30), (true, 20, 30)]);
    assert_eq!(rows[0].secret, None);
    assert_eq!(rows[1].created_at, Timestamp::parse("2025-10-25T12:00:00Z").expect("legal"));
    opened.close().await;
}

#[tokio::test]
async fn one_odd_row_does_not_spoil_the_others() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let mut operator = rig.operator();
    operator.run("INSERT INTO webhooks (tenant_id, name, url, events) VALUES ('tenant-123','a','https://x','call.*')");
    operator.run("INSERT INTO webhooks (tenant_id, name, url, events) VALUES ('no such: tenant','b','https://x','[]')");
    operator.run("INSERT INTO webhooks (tenant_id, name, url, events, created_at, timeout) VALUES ('tenant-123','c','https://x','[\"*\"]','soon','long')");
    let found = opened.store.all().await.expect("active");
    let found: Vec<_> = found.iter().map(|row| (row.name.as_str(), row.events.len(), row.timeout_secs)).collect();
    assert_eq!(found, [("a", 0, 30), ("c", 1, 1)]);
    opened.close().await;
}

#[tokio::test]
async fn changes_and_deletions_by_hand_are_noticed_and_deliveries_are_not() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = &opened.store;
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    let mut operator = rig.operator();
    operator
        .run("UPDATE webhooks SET updated_at = '2020-01-01 00:00:00.000', last_triggered_at = '2020-01-01 00:00:00'");
    let before = store.version().await.expect("version");
    operator.run("UPDATE webhooks SET last_triggered_at = CURRENT_TIMESTAMP");
    assert_eq!(store.version().await.expect("version"), before, "a delivery does not change the directory");
    operator.run("UPDATE webhooks SET is_active = 0");
    let after = store.version().await.expect("version");
    assert_ne!(after, before);
    let row = store.get(&tenant(), id).await.expect("get").expect("there");
    assert!(!row.is_active);
    assert!(row.updated_at.as_millis() > now().as_millis() - 60_000, "updated_at follows a change by hand");
    operator.run("DELETE FROM webhooks");
    assert_ne!(store.version().await.expect("version"), after);
    assert_eq!(store.get(&tenant(), id).await.expect("get"), None);
    opened.close().await;
}

fn attempt(id: WebhookId, code: Option<u16>, at: Timestamp) -> AttemptRow {
    AttemptRow {
        webhook: id,
        event_type: EventType::CALL_INCOMING,
        body: Bytes::from_static(br#"{"event":"call.incoming","timestamp":1,"data":{"x":1.50,"y":"\u00e4"}}"#),
        response_code: code,
        response_body: Some("ok".to_owned()),
        error: code.is_none().then(|| "timeout".to_owned()),
        duration_ms: 40,
        attempt: 1,
        delivery: None,
        timings: Timings::default(),
        at,
    }
}

/// The contract's reports; SQLite spells "an hour ago" in its own way, everything else is as it stands.
#[tokio::test]
async fn the_reports_are_right() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let id = opened.store.create(&tenant(), webhook("CRM")).await.expect("create").id;
    let other = TenantId::parse("other").expect("legal");
    opened.store.create(&other, webhook("idle")).await.expect("create");
    for (code, age) in [(Some(200), 1), (Some(503), 2), (None, 3), (Some(204), 4), (Some(404), 2 * 3_600)] {
        let at = now().before(Duration::from_secs(age));
        opened.store.append(attempt(id, code, at)).await.expect("append");
    }
    let mut operator = rig.operator();
    check_reports(&mut operator, id);
    let mut payload = operator.values("SELECT payload AS value FROM webhook_logs");
    payload.dedup();
    assert_eq!(payload, [r#"{"event":"call.incoming","timestamp":1,"data":{"x":1.50,"y":"\u00e4"}}"#]);
    opened.close().await;
}

fn check_reports(operator: &mut Operator, id: WebhookId) {
    let per_webhook = operator.values(
        "SELECT name || ' ' || total_deliveries || ' ' || successful || ' ' || success_rate AS value FROM (
         SELECT w.name, COUNT(*) AS total_deliveries,
                SUM(CASE WHEN wl.response_code BETWEEN 200 AND 299 THEN 1 ELSE 0 END) AS successful,
                ROUND(100.0 * SUM(CASE WHEN wl.response_code BETWEEN 200 AND 299 THEN 1 ELSE 0 END) / COUNT(*), 2) AS success_rate
         FROM webhook_logs wl JOIN webhooks w ON w.id = wl.webhook_id
         WHERE wl.created_at > datetime('now', '-24 hours') GROUP BY w.id, w.name)",
    );
    assert_eq!(per_webhook, ["CRM 5 2 40.0"]);
    let last_hour = operator.value(
        "SELECT deliveries || ' ' || avg_latency || ' ' || successful AS value FROM (
         SELECT COUNT(*) AS deliveries, AVG(duration_ms) AS avg_latency,
                SUM(CASE WHEN response_code BETWEEN 200 AND 299 THEN 1 ELSE 0 END) AS successful
         FROM webhook_logs WHERE created_at > datetime('now', '-1 hour'))",
    );
    assert_eq!(last_hour, "4 40.0 2");
    let errors = operator.values(
        "SELECT w.name || ' ' || wl.event AS value
         FROM webhook_logs wl JOIN webhooks w ON w.id = wl.webhook_id
         WHERE wl.response_code >= 400 AND wl.created_at > datetime('now', '-1 hour') ORDER BY wl.created_at DESC",
    );
    assert_eq!(errors, ["CRM call.incoming"]);
    let newest = operator.values(&format!(
        "SELECT response_code AS value FROM webhook_logs WHERE webhook_id = {id} ORDER BY created_at DESC LIMIT 10"
    ));
    assert_eq!(newest, ["200", "503", "NULL", "204", "404"]);
}

#[tokio::test]
async fn a_webhook_deleted_by_hand_does_not_stop_the_log_of_others() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = &opened.store;
    let gone = store.create(&tenant(), webhook("gone")).await.expect("create").id;
    let kept = store.create(&tenant(), webhook("kept")).await.expect("create").id;
    rig.operator().run(&format!("DELETE FROM webhooks WHERE id = {gone}"));
    store.append(attempt(gone, Some(200), now())).await.expect("nothing to log it under");
    store.append(attempt(kept, Some(200), now())).await.expect("append");
    assert_eq!(store.entries(&tenant(), kept, &LogFilter::default(), FIRST_PAGE).await.expect("entries").total, 1);
    assert_eq!(store.entries(&tenant(), gone, &LogFilter::default(), FIRST_PAGE).await.expect("entries").total, 0);
    let change = WebhookChange { name: Some("new".to_owned()), ..WebhookChange::default() };
    assert_eq!(store.update(&tenant(), gone, change).await.expect("update"), None);
    let next = store.create(&tenant(), webhook("next")).await.expect("create").id;
    assert!(next > kept, "a number is never used again: {next}");
    opened.close().await;
}
