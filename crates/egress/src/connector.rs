//! The connector of the one outgoing client: judges, resolves, connects, speaks TLS, and says at
//! which stage it failed.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::address_guard::{AddressGuard, Blocked};
use crate::failure::{ErrorClass, Failure};
use crate::stream::EgressStream;
use crate::target::{Target, TargetHost};
use crate::timings::{Timings, millis};
use crate::{tls, tunnel};

/// No connection, its handshake included, is waited for longer than this, also where the request
/// that wanted it is gone.
const CONNECT_DEADLINE: Duration = Duration::from_mins(2);

/// No TCP connection is waited for longer than this, all addresses of a name together. One that
/// takes longer is not coming, and a second address may be better.
const TCP_DEADLINE: Duration = Duration::from_secs(20);

/// How many addresses of a name a proxy is asked to connect to before the request has failed.
const PROXY_TRIES: usize = 3;

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
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Connector {
    /// HTTP/1.1 only: with HTTP/2 one broken connection would fail every request to its host at once, and
    /// small posts gain little from it.
    pub(crate) fn new(guard: &AddressGuard) -> Self {
        let tls = TlsConnector::from(tls::client_config(guard.policy().authorities()));
        Self(Arc::new(Inner { guard: guard.clone(), tls }))
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
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut timings = Timings::default();
            let connected = tokio::time::timeout(CONNECT_DEADLINE, inner.connect(&uri, &mut timings)).await;
            match connected.unwrap_or(Err(Failure::new(ErrorClass::Timeout))) {
                Ok(stream) => Ok(TokioIo::new(stream)),
                Err(failure) => Err(ConnectFailure { failure, timings }),
            }
        })
    }
}

impl Inner {
    async fn connect(&self, uri: &Uri, timings: &mut Timings) -> Result<EgressStream, Failure> {
        let began = Instant::now();
        let addresses = self.addresses(uri, timings).await?;
        let resolved = Instant::now();
        let stream = match self.guard.policy().proxy() {
            None => direct(uri.clone(), addresses).await?,
            Some(_) => self.through_proxy(addresses).await?,
        };
        timings.connect_ms = Some(millis(resolved.elapsed()));
        if uri.scheme() != Some(&http::uri::Scheme::HTTPS) {
            return Ok(EgressStream::new(stream, began, *timings));
        }
        let connected = Instant::now();
        let name = tls::server_name(uri.host().unwrap_or_default())?;
        let stream = self.tls.connect(name, stream).await.map_err(|error| tls::failure_of(&error))?;
        timings.tls_ms = Some(millis(connected.elapsed()));
        Ok(EgressStream::new(stream, began, *timings))
    }

    /// The addresses that may be connected to, with the port: judged, whether they were written into
    /// the URL or come from the resolver.
    async fn addresses(&self, uri: &Uri, timings: &mut Timings) -> Result<Vec<SocketAddr>, Failure> {
        let (blocked, unresolved) = (Failure::new(ErrorClass::AddressBlocked), Failure::new(ErrorClass::DnsError));
        let target = Target::parse(&uri.to_string()).map_err(|_| blocked)?;
        self.guard.check_literal(&target).map_err(|_| blocked)?;
        let port = target.port();
        let addresses = match &target.host {
            TargetHost::Literal(address) => vec![*address],
            TargetHost::Name(name) => {
                let began = Instant::now();
                let resolved = self.guard.resolve(name).await;
                timings.dns_ms = Some(millis(began.elapsed()));
                resolved.map_err(|error| if error.is::<Blocked>() { blocked } else { unresolved })?
            }
        };
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    /// A tunnel to the first address that the proxy can connect to.
    async fn through_proxy(&self, addresses: Vec<SocketAddr>) -> Result<TcpStream, Failure> {
        let proxy = self.guard.policy().proxy().ok_or(tunnel::UNREACHABLE)?;
        let mut last = tunnel::UNREACHABLE;
        for address in addresses.into_iter().take(PROXY_TRIES) {
            // The proxy is the operator's: it is not judged, and may well be on the inside.
            let stream = tcp(HttpConnector::new(), proxy.uri.clone()).await;
            let mut stream = stream.map_err(|_| tunnel::UNREACHABLE)?;
            match tunnel::open(&mut stream, proxy, address).await {
                Ok(()) => return Ok(stream),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }
}

/// Connects to one of these addresses and to nothing else: IPv6 and IPv4 in turn (RFC 8305).
async fn direct(uri: Uri, addresses: Vec<SocketAddr>) -> Result<TcpStream, Failure> {
    tcp(HttpConnector::new_with_resolver(Pinned(addresses)), uri).await
}

async fn tcp<R>(mut connector: HttpConnector<R>, uri: Uri) -> Result<TcpStream, Failure>
where
    HttpConnector<R>: Service<Uri, Response = TokioIo<TcpStream>>,
    <HttpConnector<R> as Service<Uri>>::Error: Error + 'static,
{
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(Duration::from_secs(30)));
    connector.set_connect_timeout(Some(TCP_DEADLINE));
    let connected = connector.call(uri).await;
    connected.map(TokioIo::into_inner).map_err(|error| Failure::new(class_of(&error)))
}

/// Answers every look-up with what was judged.
#[derive(Debug, Clone)]
struct Pinned(Vec<SocketAddr>);

impl Service<Name> for Pinned {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        std::future::ready(Ok(std::mem::take(&mut self.0).into_iter()))
    }
}

/// The class of a failure to connect, from the first error in the chain that says something.
fn class_of<'a>(error: &'a (dyn Error + 'static)) -> ErrorClass {
    let mut chain = std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source());
    let io = chain.find_map(|error| error.downcast_ref::<io::Error>());
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => ErrorClass::ConnectionRefused,
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted) => ErrorClass::ConnectionReset,
        Some(io::ErrorKind::TimedOut) => ErrorClass::Timeout,
        _ => ErrorClass::ConnectionFailed,
    }
}
