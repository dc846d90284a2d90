//! How many deliveries per second leave this node, and what one costs.
//!
//! Memory keepers and a receiver in this process that answers at once, so what is measured is the
//! dispatcher, the client and the kernel: `cargo run --release -p hookswitch-webhooks --example
//! dispatch_rate -- [deliveries]`. The receiver has a thread of its own, whose time is told apart.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{EventId, EventType, NodeId, Payload, Secret, TenantId};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_webhooks::{
    AddressPolicy, DeliveryTarget, NewDeliveries, WebhookConfig, WebhookInput, WebhookSeams, Webhooks, delivery_body,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

type Failure = Box<dyn std::error::Error>;

/// Deliveries that wait or run at once: enough to keep every slot busy.
const OPEN: u64 = 2_000;

/// Events per publication.
const BATCH: u64 = 100;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn main() -> Result<(), Failure> {
    let n_deliveries = std::env::args().nth(1).map_or(Ok(60_000), |n| n.parse())?;
    let (port_out, port_in) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("receiver".to_owned()).spawn(move || receive(&port_out))?;
    let port = port_in.recv()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for n_webhooks in [1, 10] {
        runtime.block_on(measure(port, n_webhooks, n_deliveries))?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example speaks to its reader")]
async fn measure(port: u16, n_webhooks: usize, n_deliveries: u64) -> Result<(), Failure> {
    let (clock, scope) = (Clock::system(), Scope::root("rate"));
    let seams = WebhookSeams::memory(&clock);
    let policy = AddressPolicy::strict().allow_http().allow_cidrs("127.0.0.0/8")?;
    let node = NodeId::generate(clock.now());
    let config = WebhookConfig::default();
    let webhooks = Webhooks::start(config, policy, seams, node, clock.clone(), scope.clone()).await?;
    let tenant = TenantId::parse("tenant-1")?;
    let mut targets = Vec::new();
    for i in 0..n_webhooks {
        let input = WebhookInput {
            name: Some(format!("webhook {i}")),
            // Hosts of their own, as receivers are: unused connections are kept per host.
            url: Some(format!("http://127.0.0.{}:{port}/", i + 1)),
            events: Some(vec!["call.*".to_owned()]),
            secret: Some(Secret::new("shared secret")),
            ..WebhookInput::default()
        };
        targets.push(webhooks.create(&tenant, input).await?.id);
    }
    let payload = Payload::parse(r#"{"unique_id":"1761393600.42","caller_id":"+491701234567","destination":"100"}"#)?;
    let (started, before) = (Instant::now(), cpu()?);
    let mut published = 0;
    let done = || webhooks.metrics().delivered.get();
    while published < n_deliveries {
        while published - done() >= OPEN {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let now = clock.now();
        let body: Bytes = delivery_body(&EventType::CALL_INCOMING, now, &payload);
        let batch = (published..published + BATCH).map(|i| NewDeliveries {
            tenant: tenant.clone(),
            event_id: EventId::generate(now),
            event_type: EventType::CALL_INCOMING,
            body: body.clone(),
            accepted_at: now,
            targets: vec![DeliveryTarget::new(targets[i as usize % targets.len()])],
            fingerprint: None,
        });
        webhooks.enqueue(batch.collect()).await?;
        published += BATCH;
    }
    while done() < published {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (took, after) = (started.elapsed(), cpu()?);
    let per_delivery = |from: u64, to: u64| (to - from) as f64 / 1_000.0 / published as f64;
    println!(
        "{n_webhooks:>3} webhooks: {:>7.0} deliveries/s, {:.1} us CPU each here and {:.1} us in the receiver",
        published as f64 / took.as_secs_f64(),
        per_delivery(before.here, after.here),
        per_delivery(before.receiver, after.receiver),
    );
    scope.shut_down(Duration::from_secs(5)).await;
    Ok(())
}

/// Time on a processor, user and system, in nanoseconds.
struct Cpu {
    here: u64,
    receiver: u64,
}

fn cpu() -> Result<Cpu, Failure> {
    let mut cpu = Cpu { here: 0, receiver: 0 };
    for thread in std::fs::read_dir("/proc/self/task")? {
        let thread = thread?.path();
        let nanos = std::fs::read_to_string(thread.join("schedstat"))?;
        let nanos: u64 = nanos.split_whitespace().next().unwrap_or_default().parse()?;
        let is_receiver = std::fs::read_to_string(thread.join("comm"))?.trim() == "receiver";
        *(if is_receiver { &mut cpu.receiver } else { &mut cpu.here }) += nanos;
    }
    Ok(cpu)
}

/// Answers everything, for ever.
fn receive(port_out: &std::sync::mpsc::Sender<u16>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
        port_out.send(listener.local_addr().expect("bound").port()).expect("somebody waits");
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(answer_all(stream));
        }
    });
}

async fn answer_all(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut n) = (vec![0; 16 * 1024], 0);
    loop {
        let read = stream.read(&mut buffer[n..]).await?;
        if read == 0 {
            return Ok(());
        }
        n += read;
        if is_complete(&buffer[..n]) {
            n = 0;
            stream.write_all(ANSWER).await?;
        }
    }
}

/// Whether one whole request has come; the client sends the next one after the answer.
fn is_complete(request: &[u8]) -> bool {
    const LENGTH: &[u8] = b"Content-Length: ";
    let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let length = request[..head].windows(LENGTH.len()).position(|window| window == LENGTH);
    let digits = length.map(|at| request[at + LENGTH.len()..].iter().take_while(|byte| byte.is_ascii_digit()));
    let length = digits.map_or(0, |digits| digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')));
    request.len() >= head + 4 + length
}
