//! A TCP proxy that can refuse, cut, stall or trickle, to stand before a server that a test wants to lose.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What is wrong with the line just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// New connections are reset at once; those that exist live on.
    Refuse,
    /// All connections are reset, new ones too.
    Cut,
    /// Connections stay open and are accepted, no byte moves.
    Stall,
    /// A byte at a time, with a pause of this length after each.
    Trickle(Duration),
}

/// A proxy on a free loopback port; ends when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    addr: String,
    upstream: Arc<Mutex<String>>,
    fault: Arc<watch::Sender<Fault>>,
    _tasks: JoinSet<()>,
}

impl FaultProxy {
    /// Starts one, healthy, in front of `upstream` (`host:port`).
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let addr = listener.local_addr().expect("bound").to_string();
        let fault = Arc::new(watch::Sender::new(Fault::None));
        let upstream = Arc::new(Mutex::new(upstream.to_owned()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&upstream), Arc::clone(&fault)));
        Self { addr, upstream, fault, _tasks: tasks }
    }

    /// New connections lead to another `upstream` from now on, as when a name or a balancer points elsewhere; those
    /// that exist stay where they are.
    pub fn lead_to(&self, upstream: &str) {
        upstream.clone_into(&mut self.upstream.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// `host:port` to connect to.
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// From now on this is wrong.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// From now on nothing is wrong; stalled connections go on.
    pub fn heal(&self) {
        self.set(Fault::None);
    }
}

async fn accept(listener: TcpListener, upstream: Arc<Mutex<String>>, fault: Arc<watch::Sender<Fault>>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let now = *fault.borrow();
        if matches!(now, Fault::Refuse | Fault::Cut) {
            reset(&near);
            continue;
        }
        let upstream = upstream.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fault = fault.subscribe();
        connections.spawn(async move {
            if let Ok(far) = TcpStream::connect(upstream).await {
                join(near, far, fault).await;
            }
        });
    }
}

fn reset(stream: &TcpStream) {
    // Failing to reset leaves an ordinary close, which is a cut as well.
    let _kept = stream.set_zero_linger();
}

async fn join(near: TcpStream, far: TcpStream, fault: watch::Receiver<Fault>) {
    let _nodelay = (near.set_nodelay(true), far.set_nodelay(true));
    let mut cut = fault.clone();
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let there = carry(near_in, far_out, fault.clone());
    let back = carry(far_in, near_out, fault);
    tokio::select! {
        ((near_in, far_out), (far_in, near_out)) = async { tokio::join!(there, back) } => {
            drop((near_in, far_out, far_in, near_out));
        }
        _ = cut.wait_for(|fault| *fault == Fault::Cut) => {}
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut fault: watch::Receiver<Fault>,
) -> (OwnedReadHalf, OwnedWriteHalf) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(n) = from.read(&mut buffer).await
        && n > 0
        && pass(&mut to, &buffer[..n], &mut fault).await.is_ok()
    {}
    // The end of one direction is passed on; the other may still speak.
    let _closed = to.shutdown().await;
    (from, to)
}

async fn pass(to: &mut OwnedWriteHalf, mut rest: &[u8], fault: &mut watch::Receiver<Fault>) -> std::io::Result<()> {
    while !rest.is_empty() {
        let now = *fault.borrow_and_update();
        let n = match now {
            Fault::Stall => {
                if fault.changed().await.is_err() {
                    return Err(std::io::ErrorKind::BrokenPipe.into());
                }
                continue;
            }
            Fault::Trickle(pause) => {
                tokio::time::sleep(pause).await;
                1
            }
            Fault::None | Fault::Refuse | Fault::Cut => rest.len(),
        };
        to.write_all(&rest[..n]).await?;
        rest = &rest[n..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ApiClient, Receiver};

    async fn ask(client: &ApiClient) -> bool {
        let request = client.try_send(http::Method::GET, "/", bytes::Bytes::new(), &[]);
        matches!(tokio::time::timeout(Duration::from_millis(300), request).await, Ok(Ok(answer)) if answer.status == 200)
    }

    #[tokio::test]
    async fn each_fault_hurts_and_heals() {
        let receiver = Receiver::healthy().await;
        let proxy = FaultProxy::start(&receiver.addr()).await;
        for fault in [Fault::Stall, Fault::Cut, Fault::Refuse] {
            let client = ApiClient::new(proxy.addr());
            if fault != Fault::Refuse {
                assert!(ask(&client).await, "healthy before {fault:?}");
            }
            proxy.set(fault);
            assert!(!ask(&client).await, "hurt by {fault:?}");
            proxy.heal();
            assert!(ask(&ApiClient::new(proxy.addr())).await, "healed after {fault:?}");
        }
    }

    #[tokio::test]
    async fn a_stalled_request_arrives_after_healing() {
        let receiver = Receiver::healthy().await;
        let proxy = FaultProxy::start(&receiver.addr()).await;
        proxy.set(Fault::Stall);
        let mut stream = TcpStream::connect(proxy.addr()).await.expect("connect");
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("write");
        proxy.set(Fault::Trickle(Duration::from_millis(1)));
        receiver.wait_for(1).await;
    }
}
