//! The receiver of all webhooks: one thread, an empty 200 for every delivery, and silence for one path.
//!
//! It reads no JSON: the numbers in the payload stand at fixed places. The load client asks it what has arrived. There is
//! a port for each webhook, because each usually has a host of its own, and what a client keeps per host would be shared
//! otherwise; every port serves every path.

mod counters;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use hookswitch_receiver::{Connection, Request, Responder, Step, answer, listen};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use self::counters::Counters;
use super::spec::{Shape, WEBHOOK_PATH};
use crate::clock::shared_micros;

/// A receiver nobody talks to any more was left behind by its orchestrator, and ends. The longest honest silence is
/// that of one which waits while another server's backlog is filled.
const ABANDONED: Duration = Duration::from_mins(30);

/// Where one asks for the port of each webhook, how much has arrived, lets it forget the delays so far, and
/// asks for everything.
pub(super) const PORTS: &str = "/ports";
pub(super) const COUNT: &str = "/count";
pub(super) const MARK: &str = "/mark";
pub(super) const REPORT: &str = "/report";

/// Serves on free loopback ports until it is killed or abandoned.
pub(crate) fn run(shape: &str) -> Result<()> {
    let shape: Shape = serde_json::from_str(shape).context("the receiver's orders are not readable")?;
    crate::on_one_thread(serve(shape))
}

async fn serve(shape: Shape) -> Result<()> {
    // One for whoever asks, and one for each webhook.
    let (mut listeners, mut ports) = (Vec::new(), Vec::new());
    for _ in 0..=shape.webhooks() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen")?;
        ports.push(listener.local_addr()?.port());
        listeners.push(listener);
    }
    println!("listening on http://127.0.0.1:{}", ports[0]);
    let arrivals = Arc::new(Arrivals { ports: ports.split_off(1), counters: Mutex::new(Counters::new(shape)) });
    let (mut tasks, script) = (JoinSet::new(), Arc::from([Step::Read]));
    for listener in listeners {
        let (script, arrivals) = (Arc::clone(&script), Arc::clone(&arrivals));
        tasks.spawn(listen(listener, std::future::pending(), Duration::ZERO, move |stream| {
            Connection::tcp(stream).play(Arc::clone(&script), Arc::clone(&arrivals))
        }));
    }
    loop {
        let before = arrivals.counters().requests();
        tokio::time::sleep(ABANDONED).await;
        if arrivals.counters().requests() == before {
            return Ok(());
        }
    }
}

/// Counts what arrives, and tells of it.
struct Arrivals {
    ports: Vec<u16>,
    counters: Mutex<Counters>,
}

impl Arrivals {
    fn counters(&self) -> std::sync::MutexGuard<'_, Counters> {
        self.counters.lock().expect("no poison")
    }
}

impl Responder for Arrivals {
    fn respond(&self, request: Request) -> Vec<Step> {
        let (read_at, mut counters, path) = (shared_micros(), self.counters(), request.head.path());
        if let Some(webhook) = path.strip_prefix(WEBHOOK_PATH).and_then(|number| number.parse().ok()) {
            counters.note(webhook, &request.body, read_at);
            return vec![Step::Send(answer(200, &[], ""))];
        }
        let said = match path {
            PORTS => serde_json::to_string(&self.ports),
            COUNT => Ok(counters.received().to_string()),
            MARK => Ok(counters.mark()),
            REPORT => serde_json::to_string(&counters.report()),
            // The silent one: the request is read, and never answered.
            _ => return Vec::new(),
        };
        vec![Step::Send(answer(200, &[], &said.expect("plain data with text keys")))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Request as Sent;
    use hookswitch_receiver::Head;

    #[test]
    fn deliveries_are_answered_and_counted_and_the_silent_one_is_not() {
        let counters = Mutex::new(Counters::new(Shape { topics: 2, per_topic: 1 }));
        let arrivals = Arrivals { ports: vec![7], counters };
        let respond = |bytes: &[u8]| {
            let head = Head::parse(bytes).expect("whole").into_owned();
            let body = bytes[head.bytes..].to_vec().into();
            arrivals.respond(Request { head, body })
        };
        let ok = |body| vec![Step::Send(answer(200, &[], body))];
        for (path, number, wanted) in [("/w/0", 0, ok("")), ("/w/1", 1, ok("")), ("/silent", 2, Vec::new())] {
            let mut bytes = Vec::new();
            Sent::delivery("a", path, "", "bench.00").push(&mut bytes, 5, || number);
            assert_eq!(respond(&bytes), wanted, "{path}");
        }
        assert_eq!(respond(b"GET /count HTTP/1.1\r\n\r\n"), ok("2"));
        assert_eq!(respond(b"GET /ports HTTP/1.1\r\n\r\n"), ok("[7]"));
    }
}
