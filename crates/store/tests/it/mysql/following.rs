//! What it costs to follow the directory among many registrations.

use hookswitch_webhooks::WebhookDirectory as _;

use super::rig::Rig;

/// Registered an hour ago.
const MANY: &str = "INSERT INTO webhooks (tenant_id, name, url, events, changed_at)
    SELECT 'tenant-123', seq, 'https://x', '[]', NOW(6) - INTERVAL 1 HOUR FROM seq_1_to_10000";

/// Rows that the server has read for anybody, this question's own included.
async fn n_reads(rig: &Rig) -> u64 {
    let reads = "SELECT CAST(SUM(VARIABLE_VALUE) AS UNSIGNED) FROM information_schema.GLOBAL_STATUS
        WHERE VARIABLE_NAME LIKE 'HANDLER_READ%'";
    rig.database.sql(reads).await.parse().expect("a number")
}

#[tokio::test]
async fn while_nothing_changes_only_new_marks_are_looked_at() {
    let rig = Rig::start().await;
    rig.database.sql(MANY).await;
    let version = async || rig.store().version().await.expect("version");
    let first = version().await;
    let before = n_reads(&rig).await;
    for _ in 0..20 {
        assert_eq!(version().await, first);
    }
    let n_reads = n_reads(&rig).await - before;
    assert!(n_reads < 10_000, "{n_reads} rows read, 200,000 if all were looked at each time");
    rig.database.sql("UPDATE webhooks SET name = 'y' ORDER BY id LIMIT 1").await;
    let second = version().await;
    assert_ne!(second, first, "a change by hand is noticed at once");
    rig.database.sql("DELETE FROM webhooks WHERE name = 'y'").await;
    assert_ne!(version().await, second, "and a deletion soon after it");
    assert_eq!(rig.store().all().await.expect("all").len(), 9_999, "read in several reads");
    rig.opened.close().await;
}
