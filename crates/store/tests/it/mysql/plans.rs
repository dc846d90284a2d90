//! How the server runs the statements that run all the time, among many rows that have ended.

use std::time::Duration;

use hookswitch_protocol::{DeliveryId, Timestamp, WebhookId};
use hookswitch_runtime::Clock;
use hookswitch_webhooks::{DeliveryLedger as _, Requeue, Retention, WebhookDirectory as _};

use super::rig::Rig;
use crate::rig::{duty, now, sweep, tenant, webhook, wish};

/// Deliveries that ended, for a hundred webhooks, and three webhooks with thousands that are due.
const ENDED: &str = "
INSERT INTO webhooks (id, tenant_id, name, url, events) SELECT 199 + seq, 'tenant-123', 'busy', 'https://x', '[]'
FROM seq_1_to_3;
INSERT INTO webhook_events (id, tenant_id, event_id, event_type, body, accepted_at)
SELECT seq, 'tenant-123', CONCAT('old-', seq), 'call.incoming', '{}', UNIX_TIMESTAMP() * 1000 FROM seq_1_to_50000;
INSERT INTO webhook_deliveries (delivery_id, webhook_id, tenant_id, event_row, state, due_at, created_at, ended_at)
SELECT CONCAT('d-', seq), 1 + seq % 100, 'tenant-123', seq, 'delivered', 1, 1, UNIX_TIMESTAMP() * 1000
FROM seq_1_to_50000;
INSERT INTO webhook_deliveries (delivery_id, webhook_id, tenant_id, event_row, state, due_at, created_at)
SELECT CONCAT('w-', seq), 200 + seq % 3, 'tenant-123', seq, 'due', 1 + seq, 1 FROM seq_1_to_9000;
UPDATE webhooks SET options = '{\"ordered_by\": \"call\"}' WHERE id = 202;
UPDATE webhook_deliveries SET order_key = CONCAT('call-', id % 5) WHERE webhook_id = 202;
ANALYZE TABLE webhook_events, webhook_deliveries;";

/// What the server has run since its log was switched on, with all values in place.
const SAID: &str = "SELECT REPLACE(argument, '\\n', ' ') FROM mysql.general_log
    WHERE command_type = 'Execute' AND user_host LIKE 'hub%' ORDER BY event_time";

#[tokio::test]
async fn leases_sweeps_backlog_and_retention_touch_few_rows() {
    let rig = Rig::start().await;
    let (store, database) = (rig.store(), &rig.database);
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    database.sql(ENDED).await;
    store.enqueue(vec![duty("e", &[id])]).await.expect("enqueue");
    database.sql("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON").await;
    assert_eq!(store.lease(wish(id, 5)).await.expect("lease").len(), 1);
    assert_eq!(store.lease(wish(WebhookId(201), 5)).await.expect("lease").len(), 5, "of thousands");
    assert_eq!(store.backlog(now()).await.expect("backlog").due.len(), 3);
    store.sweep(sweep(now())).await.expect("sweep");
    let retention = Retention { now: Clock::system().now(), ended: Duration::from_hours(24), limit: 100 };
    store.purge(retention).await.expect("purge");
    store.version().await.expect("version");
    let long_ago = Timestamp::from_millis(0);
    store.requeue(WebhookId(5), Requeue::FailedSince(long_ago), now(), 5).await.expect("requeue");
    let one = Requeue::One(DeliveryId::parse("d-5").expect("legal"));
    assert_eq!(store.requeue(WebhookId(6), one, now(), 1).await.expect("requeue").n_due, 1);
    assert_eq!(store.lease(wish(WebhookId(202), 5)).await.expect("lease").len(), 5, "in order, one of each call");
    database.sql("SET GLOBAL general_log = OFF").await;
    let said = database.sql(SAID).await;
    let mut n_checked = 0;
    for statement in said.lines().filter(|line| line.starts_with("SELECT") || line.starts_with("DELETE")) {
        let plan = database.sql(&format!("EXPLAIN {statement}")).await;
        check(statement, &plan);
        n_checked += 1;
    }
    assert!(n_checked >= 9, "{said}");
    rig.opened.close().await;
}

/// Columns: `id, select_type, table, type, possible_keys, key, key_len, ref, rows, Extra`.
fn check(statement: &str, plan: &str) {
    for step in plan.lines() {
        let columns: Vec<&str> = step.split('\t').collect();
        let is_ours = columns[2].starts_with("webhook") || columns[2] == "d" || columns[2] == "event_ids";
        let (access, key, extra) = (columns[3], columns[5], *columns.last().expect("has columns"));
        if !is_ours || ["webhooks", "webhook_nodes"].contains(&columns[2]) || extra.contains("optimized away") {
            continue;
        }
        let n_rows: u64 = columns[8].parse().unwrap_or(0);
        let is_skipping = extra.contains("Using index for group-by");
        assert!(key != "NULL" && access != "ALL", "{statement}\n{plan}");
        assert!(is_skipping || (access != "index" && n_rows < 20_000), "{statement}\n{plan}");
        assert!(is_skipping || !extra.contains("filesort"), "{statement}\n{plan}");
        // Else it reads every row that waits, once a second on every node.
        let must_skip = statement.contains("GROUP BY") && columns[2] == "webhook_deliveries";
        assert!(is_skipping || !must_skip, "{statement}\n{plan}");
    }
    if statement.contains("SKIP LOCKED") && statement.contains("'due'") {
        assert_eq!(plan.split('\t').nth(5), Some("webhook_deliveries_due"), "{statement}\n{plan}");
    }
}
