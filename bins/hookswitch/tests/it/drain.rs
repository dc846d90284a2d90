//! A node is taken out of service: its clients go one after the other, and nobody outside takes it for an outage.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use hookswitch_testkit::{PATIENCE, RawSocket, Token, WsClient, WsRequest, eventually};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::cluster::{nodes, until_online, until_readiness};
use crate::stage::{Stage, TENANT, event};

const OPERATOR: &str = "the-operator";

/// What a client is told before it is closed with 1012: in how many milliseconds it is to be back.
async fn told_to_reconnect(client: &mut WsClient) -> u64 {
    let told = client.expect("reconnect").await;
    assert_eq!(told["tenant_id"], TENANT);
    assert!(told["timestamp"].is_string(), "{told}");
    assert_eq!(client.close_code().await, 1012);
    told["payload"]["after_ms"].as_u64().expect("a number")
}

async fn agents(node: &Stage, users: std::ops::Range<i64>) -> Vec<WsClient> {
    join_all(users.map(|user| node.agent(user))).await
}

#[tokio::test]
async fn on_sigterm_clients_go_one_after_the_other_and_no_user_is_seen_to_leave() {
    const CLIENTS: usize = 50;
    let window = Duration::from_secs(4);
    let redis = hookswitch_testkit::RedisSpec::new().start().await;
    let url = redis.url();
    let mut leaving = Stage::with(&[("REDIS_URL", url.as_str()), ("DRAIN_WINDOW", "4s")]).await;
    until_readiness(&leaving, 200, "ready").await;
    let staying = nodes(&url, 1).await;
    let mut watcher = staying[0].agent(1_000).await;
    watcher.subscribe(&["presence.changed"]).await;
    let clients = agents(&leaving, 1..CLIENTS as i64 + 1).await;
    let mut came = HashSet::new();
    while came.len() < CLIENTS {
        let change = watcher.expect("presence.changed").await["payload"].clone();
        came.extend(change["user_id"].as_i64().filter(|user| *user <= CLIENTS as i64));
    }
    // Kept alive by a proxy: it may still send a request over it.
    let (service, busy) = (leaving.service(), leaving.service());
    service.publish(event("alert")).await;

    let start = Instant::now();
    leaving.node.terminate();
    let come_back = async |mut client: WsClient, user: usize| {
        client.expect("alert").await;
        let after_ms = told_to_reconnect(&mut client).await;
        let left_after = start.elapsed();
        // A tenth of the time, so that the test is done soon.
        sleep(Duration::from_millis(after_ms / 10)).await;
        (left_after, staying[0].agent(user as i64).await)
    };
    let coming_back = join_all((1..).zip(clients).map(|(user, client)| come_back(client, user)));
    let meanwhile = async {
        eventually("it is not ready", PATIENCE, async || leaving.node.api().get("/readyz").await.status == 503).await;
        assert_eq!(leaving.node.api().get("/readyz").await.json()["checks"]["accepting"], "draining");
        busy.post("/api/v1/events", event("alert")).await.expect_error(503, "draining");
        let token = leaving.sign(&Token::new(TENANT, 2_000));
        let upgrade = leaving.node.api().with_token(token).try_upgrade("/ws").await;
        upgrade.expect("somebody listens").expect_error(503, "draining");
        assert!(start.elapsed() < window, "all of this was within the window");
    };
    let (mut back, ()) = tokio::join!(coming_back, meanwhile);
    back.sort_unstable_by_key(|(left_after, _)| *left_after);
    for (at, (left_after, _)) in back.iter().enumerate() {
        // Late on a busy machine, and never early: each of the two shards is even by itself.
        let earliest = window.mul_f64(at.saturating_sub(2) as f64 / CLIENTS as f64);
        assert!(*left_after >= earliest, "number {at} left after {left_after:?}");
    }
    assert_eq!(leaving.node.wait(PATIENCE).await.code(), Some(0));
    // Changes on their way have arrived when a later one has.
    let late = staying[0].agent(3_000).await;
    nobody_came_or_went(&mut watcher, CLIENTS as i64, 3_000).await;
    until_online(&staying, 1, 1).await;
    drop(late);
}

/// None of the users up to this number, before this last one came.
async fn nobody_came_or_went(watcher: &mut WsClient, users: i64, last: i64) {
    loop {
        let change = watcher.expect("presence.changed").await["payload"].clone();
        assert_ne!(change["state"], "offline", "{change}");
        assert!(change["user_id"].as_i64() > Some(users), "{change}");
        if change["user_id"] == last {
            return;
        }
    }
}

#[tokio::test]
async fn an_operator_may_ask_for_it_over_http() {
    let mut stage = Stage::with(&[("SERVER_ADMIN_TENANT", OPERATOR), ("DRAIN_WINDOW", "2s")]).await;
    let mut clients = agents(&stage, 1..9).await;
    let start = Instant::now();
    stage.service().post("/api/v1/admin/drain", json!({})).await.expect_error(403, "forbidden");
    let operator = stage.service_of(OPERATOR);
    let answer = operator.post("/api/v1/admin/drain", json!({})).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(answer.data(), json!({"state": "draining", "connections": 8, "window_ms": 2_000}));
    assert_eq!(stage.node.api().get("/readyz").await.status, 503, "at once");
    // A service manager that stops the node now means the same.
    stage.node.terminate();
    join_all(clients.iter_mut().map(told_to_reconnect)).await;
    assert!(start.elapsed() >= Duration::from_millis(1_500), "spread over the window");
    assert_eq!(stage.node.wait(PATIENCE).await.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_in_the_midst_of_the_window() {
    let mut stage = Stage::with(&[("DRAIN_WINDOW", "5m")]).await;
    let _clients = agents(&stage, 1..5).await;
    stage.node.terminate();
    eventually("it drains", PATIENCE, async || stage.node.api().get("/readyz").await.status == 503).await;
    stage.node.interrupt();
    assert_eq!(stage.node.wait(PATIENCE).await.code(), Some(130));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_waited_for_longer_than_the_end_may_take() {
    let mut stage = Stage::start().await;
    let mut deaf = RawSocket::connect(stage.addr()).await;
    deaf.upgrade("/ws", &stage.sign(&Token::new(TENANT, 1))).await;
    let mut agent = stage.agent(2).await;
    // Until nothing more goes into its socket.
    let large = json!({"type": "alert", "payload": {"text": "x".repeat(500_000)}});
    for _ in 0..24 {
        stage.service().publish(large.clone()).await;
        agent.expect("alert").await;
    }
    let start = Instant::now();
    stage.node.terminate();
    told_to_reconnect(&mut agent).await;
    assert_eq!(stage.node.wait(PATIENCE).await.code(), Some(0));
    assert!(start.elapsed() < Duration::from_millis(4_500), "in order, and not by the deadline: {:?}", start.elapsed());
    assert!(!stage.node.log().contains("ended by the deadline"), "{}", stage.node.log());
    drop(deaf);
}

/// The upgrade that a browser makes, which cannot read why it was refused.
#[tokio::test]
async fn who_comes_to_a_draining_node_is_sent_on() {
    let stage = Stage::with(&[("DRAIN_WINDOW", "5m")]).await;
    let _client = stage.agent(1).await;
    stage.node.terminate();
    eventually("it drains", PATIENCE, async || stage.node.api().get("/readyz").await.status == 503).await;
    let token = stage.sign(&Token::new(TENANT, 2));
    let refused = WsRequest::new(stage.addr(), "/ws").bearer(&token).connect().await;
    assert_eq!(refused.expect_err("refused").status, 503);
    let answer: Value = stage.api(&Token::new(TENANT, 2)).get("/ws/stats").await.json();
    assert_eq!(answer["error"]["code"], "draining");
}
