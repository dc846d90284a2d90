//! A rolling restart behind the proxies of `docs/deploy`: publishing never fails, and no user is seen to go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hookswitch_testkit::{
    ApiClient, HeldPort, NodeProcess, Opcode, RawSocket, RedisSpec, Token, WsClient, WsRequest, eventually,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::DEADLINE;
use super::proxies::Kind;
use crate::stage::{TENANT, agent_token, my_turn, spec};

const CLIENTS: usize = 100;
const WATCHER: usize = 100_000;
const PAUSE: Duration = Duration::from_millis(10);
/// `HAProxy` looks at the nodes once a second; nobody takes the second one out before the first is in again.
const SEEN_BY_THE_BALANCER: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_behind_nginx_is_not_noticed() {
    if Kind::Nginx.is_here() {
        rolling_restart_behind(Kind::Nginx).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_behind_haproxy_is_not_noticed() {
    if Kind::HaProxy.is_here() {
        rolling_restart_behind(Kind::HaProxy).await;
    }
}

/// What happened to everybody.
#[derive(Debug, Default)]
struct Seen {
    n_published: AtomicUsize,
    n_reconnects: AtomicUsize,
    n_markers: AtomicUsize,
    is_over: AtomicBool,
}

#[expect(clippy::print_stdout, reason = "figures for whoever reads the run")]
async fn rolling_restart_behind(kind: Kind) {
    let _turn = my_turn().await;
    let redis = RedisSpec::new().start().await;
    let url = redis.url();
    let ports = [HeldPort::take(), HeldPort::take()];
    let mut nodes = Vec::new();
    for port in &ports {
        nodes.push(ready(behind(&url, port).start().await).await);
    }
    // Somebody who is not moved sees whether anybody else is.
    let standing = ready(spec().env("REDIS_URL", &url).start().await).await;
    let mut watcher = watcher(&standing).await;
    let proxy = kind.start([ports[0].number(), ports[1].number()]).await;

    let (seen, mut tasks) = (Arc::<Seen>::default(), JoinSet::new());
    for user in 1..=CLIENTS {
        let (addr, token, seen) = (proxy.addr.clone(), agent_token(&nodes[0], user), Arc::clone(&seen));
        tasks.spawn(async move { stay_connected(&addr, &token, &seen).await });
    }
    for _ in 0..CLIENTS {
        let came = watcher.next_event(DEADLINE).await;
        assert_eq!(came["payload"]["state"], "online", "{came}");
    }
    let service = ApiClient::new(&proxy.addr).with_token(Token::service(TENANT).sign(nodes[0].secret()));
    let (publisher, publisher_sees) = (service.clone(), Arc::clone(&seen));
    tasks.spawn(async move { publish_on(&publisher, &publisher_sees).await });

    for at in [0, 1] {
        let n_before = seen.n_published.load(Ordering::Relaxed);
        let mut node = nodes.remove(0);
        node.terminate();
        assert_eq!(node.wait(DEADLINE).await.code(), Some(0));
        nodes.push(ready(node.restart().await).await);
        sleep(SEEN_BY_THE_BALANCER).await;
        let n = seen.n_published.load(Ordering::Relaxed) - n_before;
        println!("{kind:?}: node {at} is back, {n} events were published meanwhile");
        assert!(n > 100, "publishing went on");
    }
    let n_reconnects = seen.n_reconnects.load(Ordering::Relaxed);
    assert!(n_reconnects >= CLIENTS, "everybody was on one of them: {n_reconnects}");

    eventually("all are connected", DEADLINE, async || {
        service.get("/ws/stats").await.json()["total_connections"].is_u64()
            && connections(&nodes).await == CLIENTS as u64
    })
    .await;
    service.publish(json!({"type": "alert", "payload": {"marker": true}})).await;
    let all_have_it = || std::future::ready(seen.n_markers.load(Ordering::Relaxed) == CLIENTS);
    eventually("the last event reaches everybody", DEADLINE, all_have_it).await;
    // Whatever was told of anybody came before this.
    let late = WsRequest::new(standing.addr(), "/ws").bearer(&agent_token(&standing, WATCHER + 1)).open().await;
    let change = watcher.next_event(DEADLINE).await;
    assert_eq!(change["payload"]["user_id"], json!(WATCHER + 1), "nobody came or went: {change}");
    drop(late);
    seen.is_over.store(true, Ordering::Relaxed);
    tasks.join_next().await.expect("one of them").expect("nobody panicked");
    tasks.abort_all();
}

fn behind(url: &str, port: &HeldPort) -> hookswitch_testkit::NodeSpec {
    let port = port.number().to_string();
    // One of the three is not behind the proxy, so that they are never even.
    spec().env("REDIS_URL", url).env("SERVER_PORT", &port).env("DRAIN_WINDOW", "5s").env("WS_BALANCE_RATE", "0")
}

async fn ready(node: NodeProcess) -> NodeProcess {
    eventually("the node is ready", DEADLINE, async || node.api().get("/readyz").await.status == 200).await;
    node
}

async fn watcher(node: &NodeProcess) -> WsClient {
    let mut watcher = WsRequest::new(node.addr(), "/ws").bearer(&agent_token(node, WATCHER)).open().await;
    watcher.send_json(json!({"type": "subscribe", "payload": {"events": ["presence.changed"]}})).await;
    watcher.sync().await;
    // Its own coming may be told behind that, for the way over Redis takes its time.
    let _own = tokio::time::timeout(Duration::from_millis(500), watcher.next_event(DEADLINE)).await;
    watcher
}

async fn connections(nodes: &[NodeProcess]) -> u64 {
    let mut n = 0;
    for node in nodes {
        let service = node.api().with_token(Token::service(TENANT).sign(node.secret()));
        n += service.get("/ws/stats").await.json()["total_connections"].as_u64().unwrap_or_default();
    }
    n
}

/// Publishes one event after the other; each must be accepted.
async fn publish_on(service: &ApiClient, seen: &Seen) {
    while !seen.is_over.load(Ordering::Relaxed) {
        let n = seen.n_published.load(Ordering::Relaxed);
        let body = Bytes::from(json!({"type": "queue.stats", "payload": {"n": n}}).to_string());
        let answer = service.try_send(http::Method::POST, "/api/v1/events", body, &[]).await;
        let answer = answer.expect("the proxy answers");
        assert_eq!(answer.status, 202, "event {n}: {}", answer.text());
        seen.n_published.fetch_add(1, Ordering::Relaxed);
        sleep(PAUSE).await;
    }
}

/// Stays connected as a page does: comes back when it was told to.
async fn stay_connected(addr: &str, token: &str, seen: &Seen) {
    loop {
        let mut socket = RawSocket::connect(addr).await;
        socket.upgrade("/ws", token).await;
        let after_ms = listen(&mut socket, seen).await;
        seen.n_reconnects.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(after_ms)).await;
    }
}

/// Reads until it is sent away; gives when it is to be back.
async fn listen(socket: &mut RawSocket, seen: &Seen) -> u64 {
    let mut after_ms = None;
    loop {
        let frame = socket.read_frame(DEADLINE).await.expect("a close before the end");
        match frame.opcode {
            Opcode::Text => {
                let event: Value = serde_json::from_slice(&frame.payload).expect("JSON");
                seen.n_markers.fetch_add(usize::from(event["payload"]["marker"] == true), Ordering::Relaxed);
                if event["type"] == "reconnect" {
                    after_ms = event["payload"]["after_ms"].as_u64();
                }
            }
            Opcode::Ping => socket.send(&hookswitch_testkit::Frame::new(Opcode::Pong, frame.payload).masked()).await,
            Opcode::Close => {
                assert_eq!(frame.close_code(), Some(1012));
                return after_ms.expect("told when to be back");
            }
            other => panic!("{other:?} from the node"),
        }
    }
}
