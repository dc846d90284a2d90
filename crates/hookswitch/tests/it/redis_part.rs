//! A node among others, whose Redis is there and yet does not do what it should.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hookswitch::gateway::{GatewayConfig, JwtAuthenticator, JwtConfig, listen};
use hookswitch::redis::{NodeLease, RedisConfig};
use hookswitch::runtime::{Clock, Scope};
use hookswitch::{Secret, Switch};
use hookswitch_testkit::{ApiClient, PATIENCE, RedisServer, RedisSpec, Token, WsRequest, eventually};

const SECRET: &str = "a secret of at least thirty-two bytes";

/// One node, what it listens on, and what ends with it.
struct Running {
    switch: Switch,
    address: String,
    _scope: Scope,
}

impl Running {
    async fn on(redis: &RedisServer) -> Self {
        let jwt = JwtConfig { secret: Some(Secret::new(SECRET)), ..JwtConfig::default() };
        let authenticator = Arc::new(JwtAuthenticator::new(&jwt, Clock::system()).expect("a usable secret"));
        let config = GatewayConfig { probe_interval: Duration::ZERO, ..GatewayConfig::default() };
        let node_lease = NodeLease::new(Duration::from_millis(1_500));
        let redis = RedisConfig { node_lease, ..RedisConfig::parse_url(&redis.url()).expect("a URL") };
        let switch = Switch::builder().redis(redis).gateway(config, authenticator).start().await.expect("starts");
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let (address, scope) = (listener.local_addr().expect("bound").to_string(), Scope::root("test"));
        let serving = switch.clone();
        scope.spawn("server", async move { serving.serve(listener).await });
        let node = Self { switch, address, _scope: scope };
        eventually("it is ready", PATIENCE, async || node.api("t").get("/readyz").await.status == 200).await;
        node
    }

    fn api(&self, tenant: &str) -> ApiClient {
        ApiClient::new(&self.address).with_token(Token::service(tenant).sign(SECRET))
    }

    async fn end(self) {
        self.switch.shut_down(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_says_in_words_what_of_redis_is_broken() {
    let redis = RedisSpec::new().start().await;
    let node = Running::on(&redis).await;
    redis.cli(&["DEL", "callcenter:nodes"]).await;
    redis.cli(&["HSET", "callcenter:nodes", "a", "b"]).await;
    let page = node.api("t").get("/readyz").await;
    assert_eq!((page.status, &page.json()["status"]), (503, &"degraded".into()), "{}", page.text());
    let said = page.json()["checks"]["presence"].as_str().unwrap_or_default().to_owned();
    assert!(said.contains("lease") && said.contains("WRONGTYPE"), "{said}");
    redis.cli(&["DEL", "callcenter:nodes"]).await;
    redis.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let page = node.api("t").get("/readyz").await;
    assert_eq!(page.status, 503, "a demoted replica takes no writes");
    assert!(page.json()["checks"]["redis"].as_str().is_some_and(|said| said.contains("READONLY")), "{}", page.text());
    redis.cli(&["REPLICAOF", "NO", "ONE"]).await;
    eventually("it is ready again", PATIENCE, async || node.api("t").get("/readyz").await.status == 200).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_session_outlives_a_redis_that_is_emptied() {
    let redis = RedisSpec::new().start().await;
    let (here, there) = (Running::on(&redis).await, Running::on(&redis).await);
    let started = |_: &str| serde_json::json!({ "type": "chat.session.started", "payload": { "session_id": "k" } });
    here.api("t").publish(started("t")).await;
    redis.cli(&["FLUSHALL"]).await;
    let is_back = async || redis.cli(&["EXISTS", "callcenter:chat:k"]).await == "1";
    eventually("it is put back though no connection broke", PATIENCE, is_back).await;
    let taken = there.api("u").try_publish(started("u")).await;
    assert_eq!(taken.status, 409, "its key is another tenant's: {}", taken.text());
    here.end().await;
    there.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_for_a_user_who_was_here_all_the_time_comes() {
    let redis = RedisSpec::new().start().await;
    let here = Running::on(&redis).await;
    let name = redis.cli(&["ZRANGE", "callcenter:nodes", "0", "0"]).await;
    let mut anna = WsRequest::new(&here.address, "/ws").bearer(&Token::new("t", 7).sign(SECRET)).open().await;
    anna.sync().await;
    let there = Running::on(&redis).await;
    // What another node keeps while it takes this one for lost; nobody is told of it then.
    redis.cli(&["LPUSH", "callcenter:offline:t:7", r#"{"type":"notification","payload":{"id":1},"id":"kept"}"#]).await;
    let is_away = async || redis.cli(&["ZSCORE", "callcenter:nodes", &name]).await == "0";
    let is_taken_for_lost = async || {
        redis.cli(&["ZADD", "callcenter:nodes", "XX", "1", &name]).await;
        is_away().await
    };
    eventually("the other takes it for lost", PATIENCE, is_taken_for_lost).await;
    assert_eq!(anna.expect("notification").await["id"], "kept");
    let is_empty = async || redis.cli(&["LLEN", "callcenter:offline:t:7"]).await == "0";
    eventually("nothing is stuck", PATIENCE, is_empty).await;
    here.end().await;
    there.end().await;
}
