//! What many requests take together: memory for bodies, lines of the log.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use hookswitch_testkit::{PATIENCE, RawSocket, Token, eventually};
use http::Request;
use http_body_util::Full;
use serde_json::json;
use tokio::time::timeout;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::rig::{Rig, sign};

const KIB: usize = 1024;

/// A client that announces a body and keeps its last byte back.
async fn unfinished(rig: &Rig, tenant: &str, n_bytes: usize) -> RawSocket {
    let token = sign(&Token::service(tenant));
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {n_bytes}\r\n\r\n"
    );
    let mut socket = RawSocket::connect(&rig.addr).await;
    socket.send(&[head.as_bytes(), &vec![b' '; n_bytes - 1]].concat()).await;
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bodies_of_a_tenant_are_bounded_together_and_leave_others_their_part() {
    let rig = Rig::with(|config, _| config.all_bodies_bytes = KIB * KIB).await;
    let mut busy = Vec::new();
    for _ in 0..8 {
        busy.push(unfinished(&rig, "busy", 200 * KIB).await);
    }
    // Three have room; the others wait for it unread, and are refused.
    let answers = join_all(busy.iter_mut().map(|socket| timeout(Duration::from_secs(9), socket.read_head()))).await;
    let heads: Vec<String> = answers.into_iter().filter_map(Result::ok).collect();
    assert!(heads.len() == 5 && heads.iter().all(|head| head.starts_with("HTTP/1.1 503")), "{heads:?}");
    let page = rig.api().get("/metrics").await.text();
    assert!(page.contains("hookswitch_bodies_refused_total 5"), "counted");
    assert!(page.contains(&format!("hookswitch_http_body_bytes {}", 3 * 200 * KIB)), "what the three hold");
    rig.service("quiet").publish(json!({"type": "alert", "payload": {"text": "x".repeat(100 * KIB)}})).await;
    drop(busy);
    eventually("the room is given back", PATIENCE, async || {
        rig.api().get("/metrics").await.text().contains("hookswitch_http_body_bytes 0")
    })
    .await;
}

/// The log's lines, as their fields print.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Printed(String);

impl Visit for Printed {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _printed = write!(self.0, "{}={value:?} ", field.name());
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Printed(String::new());
        event.record(&mut line);
        self.0.lock().expect("no panic").push(line.0);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[tokio::test]
async fn a_refused_requests_line_is_short_and_a_flood_of_them_ends() {
    let rig = Rig::open().await;
    let peer = "127.0.0.1:1".parse().expect("an address");
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(lines.clone());
    let path = format!("/api/v1/webhooks/{}", "x".repeat(20_000));
    let agent = format!("Bearer {}", sign(&Token::new("tenant-1", 1)));
    for n in 0..400 {
        let authorization = ["Bearer nonsense", &agent][n % 2];
        let request = Request::get(&path).header("authorization", authorization).body(Full::new(Bytes::new()));
        let status = rig.gateway.handle(request.expect("a request"), peer).await.status();
        assert_eq!(status, [401, 403][n % 2]);
    }
    let n_told =
        |lines: &Lines, what: &str| lines.0.lock().expect("no panic").iter().filter(|l| l.contains(what)).count();
    assert_eq!([n_told(&lines, "token refused"), n_told(&lines, "role refused")], [200, 200]);
    for _ in 0..400 {
        let request = Request::get(&path).body(Full::new(Bytes::new())).expect("a request");
        rig.gateway.handle(request, peer).await;
    }
    assert_eq!(n_told(&lines, "token refused"), 300, "in a minute");
    let longest = lines.0.lock().expect("no panic").iter().map(String::len).max();
    assert!(longest.is_some_and(|n_bytes| n_bytes < 512), "{longest:?}");
    assert!(n_told(&lines, "/api/v1/webhooks/{id}") > 0, "the route's pattern");
}
