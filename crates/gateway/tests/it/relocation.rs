//! A publishing connection moves to the thread of those it publishes to, and nobody notices.

use hookswitch_testkit::{PATIENCE, RawSocket, Token, WsClient};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::rig::{Rig, sign, token};

/// A keep-alive connection of tenant 1's back-end.
struct Publisher {
    socket: RawSocket,
    token: String,
    n_sent: u64,
}

/// Makes the bytes of a request.
type NextRequest = fn(&mut Publisher) -> String;

impl Publisher {
    async fn open(rig: &Rig) -> Self {
        let socket = RawSocket::connect(&rig.addr).await;
        Self { socket, token: sign(&Token::service("tenant-1")), n_sent: 0 }
    }

    fn request(&self, method_and_path: &str, headers: &str, body: &str) -> String {
        let token = &self.token;
        format!("{method_and_path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}\r\n{body}")
    }

    /// The bytes that publish one alert with the next number.
    fn alert(&mut self, padding: usize) -> String {
        let body = json!({"type": "alert", "payload": {"n": self.n_sent, "x": "x".repeat(padding)}}).to_string();
        self.n_sent += 1;
        self.request("POST /api/v1/events", &format!("Content-Length: {}\r\n", body.len()), &body)
    }

    /// The same with a body whose length is not announced.
    fn chunked_alert(&mut self) -> String {
        let body = json!({"type": "alert", "payload": {"n": self.n_sent}}).to_string();
        self.n_sent += 1;
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        self.request("POST /api/v1/events", "Transfer-Encoding: chunked\r\n", &chunks)
    }

    async fn publish(&mut self, agent: &mut WsClient) {
        let n = self.n_sent;
        let request = self.alert(0);
        self.exchange(&request, 202).await;
        assert_eq!(agent.expect("alert").await["payload"]["n"], n);
    }

    async fn exchange(&mut self, request: &str, status: u16) -> Value {
        self.socket.send(request.as_bytes()).await;
        self.answer(status).await
    }

    async fn answer(&mut self, status: u16) -> Value {
        let head = self.socket.read_head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        let mut lengths = head.lines().filter_map(|line| line.strip_prefix("content-length: "));
        let length = lengths.next().expect("a length").parse().expect("a number");
        serde_json::from_slice(&self.socket.read_exactly(length).await).expect("JSON")
    }

    /// Publishes until the connection has moved so often, by the node's own count.
    async fn until_moved(&mut self, rig: &Rig, agent: &mut WsClient, n_moves: u64) {
        let deadline = Instant::now() + PATIENCE;
        while relocations(rig).await < n_moves {
            assert!(Instant::now() < deadline, "moves in time");
            self.publish(agent).await;
        }
    }
}

/// A rig, an agent of tenant 1, and a connection that has moved beside that agent's shard.
async fn moved() -> (Rig, WsClient, Publisher) {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    let mut publisher = Publisher::open(&rig).await;
    publisher.until_moved(&rig, &mut agent, 1).await;
    (rig, agent, publisher)
}

async fn relocations(rig: &Rig) -> u64 {
    let metrics = rig.api().get("/metrics").await.text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("hookswitch_relocations_total "));
    line.expect("is counted").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_moves_and_every_event_arrives_once_and_in_order() {
    let (_rig, mut agent, mut publisher) = moved().await;
    for _ in 0..200 {
        publisher.publish(&mut agent).await;
    }
    agent.expect_silence().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_sent_ahead_are_answered_in_order_across_a_move() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    let mut publisher = Publisher::open(&rig).await;
    let deadline = Instant::now() + PATIENCE;
    let mut n_seen = 0;
    // The first look comes amid the first hundred; a busy machine may put the move off.
    while n_seen == 0 || relocations(&rig).await == 0 {
        assert!(Instant::now() < deadline, "moves in time");
        let requests: String = (0..100).map(|_| publisher.alert(0)).collect();
        // The last one in halves, so that the connection moves with a part of it read.
        let (most, rest) = requests.split_at(requests.len() - 20);
        publisher.socket.send(most.as_bytes()).await;
        for _ in 0..99 {
            publisher.answer(202).await;
        }
        publisher.socket.send(rest.as_bytes()).await;
        publisher.answer(202).await;
        for _ in 0..100 {
            assert_eq!(agent.expect("alert").await["payload"]["n"], n_seen);
            n_seen += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_connection_serves_everything_else_too_and_goes_back_for_it() {
    let (rig, mut agent, mut publisher) = moved().await;
    let others: [(u16, NextRequest); 6] = [
        (400, |publisher| publisher.request("POST /api/v1/events", "Content-Length: 1\r\n", "{")),
        (401, |_| "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{".to_owned()),
        (202, |publisher| publisher.alert(100_000)),
        (202, Publisher::chunked_alert),
        (200, |publisher| publisher.request("GET /api/v1/webhooks", "", "")),
        (400, |publisher| publisher.request("POST /api/v1/webhooks", "Content-Length: 2\r\n", "{}")),
    ];
    for (status, other) in others {
        let (n, n_moves, request) = (publisher.n_sent, relocations(&rig).await, other(&mut publisher));
        publisher.exchange(&request, status).await;
        if status == 202 {
            assert_eq!(agent.expect("alert").await["payload"]["n"], n);
        }
        // Away from the shard, and beside it again.
        publisher.until_moved(&rig, &mut agent, n_moves + 2).await;
    }
}

/// It would run on the shard's thread, with whatever it asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_right_behind_the_one_that_moves_the_connection_is_not_taken_along() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    for _ in 0..10 {
        let mut publisher = Publisher::open(&rig).await;
        let mut requests: String = (0..8).map(|_| publisher.alert(0)).collect();
        requests.push_str(&publisher.request("GET /readyz", "", ""));
        publisher.socket.send(requests.as_bytes()).await;
        for n in 0..8 {
            publisher.answer(202).await;
            assert_eq!(agent.expect("alert").await["payload"]["n"], n);
        }
        publisher.answer(200).await;
    }
    assert_eq!(relocations(&rig).await, 0);
}

/// Cut off is not done, and must not look like it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_the_end_cuts_off_is_not_answered_as_if_done() {
    for _ in 0..10 {
        let (rig, _agent, mut publisher) = moved().await;
        // Its body never comes, so that it is under way when the end comes.
        let unfinished = publisher.request("POST /api/v1/events", "Content-Length: 20000\r\n", "{");
        publisher.socket.send(unfinished.as_bytes()).await;
        let deadline = Instant::now() + PATIENCE;
        while relocations(&rig).await < 2 {
            assert!(Instant::now() < deadline, "it is taken up in time");
        }
        rig.scope.hard().cancel();
        let rest = publisher.socket.read_to_end().await;
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 503 "), "{rest:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_connection_can_become_a_websocket() {
    let (rig, mut agent, mut publisher) = moved().await;
    publisher.socket.upgrade("/ws", &token("tenant-1", 2)).await;
    rig.service("tenant-1").publish(json!({"type": "alert", "payload": {"n": -1}})).await;
    assert!(publisher.socket.read_text().await.contains(r#""n":-1"#));
    assert_eq!(agent.expect("alert").await["payload"]["n"], -1);
}

/// Some clients end their side right behind the request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_only_listens_any_more_is_answered_before_and_after_a_move() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    for has_moved in [false, true, false, true] {
        for id in [None, Some("e")] {
            let mut publisher = Publisher::open(&rig).await;
            if has_moved {
                let n_moves = relocations(&rig).await;
                publisher.until_moved(&rig, &mut agent, n_moves + 1).await;
            }
            let n = publisher.n_sent;
            let id = id.map(|id| format!("{id}-{has_moved}-{}", publisher.socket.local_port()));
            let mut event = json!({"type": "alert", "payload": {"n": n}});
            if let Some(id) = id {
                event["id"] = json!(id);
            }
            let body = event.to_string();
            let length = format!("Content-Length: {}\r\n", body.len());
            let request = publisher.request("POST /api/v1/events", &length, &body);
            publisher.socket.send(request.as_bytes()).await;
            publisher.socket.finish_sending().await;
            publisher.answer(202).await;
            assert_eq!(agent.expect("alert").await["payload"]["n"], n);
            assert!(publisher.socket.read_to_end().await.is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_publishes_what_a_store_must_keep_stays_where_it_is() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    let service = rig.service("tenant-1");
    for n in 0..100 {
        service.publish(json!({"type": "alert", "payload": {"n": n}, "id": format!("e-{n}")})).await;
        assert_eq!(agent.expect("alert").await["payload"]["n"], n);
    }
    assert_eq!(relocations(&rig).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_connection_is_closed_with_the_others_when_the_node_ends() {
    let (rig, _agent, mut publisher) = moved().await;
    rig.scope.soft().cancel();
    assert!(publisher.socket.read_to_end().await.is_empty(), "it was idle");
}
