//! The floor: sends the same requests to the same receiver over as many connections, and does nothing else.
//!
//! One thread, one poll loop, one request on the way per connection. No events, no database, no log, no signatures.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use mio::{Events, Interest, Poll, Token};
use tokio::time::Instant;

use super::progress::Progress;
use super::spec::{Delivered, FloorOrders, Shape, WEBHOOK_PATH, Wrongs};
use crate::clock::shared_micros;
use crate::message::Request;
use crate::socket::connect;
use crate::subject::cpu_times;
use crate::wire::Wire;
use hookswitch_receiver::Head;

/// Longest sleep in one poll.
const TICK: Duration = Duration::from_millis(50);
/// Longest wait for the last answers.
const GIVE_UP: Duration = Duration::from_secs(5);

/// Does what it is told and prints what came out.
pub(crate) fn run(orders: &str) -> Result<()> {
    let orders: FloorOrders = serde_json::from_str(orders).context("the floor's orders are not readable")?;
    let mut floor = Floor::open(&orders)?;
    floor.phase(Duration::from_millis(orders.phases.warm_up_ms))?;
    floor.progress.mark()?;
    let pids = [std::process::id(), orders.receiver_pid];
    let (sent, cpu, started) = (floor.sent(), cpu_times(&pids)?, Instant::now());
    floor.phase(Duration::from_millis(orders.phases.measured_ms))?;
    let seconds = started.elapsed().as_secs_f64();
    let spent = cpu_times(&pids)?.into_iter().zip(cpu).map(|(now, then)| now.saturating_sub(then).as_secs_f64());
    let (cpu_seconds, deliveries) = (spent.collect(), floor.sent() - sent);
    let arrived = floor.progress.report()?;
    let received: u64 = arrived.received.iter().copied().map(u64::from).sum();
    let lost = floor.sent().saturating_sub(received);
    let wrongs = Wrongs { lost, doubled: arrived.doubled, strayed: arrived.strayed };
    let delay = arrived.delay;
    let outcome = Delivered { deliveries, seconds, cpu_seconds, delay, wrongs, ..Delivered::default() };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

/// A connection that belongs to one webhook.
struct Sender {
    wire: Wire,
    webhook: u32,
    waits: bool,
}

struct Floor {
    shape: Shape,
    poll: Poll,
    senders: Vec<Sender>,
    /// By webhook: its request, and how often it was sent.
    requests: Vec<(Request, u32)>,
    progress: Progress,
    scratch: Vec<u8>,
}

impl Floor {
    fn open(orders: &FloorOrders) -> Result<Self> {
        let FloorOrders { receiver, shape, connections, .. } = *orders;
        let poll = Poll::new()?;
        let mut senders = Vec::new();
        for number in 0..connections {
            let mut wire = Wire::new(connect(receiver)?);
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut wire.stream, Token(number as usize), interest)?;
            senders.push(Sender { wire, webhook: number % shape.webhooks(), waits: false });
        }
        let request = |webhook| (request(&receiver.to_string(), shape, webhook), 0);
        let requests = (0..shape.webhooks()).map(request).collect();
        let progress = Progress::watch(receiver)?;
        Ok(Self { shape, poll, senders, requests, progress, scratch: vec![0; 64 * 1_024] })
    }

    fn sent(&self) -> u64 {
        self.requests.iter().map(|(_, sent)| u64::from(*sent)).sum()
    }

    /// Sends for `length`, then waits for the last answers.
    fn phase(&mut self, length: Duration) -> Result<()> {
        let started = Instant::now();
        let mut events = Events::with_capacity(1_024);
        for number in 0..self.senders.len() {
            self.send(number)?;
        }
        while self.senders.iter().any(|sender| sender.waits) {
            match self.poll.poll(&mut events, Some(TICK)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.context("cannot poll")?,
            }
            let elapsed = started.elapsed();
            if elapsed > length + GIVE_UP {
                bail!("the receiver owes answers");
            }
            for event in &events {
                self.read(event.token().0, elapsed < length)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, number: usize) -> Result<()> {
        let sender = &mut self.senders[number];
        let (request, sent) = &mut self.requests[sender.webhook as usize];
        let number = *sent * self.shape.topics + sender.webhook % self.shape.topics;
        request.push(sender.wire.outbox(), shared_micros(), || number);
        *sent += 1;
        sender.waits = true;
        sender.wire.flush().context("cannot send")
    }

    fn read(&mut self, number: usize, goes_on: bool) -> Result<()> {
        let Sender { wire, waits, .. } = &mut self.senders[number];
        wire.fill(&mut self.scratch).context("the receiver closed a connection")?;
        let before = *waits;
        wire.consume(|bytes, _| {
            let Some(head) = Head::parse(bytes) else { return Ok(0) };
            if !head.first_line().starts_with("HTTP/1.1 200") {
                bail!("the receiver answered {}", head.first_line());
            }
            *waits = false;
            Ok(head.bytes + head.content_length())
        })?;
        if before && !*waits && goes_on { self.send(number) } else { Ok(()) }
    }
}

/// What the server sends, with a signature of the right length.
fn request(host: &str, shape: Shape, webhook: u32) -> Request {
    let event_type = shape.event_type(webhook);
    let hex = "0".repeat(64);
    let headers = format!(
        "User-Agent: CallCenter-Webhook/1.0\r\nX-Webhook-Event: {event_type}\r\nX-Webhook-Id: {webhook}\r\n\
         X-Webhook-Attempt: 1\r\nWebhook-Id: 00000000-0000-0000-0000-000000000000\r\nWebhook-Timestamp: 1729866000\r\n\
         X-Webhook-Signature: {hex}\r\nWebhook-Signature: v1,{}=\r\n",
        &hex[..43]
    );
    Request::delivery(host, &format!("{WEBHOOK_PATH}{webhook}"), &headers, &event_type)
}
