//! The connector of the one outgoing client: judges, resolves, connects, speaks TLS, and says at
//! which stage it failed.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use crate::address_guard::{AddressGuard, Unusable};
use crate::connect_progress::ConnectProgress;
use crate::failure::{ErrorClass, Failure};
use crate::look_ups::Purpose;
use crate::open_connections::OpenConnections;
use crate::proxy::Proxy;
use crate::stream::EgressStream;
use crate::target::{Target, TargetHost};
use crate::timings::{Timings, millis};
use crate::{tcp, tls, tunnel};

/// No connection, its handshake included, is waited for longer than this, also where the request
/// that wanted it is gone.
const CONNECT_DEADLINE: Duration = Duration::from_mins(2);

/// How many addresses of a name a proxy is asked to connect to before the request has failed.
const PROXY_TRIES: usize = 3;

/// How long the proxy is waited for to connect to one address before it is asked for the next one beside it.
const PROXY_STEP: Duration = Duration::from_secs(1);

/// How long a TLS handshake is waited for before another one is begun beside it, with another address: one machine
/// of several may take connections and do nothing with them.
const TLS_STEP: Duration = Duration::from_secs(3);

/// Most TLS handshakes of one request.
const TLS_TRIES: usize = 3;

/// A connection that was not made, why, and what was measured up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub(crate) struct ConnectFailure {
    pub(crate) failure: Failure,
    pub(crate) timings: Timings,
}

/// The whole connector: guarded TCP, then TLS for `https:`. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Connector(Arc<Inner>);

struct Inner {
    guard: AddressGuard,
    tls: TlsConnector,
    open: OpenConnections,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Connector {
    /// HTTP/1.1 only: with HTTP/2 one broken connection would fail every request to its host at once, and
    /// small posts gain little from it.
    pub(crate) fn new(guard: &AddressGuard, open: OpenConnections) -> Self {
        let tls = TlsConnector::from(tls::client_config(guard.policy().authorities()));
        Self(Arc::new(Inner { guard: guard.clone(), tls, open }))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<EgressStream>;
    type Error = ConnectFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectFailure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (inner, progress) = (Arc::clone(&self.0), ConnectProgress::present());
        Box::pin(async move {
            let mut timings = Timings::default();
            let connects = inner.connect(&uri, &progress, &mut timings);
            let connected = tokio::time::timeout(CONNECT_DEADLINE, connects).await;
            match connected.unwrap_or_else(|_| Err(progress.if_late())) {
                Ok(stream) => Ok(TokioIo::new(stream)),
                Err(failure) => Err(ConnectFailure { failure, timings }),
            }
        })
    }
}

impl Inner {
    async fn connect(
        &self,
        uri: &Uri,
        progress: &ConnectProgress,
        timings: &mut Timings,
    ) -> Result<EgressStream, Failure> {
        let (began, if_late) = (Instant::now(), progress.if_late());
        let addresses = self.addresses(uri, progress, timings).await?;
        progress.waits(if_late);
        if uri.scheme() != Some(&http::uri::Scheme::HTTPS) {
            let resolved = Instant::now();
            let stream = self.tcp(&addresses, progress).await?;
            timings.connect_ms = Some(millis(resolved.elapsed()));
            return Ok(EgressStream::new(stream, began, *timings, self.open.open(progress.requester())));
        }
        let name = &tls::server_name(uri.host().unwrap_or_default())?;
        let shakes = |n| self.handshake(name, rotated(&addresses, n), progress);
        let shaken = tcp::first_of(0..addresses.len().min(TLS_TRIES), TLS_STEP, shakes).await??;
        timings.connect_ms = Some(shaken.connect_ms);
        timings.tls_ms = shaken.stream.is_ok().then_some(shaken.tls_ms);
        Ok(EgressStream::new(shaken.stream?, began, *timings, self.open.open(progress.requester())))
    }

    /// TCP and TLS with one of the addresses. Whatever comes of it decides, as all addresses were tried: only while
    /// nothing does is another one of use.
    async fn handshake(
        &self,
        name: &ServerName<'static>,
        addresses: Vec<SocketAddr>,
        progress: &ConnectProgress,
    ) -> Result<Result<Handshake, Failure>, Failure> {
        let began = Instant::now();
        let stream = match self.tcp(&addresses, progress).await {
            Ok(stream) => stream,
            Err(failure) => return Ok(Err(failure)),
        };
        let (connect_ms, connected) = (millis(began.elapsed()), Instant::now());
        let stream = self.tls.connect(name.clone(), stream).await.map_err(|error| tls::failure_of(&error));
        Ok(Ok(Handshake { stream, connect_ms, tls_ms: millis(connected.elapsed()) }))
    }

    /// A TCP connection to one of the addresses, the way that the operator chose.
    async fn tcp(&self, addresses: &[SocketAddr], progress: &ConnectProgress) -> Result<TcpStream, Failure> {
        match self.guard.policy().proxy() {
            None => tcp::connect(addresses).await,
            Some(proxy) => self.through_proxy(proxy, addresses, progress).await,
        }
    }

    /// The addresses that may be connected to, with the port: judged, whether they were written into
    /// the URL or come from the resolver.
    async fn addresses(
        &self,
        uri: &Uri,
        progress: &ConnectProgress,
        timings: &mut Timings,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let blocked = Failure::new(ErrorClass::AddressBlocked);
        let target = Target::parse(&uri.to_string()).map_err(|_| blocked)?;
        self.guard.check_literal(&target).map_err(|_| blocked)?;
        let addresses = match &target.host {
            TargetHost::Literal(address) => vec![*address],
            TargetHost::Name(name) => {
                let began = Instant::now();
                progress.waits(self.guard.if_late(name));
                let resolved = self.guard.resolve(progress.requester(), Purpose::Connect, name).await;
                timings.dns_ms = Some(millis(began.elapsed()));
                resolved.map_err(Unusable::failure)?
            }
        };
        Ok(with_port(&addresses, target.port()))
    }

    /// A tunnel to the first address that the proxy can connect to.
    async fn through_proxy(
        &self,
        proxy: &Proxy,
        addresses: &[SocketAddr],
        progress: &ConnectProgress,
    ) -> Result<TcpStream, Failure> {
        let if_late = progress.if_late();
        progress.waits(tunnel::LATE);
        let proxy_addresses = self.proxy_addresses(proxy).await?;
        let open = |address| {
            let proxy_addresses = &proxy_addresses;
            async move {
                let mut stream = tcp::connect(proxy_addresses).await.map_err(|_| tunnel::UNREACHABLE)?;
                // It is there, so what is waited for from here on is the receiver.
                progress.waits(if_late);
                tunnel::open(&mut stream, proxy, address).await.map(|()| stream)
            }
        };
        tcp::first_of(addresses.iter().copied().take(PROXY_TRIES), PROXY_STEP, open).await
    }

    /// The proxy is the operator's: it is not judged, may well be on the inside, and its name is looked up on
    /// nobody's behalf.
    async fn proxy_addresses(&self, proxy: &Proxy) -> Result<Vec<SocketAddr>, Failure> {
        let host = proxy.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = proxy.uri.port_u16().unwrap_or(80);
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let addresses = self.guard.resolve_unjudged(&Arc::from(""), Purpose::Connect, host).await;
        Ok(with_port(&addresses.map_err(|_| tunnel::UNREACHABLE)?, port))
    }
}

/// How a TLS handshake went, over a connection that took so long.
struct Handshake {
    stream: Result<TlsStream<TcpStream>, Failure>,
    connect_ms: u32,
    tls_ms: u32,
}

/// The addresses from the one with this number on, round to the one before it.
fn rotated(addresses: &[SocketAddr], n: usize) -> Vec<SocketAddr> {
    let mut rotated = addresses.to_vec();
    rotated.rotate_left(n);
    rotated
}

/// What to connect to, in the order to try it.
fn with_port(addresses: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    tcp::in_turns(addresses.iter().map(|address| SocketAddr::new(*address, port)).collect())
}
