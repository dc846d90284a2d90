//! Nodes on a MariaDB server: started only on a schema that fits, sharing their webhooks, and honest when it is away.

use std::time::Duration;

use hookswitch_testkit::{Behaviour, MariaDb, MariaDbServer, NodeSpec, PATIENCE, Receiver, eventually};
use serde_json::json;
use tokio::time::Instant;

use crate::stage::{Stage, event, event_for, spec};

fn on(database: &MariaDb) -> NodeSpec {
    spec().env("DATABASE_URL", &database.url())
}

async fn start(database: &MariaDb) -> Stage {
    Stage { node: on(database).start().await }
}

#[tokio::test]
async fn the_schema_is_changed_only_when_somebody_says_so() {
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    let refused = on(&database).run().await;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("hookswitch migrate up"), "{}", refused.stderr);
    let migrate = async |args: &[&str]| {
        // The database alone is enough for it.
        let output = on(&database).without_env("JWT_SECRET").args(&[&["migrate"], args].concat()).run().await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert!(!format!("{}{}", output.stdout, output.stderr).contains(database.password()));
        output.stdout
    };
    assert!(migrate(&["status"]).await.contains("pending 20261121090000_create-webhooks"));
    assert!(migrate(&["up"]).await.contains("taken 20261121090000_create-webhooks"));
    assert!(migrate(&["up"]).await.contains("up to date"));
    assert!(migrate(&["down"]).await.contains("taken back "));
    assert!(migrate(&["status"]).await.contains("pending "));
    let other = server.create_database().await;
    assert!(migrate(&["up", "--database-url", &other.url()]).await.contains("taken 20261121090000"));
    let node = on(&database).args(&["serve", "--migrate"]).start().await;
    assert!(!migrate(&["status"]).await.contains("pending "));
    assert!(!node.log().contains(database.password()), "{}", node.log());
}

#[tokio::test]
async fn nodes_on_one_database_share_webhooks_deliveries_and_ids() {
    let (server, receiver) = (MariaDbServer::start().await, Receiver::healthy().await);
    let database = server.create_database().await;
    on(&database).args(&["migrate", "up"]).run().await;
    let (one, two) = (start(&database).await, start(&database).await);
    let id = one.webhook(&receiver.url("/a"), &["call.incoming"]).await;
    // The other node notices within seconds, as it notices a row inserted by hand.
    eventually("the other node's events reach it", PATIENCE, async || {
        two.service().publish(event("call.incoming")).await;
        tokio::time::timeout(std::time::Duration::from_secs(1), receiver.wait_for(1)).await.is_ok()
    })
    .await;
    assert!(!two.log_rows(id, 1).await.is_empty() && !one.log_rows(id, 1).await.is_empty());
    let by_hand = format!(
        r#"INSERT INTO webhooks (tenant_id, name, url, events) VALUES ('tenant-123', 'by hand', '{}', '["alert"]')"#,
        receiver.url("/by-hand")
    );
    database.sql(&by_hand).await;
    let reached = async || receiver.requests().iter().any(|request| request.path == "/by-hand");
    eventually("a row inserted by hand takes effect", PATIENCE, async || {
        one.service().publish(event("alert")).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        reached().await
    })
    .await;
    let chosen = json!({"type": "alert", "id": "once", "payload": {}});
    one.service().publish(chosen.clone()).await;
    let conflicting = json!({"type": "alert", "id": "once", "payload": {"other": true}});
    assert_eq!(two.service().post("/api/v1/events", conflicting).await.status, 409, "the other node knows the id");
}

#[tokio::test]
async fn a_node_alone_that_was_killed_goes_on_at_once() {
    let script = [Behaviour::Hang, Behaviour::status(200)];
    let (server, receiver) = (MariaDbServer::start().await, Receiver::start(script).await);
    let database = server.create_database().await;
    on(&database).args(&["migrate", "up"]).run().await;
    let stage = start(&database).await;
    stage.webhook(&receiver.url("/a"), &["call.incoming"]).await;
    stage.service().publish(event("call.incoming")).await;
    receiver.wait_for(1).await;
    let killed = Instant::now();
    let stage = stage.crash_and_restart().await;
    receiver.wait_for(2).await;
    // Others wait 20 s, since they cannot know.
    assert!(killed.elapsed() < Duration::from_secs(15), "{:?}", killed.elapsed());
    drop(stage);
}

#[tokio::test]
async fn messages_for_absent_users_are_kept_on_the_server() {
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    on(&database).args(&["migrate", "up"]).run().await;
    let stage = start(&database).await;
    stage.service().publish(event_for(7, "call.hangup")).await;
    eventually("it is kept", PATIENCE, async || database.sql("SELECT COUNT(*) FROM offline_messages").await == "1")
        .await;
    let stage = stage.crash_and_restart().await;
    let mut agent = stage.agent(7).await;
    agent.expect("call.hangup").await;
    // It counts as arrived once the client has answered the ping that follows it.
    agent.expect_silence().await;
    eventually("it is kept no longer", PATIENCE, async || {
        database.sql("SELECT COUNT(*) FROM offline_messages").await == "0"
    })
    .await;
}

#[tokio::test]
async fn without_its_server_a_node_says_so_and_recovers() {
    let (mut server, receiver) = (MariaDbServer::start().await, Receiver::healthy().await);
    let database = server.create_database().await;
    on(&database).args(&["migrate", "up"]).run().await;
    let stage = start(&database).await;
    stage.webhook(&receiver.url("/a"), &["call.incoming"]).await;
    stage.service().publish(event("call.incoming")).await;
    receiver.wait_for(1).await;
    let mut agent = stage.agent(7).await;
    let ready = async || stage.node.api().get("/readyz").await.status;
    assert_eq!(ready().await, 200);
    server.kill().await;
    eventually("it is not ready", PATIENCE, async || ready().await == 503).await;
    let refused = stage.service().post("/api/v1/events", event("call.incoming")).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(!refused.text().contains("127.0.0.1") && !refused.text().contains("mysql"), "{}", refused.text());
    stage.service().publish(event("queue.stats")).await;
    agent.expect("queue.stats").await;
    server.restart().await;
    eventually("it is ready again", PATIENCE, async || ready().await == 200).await;
    eventually("it accepts again", PATIENCE, async || {
        stage.service().post("/api/v1/events", event("call.incoming")).await.status == 202
    })
    .await;
    receiver.wait_for(2).await;
    assert!(!stage.node.log().contains(database.password()), "{}", stage.node.log());
}
