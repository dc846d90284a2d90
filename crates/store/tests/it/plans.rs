//! The hot queries use their indexes, also in a large database without statistics.

use crate::rig::Rig;

#[tokio::test]
async fn leases_sweeps_and_retention_walk_an_index() {
    let rig = Rig::new();
    rig.open().await.close().await;
    let mut operator = rig.operator();
    let mut check = |sql: &str, index: &str| {
        let plan = operator.plan(sql).join("; ");
        assert!(plan.contains(index), "{sql}\n{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "it sorts: {sql}\n{plan}");
    };
    check(
        "SELECT d.id FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_row
         WHERE d.state = 'due' AND d.webhook_id = ? AND d.is_retry = ? AND d.due_at <= ? ORDER BY d.due_at, d.id LIMIT ?",
        "webhook_deliveries_due (webhook_id=? AND is_retry=? AND due_at<?)",
    );
    check(
        "UPDATE webhook_deliveries SET state = 'due' WHERE state = 'leased' AND lease_until < ?",
        "webhook_deliveries_leased",
    );
    check("SELECT id FROM webhook_deliveries WHERE ended_at < ? LIMIT ?", "webhook_deliveries_ended");
    check("SELECT id FROM webhook_logs WHERE created_at < ? LIMIT ?", "webhook_logs_by_time");
    check(
        "SELECT id FROM webhook_logs WHERE webhook_id = ? ORDER BY created_at DESC, id DESC LIMIT 50",
        "webhook_logs_by_webhook",
    );
    check(
        "SELECT id FROM webhook_logs WHERE ((random() & 127) <> 0 OR random()) AND webhook_id = ? AND event = ?
         ORDER BY created_at DESC, id DESC LIMIT 50",
        "COVERING INDEX webhook_logs_by_event (webhook_id=? AND event=?)",
    );
    check(
        "SELECT id FROM webhook_logs WHERE webhook_id = ?
         AND created_at <= COALESCE((SELECT p.created_at FROM webhook_logs p WHERE p.id = ?), ?)
         AND (created_at < COALESCE((SELECT p.created_at FROM webhook_logs p WHERE p.id = ?), ?) OR id < ?)
         ORDER BY created_at DESC, id DESC LIMIT 50",
        "COVERING INDEX webhook_logs_by_webhook (webhook_id=? AND created_at<?)",
    );
    check("SELECT id FROM webhook_skips WHERE delivery_id = ?", "webhook_skips_by_delivery");
    check(
        "SELECT COUNT(*), AVG(duration_ms) FROM webhook_logs WHERE webhook_id = ? AND created_at >= ?
         AND NOT COALESCE(response_code BETWEEN 200 AND 299, FALSE)",
        "COVERING INDEX webhook_logs_by_webhook",
    );
    check(
        "SELECT id FROM offline_messages WHERE tenant_id = ? AND user_id = ? AND is_claimed = ? ORDER BY id LIMIT ?",
        "offline_messages_in_line",
    );
}
