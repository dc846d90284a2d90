//! One HTTP connection: its requests, its task, and its moves between runtimes.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use hookswitch_runtime::Scope;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use super::http_stream::{HttpStream, Relocation};
use super::thread_placement::{Move, ThreadPlacement};
use crate::gateway::{Caller, Gateway};
use crate::http::Body;
use crate::metrics::HeldConnection;
use crate::routes::Endpoint;

/// A larger publishing body, which may hold hundreds of events, is not read beside a shard, whose
/// connections would wait meanwhile.
const LIGHT_BODY_BYTES: u64 = 4 * 1024;

/// What belongs to one connection, wherever it is served.
struct Served {
    gateway: Gateway,
    peer: SocketAddr,
    placement: ThreadPlacement,
    relocation: Relocation,
    /// The gateway's own runtime.
    home: Handle,
    scope: Scope,
    _counted: HeldConnection,
}

type Http<S> = UpgradeableConnection<TokioIo<HttpStream>, S>;

/// Serves an accepted connection as a task of `scope`.
pub(super) fn serve(gateway: &Gateway, server: &http1::Builder, stream: TcpStream, peer: SocketAddr, scope: &Scope) {
    let relocation = Relocation::default();
    let transport = HttpStream::new(stream, relocation.clone());
    let home = Handle::current();
    let served = Arc::new(Served {
        gateway: gateway.clone(),
        peer,
        placement: ThreadPlacement::new(gateway.0.parts.authenticator.is_immediate()),
        relocation,
        home: home.clone(),
        scope: scope.clone(),
        _counted: gateway.0.http_connections.hold(),
    });
    let service = {
        let served = Arc::clone(&served);
        service_fn(move |request| {
            let served = Arc::clone(&served);
            async move { Ok::<_, Infallible>(served.answer(request).await) }
        })
    };
    let http = server.serve_connection(TokioIo::new(transport), service).with_upgrades();
    run(http, served, &home);
}

/// Starts the connection's task on this runtime; a move ends it and starts the next one.
fn run<S>(mut http: Http<S>, served: Arc<Served>, runtime: &Handle)
where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Unpin + Send + 'static,
    S::Future: Send,
{
    let scope = served.scope.clone();
    scope.spawn_contained_on(runtime, "http connection", async move {
        match until_moved(&mut http, &served).await {
            Ok(None) => {}
            Ok(Some(due)) => {
                served.relocation.announce();
                served.gateway.0.metrics.relocations.inc();
                let runtime = served.runtime_of(due).clone();
                run(http, served, &runtime);
            }
            Err(error) => tracing::debug!(peer = %served.peer, %error, "a connection ended badly"),
        }
    });
}

/// Serves until the connection has ended, or is to be served elsewhere.
async fn until_moved<S>(http: &mut Http<S>, served: &Served) -> hyper::Result<Option<Move>>
where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Unpin + Send + 'static,
    S::Future: Send,
{
    let serving = poll_fn(|cx| match Pin::new(&mut *http).poll(cx) {
        Poll::Ready(ended) => Poll::Ready(ended.map(|()| None)),
        // A publishing request that is under way goes along: the task there polls it first of all.
        Poll::Pending => served.placement.take_move().map_or(Poll::Pending, |due| Poll::Ready(Ok(Some(due)))),
    });
    tokio::select! {
        ended = serving => ended,
        () = served.scope.soft().cancelled() => {
            Pin::new(&mut *http).graceful_shutdown();
            http.await.map(|()| None)
        }
    }
}

impl Served {
    fn runtime_of(&self, due: Move) -> &Handle {
        due.to.map_or(&self.home, |shard| self.gateway.0.hub().runtime_beside(shard))
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if self.is_light(&request) {
            let caller = Caller { peer: self.peer, placement: Some(&self.placement) };
            let response = self.gateway.handle_at(request, caller).await;
            if response.status() != StatusCode::ACCEPTED {
                self.placement.leave_shard();
            }
            return response;
        }
        // First of all: a move that is due would take the request along.
        self.placement.leave_shard();
        if self.placement.is_beside_shard() {
            self.answer_at_home(request).await
        } else {
            self.gateway.handle(request, self.peer).await
        }
    }

    async fn answer_at_home(&self, request: Request<Incoming>) -> Response<Body> {
        let (gateway, peer) = (self.gateway.clone(), self.peer);
        let answer = async move { gateway.handle(request, peer).await };
        match self.scope.spawn_contained_on(&self.home, "http request", answer).await {
            Ok(Some(response)) => response,
            // Cut off by the hard token, or with its runtime.
            _ => self.gateway.cut_off(self.peer),
        }
    }

    /// Whether the request may be served beside a shard: a publishing one that is soon read.
    fn is_light(&self, request: &Request<Incoming>) -> bool {
        let routes = &self.gateway.0.routes;
        let length = |value: &HeaderValue| value.to_str().ok()?.parse::<u64>().ok();
        request.method() == Method::POST
            && request.headers().get(CONTENT_LENGTH).and_then(length).is_some_and(|n| n <= LIGHT_BODY_BYTES)
            && routes.find(request.method(), request.uri().path()).is_ok_and(|(r, _)| r.endpoint == Endpoint::Publish)
    }
}
