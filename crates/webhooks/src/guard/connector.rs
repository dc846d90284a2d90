//! The connector of the one outgoing client: judges literals, resolves guarded, speaks TLS, and says
//! at which stage it failed.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::Target;
use super::resolver::{Blocked, Guard, Unresolved};
use crate::outcome::ErrorClass;

/// No connection, its handshake included, is waited for longer than this, also where the attempt
/// that wanted it is gone. As long as the longest time limit of a webhook.
const CONNECT_DEADLINE: Duration = Duration::from_mins(2);

/// A connection that was not made, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConnectFailure(pub(crate) ErrorClass);

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, ConnectFailure>> + Send>>;

/// The whole connector: guarded TCP, then TLS for `https:`.
#[derive(Debug, Clone)]
pub(crate) struct GuardedConnector(HttpsConnector<GuardedTcp>);

/// The connector under TLS.
#[derive(Debug, Clone)]
pub(crate) struct GuardedTcp {
    guard: Guard,
    tcp: HttpConnector<Guard>,
}

/// Builds the connector. HTTP/1.1 only: with HTTP/2 one broken connection would fail every delivery
/// to its host at once, and small posts gain little from it.
///
/// # Panics
/// Never: the TLS provider is the one we name, and it supports the default protocol versions.
pub(crate) fn guarded_connector(guard: &Guard) -> GuardedConnector {
    let tls = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::aws_lc_rs::default_provider())
        .expect("the provider supports the default protocol versions");
    let mut tcp = HttpConnector::new_with_resolver(guard.clone());
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    let tcp = GuardedTcp { guard: guard.clone(), tcp };
    GuardedConnector(tls.https_or_http().enable_http1().wrap_connector(tcp))
}

impl Service<Uri> for GuardedConnector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = ConnectFailure;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx).map_err(|_| ConnectFailure(ErrorClass::ConnectionFailed))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let connected = tokio::time::timeout(CONNECT_DEADLINE, connecting).await;
            let connected = connected.map_err(|_| ConnectFailure(ErrorClass::Timeout))?;
            // The stage below says what it is; everything else comes from TLS.
            connected.map_err(|e| e.downcast().map_or(ConnectFailure(ErrorClass::TlsError), |known| *known))
        })
    }
}

impl Service<Uri> for GuardedTcp {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectFailure;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(cx).map_err(|_| ConnectFailure(ErrorClass::ConnectionFailed))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // Literals never reach the resolver, so they are judged here.
        let judged = Target::parse(&uri.to_string()).and_then(|target| self.guard.check_literal(&target));
        if judged.is_err() {
            return Box::pin(async { Err(ConnectFailure(ErrorClass::AddressBlocked)) });
        }
        let connecting = self.tcp.call(uri);
        Box::pin(async move { connecting.await.map_err(|e| ConnectFailure(class_of(&e))) })
    }
}

/// The class of a failure to connect, from the first error in the chain that says something.
fn class_of(error: &(dyn Error + 'static)) -> ErrorClass {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<Blocked>() {
            return ErrorClass::AddressBlocked;
        }
        if error.is::<Unresolved>() {
            return ErrorClass::DnsError;
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return class_of_io(io.kind());
        }
        next = error.source();
    }
    ErrorClass::ConnectionFailed
}

fn class_of_io(kind: io::ErrorKind) -> ErrorClass {
    match kind {
        io::ErrorKind::ConnectionRefused => ErrorClass::ConnectionRefused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => ErrorClass::ConnectionReset,
        io::ErrorKind::TimedOut => ErrorClass::Timeout,
        _ => ErrorClass::ConnectionFailed,
    }
}
