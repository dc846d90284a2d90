//! What nodes of the version before the keys' collation say, on tables that have it.

use hookswitch_store::MySqlConfig;
use hookswitch_store::migrations::{self, Database};
use hookswitch_testkit::{MariaDb, MariaDbServer};

/// All statements of theirs that compare a key with another column, or with a text.
const STATEMENTS: [&str; 9] = [
    "SELECT held_by, held_until,
            EXISTS (SELECT 1 FROM offline_messages m
                    WHERE m.tenant_id = u.tenant_id AND m.user_id = u.user_id AND m.is_claimed) AS has_claims
     FROM offline_users u WHERE tenant_id = 't' AND user_id = '7' FOR UPDATE",
    "INSERT INTO offline_users (tenant_id, user_id, n_messages) VALUES ('t', '7', 0)
     ON DUPLICATE KEY UPDATE n_messages = n_messages",
    "INSERT INTO offline_messages (tenant_id, user_id, event_id, envelope, accepted_at) VALUES ('t', '7', 'e', '{}', 1)",
    "SELECT event_id FROM offline_messages WHERE tenant_id = 't' AND user_id = '7' AND event_id IN ('e', 'f')",
    "UPDATE offline_users SET n_messages = 1, n_dropped = 0 WHERE tenant_id = 't' AND user_id = '7'",
    "SELECT fingerprint FROM event_ids WHERE tenant_id = 't' AND event_id IN ('e', 'f')",
    "SELECT session_key FROM chat_sessions WHERE session_key = 'k' AND tenant_id = 't' FOR UPDATE",
    "SELECT id FROM webhooks WHERE tenant_id = 't' AND deleted_at IS NULL",
    "SELECT id FROM webhook_deliveries WHERE state = 'due' AND webhook_id = 1 AND is_retry = 0 AND due_at <= 5
        AND (webhook_deliveries.order_key IS NULL OR NOT EXISTS (
            SELECT 1 FROM webhook_deliveries earlier
            WHERE earlier.webhook_id = webhook_deliveries.webhook_id
              AND earlier.order_key = webhook_deliveries.order_key
              AND earlier.id < webhook_deliveries.id AND earlier.order_key IS NOT NULL
              AND earlier.state IN ('due', 'leased')))
     ORDER BY due_at, id LIMIT 10 FOR UPDATE SKIP LOCKED",
];

/// As the tables of kept messages are between the two of them.
const HALF_WAY: &str = "ALTER TABLE offline_users
    MODIFY tenant_id VARCHAR(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    MODIFY user_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL";

/// Those that the server refuses, with what it says.
async fn refused(database: &MariaDb) -> Vec<(usize, String)> {
    let mut refused = Vec::new();
    for (place, statement) in STATEMENTS.iter().enumerate() {
        // As drivers and clients say it: in whatever collation.
        for collation in ["utf8mb4_general_ci", "utf8mb4_unicode_520_ci", "utf8mb4_bin"] {
            let said = format!("SET NAMES utf8mb4 COLLATE {collation}; BEGIN; {statement}; ROLLBACK");
            refused.extend(database.try_sql(&said).await.err().map(|error| (place, error)));
        }
    }
    refused
}

#[tokio::test]
async fn former_nodes_go_on_after_the_step_and_claim_nothing_only_between_its_two_tables() {
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    migrations::up(&Database::MySql(Box::new(MySqlConfig::parse_url(&database.url()).expect("a URL"))))
        .await
        .expect("up");
    assert_eq!(refused(&database).await, [], "all of them go on");
    // The larger table is changed first, so this lasts as long as the smaller one takes.
    database.sql(HALF_WAY).await;
    let refused = refused(&database).await;
    assert!(refused.iter().all(|(place, said)| *place == 0 && said.contains("1267")), "{refused:?}");
    assert_eq!(refused.len(), 3, "what operations.md tells: a claim has to be made again");
}
