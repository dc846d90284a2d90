//! One HTTP connection: its requests, its task, and its moves between runtimes.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hookswitch_runtime::Scope;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use super::connection_state::{ConnectionState, Cut};
use super::http_stream::{Deadlines, HttpStream};
use super::linger::linger;
use super::refusals::Refusals;
use super::thread_placement::{Move, ThreadPlacement};
use crate::gateway::{Caller, Gateway, Server};
use crate::http::Body;
use crate::log_budget::LogKind;
use crate::metrics::HeldConnection;
use crate::routes::Endpoint;
use crate::transports::event_stream::Upcoming;

/// A larger publishing body, which may hold hundreds of events, is not read beside a shard, whose
/// connections would wait meanwhile.
const LIGHT_BODY_BYTES: u64 = 4 * 1024;
/// How much longer an idle connection is kept than answers say: a request that was sent just in time is on its way.
const IDLE_GRACE: Duration = Duration::from_secs(1);
/// How often a connection is looked at once the node ends.
const END_LOOK: Duration = Duration::from_secs(1);
/// How long a client is read from that was answered while it was sending.
const LINGER: Duration = Duration::from_secs(10);

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// What belongs to one connection, wherever it is served.
struct Served {
    gateway: Gateway,
    server: Arc<ConnectionServer>,
    peer: SocketAddr,
    placement: ThreadPlacement,
    state: Arc<ConnectionState>,
    /// The gateway's own runtime.
    home: Handle,
    scope: Scope,
    _counted: HeldConnection,
}

type Http<S> = UpgradeableConnection<TokioIo<HttpStream>, S>;

/// What the connections of a server have in common.
#[derive(Debug)]
pub(super) struct ConnectionServer {
    http: http1::Builder,
    deadlines: Deadlines,
    refusals: Refusals,
    keep_alive: HeaderValue,
}

impl ConnectionServer {
    pub(super) fn new(gateway: &Gateway, http: http1::Builder) -> Self {
        let config = &gateway.0.config;
        let deadlines = Deadlines {
            idle: config.idle_timeout + IDLE_GRACE,
            head: config.header_deadline,
            write: config.write_deadline,
        };
        let keep_alive = format!("timeout={}", config.idle_timeout.as_secs());
        let keep_alive = keep_alive.parse().expect("letters and digits are a legal header value");
        Self { http, deadlines, refusals: Refusals::of(gateway), keep_alive }
    }
}

/// Serves an accepted connection as a task of `scope`.
pub(super) fn serve(
    gateway: &Gateway,
    server: &Arc<ConnectionServer>,
    stream: TcpStream,
    peer: SocketAddr,
    scope: &Scope,
) {
    let state = Arc::new(ConnectionState::default());
    let transport = HttpStream::new(stream, Arc::clone(&state), server.deadlines, server.refusals.clone());
    let home = Handle::current();
    let served = Arc::new(Served {
        gateway: gateway.clone(),
        server: Arc::clone(server),
        peer,
        placement: ThreadPlacement::new(gateway.0.parts.authenticator.is_immediate()),
        state,
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
    let http = server.http.serve_connection(TokioIo::new(transport), service).with_upgrades();
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
        let ended = match until_moved(&mut http, &served).await {
            Ok(Next::Move(due)) => {
                served.state.announce_relocation();
                served.gateway.0.metrics.relocations.inc();
                let runtime = served.runtime_of(due).clone();
                return run(http, served, &runtime);
            }
            Ok(Next::Stream(stream)) => {
                let socket = http.into_parts().and_then(|parts| parts.io.into_inner().into_stream());
                // Counted as a connection of the hub from here on.
                drop(served);
                let Some(socket) = socket else {
                    return tracing::debug!("the socket was lost before its event stream began");
                };
                return stream.begin(socket).await;
            }
            Ok(Next::End) => None,
            Err(error) => Some(error),
        };
        drop(http);
        served.on_end(ended.as_ref());
        if let Some(stream) = served.state.take_rest() {
            tokio::select! {
                () = served.scope.soft().cancelled() => {}
                _ = tokio::time::timeout(LINGER, linger(stream)) => {}
            }
        }
    });
}

/// How serving a connection as HTTP, and here, came to its end.
enum Next {
    /// It is over.
    End,
    /// It is to be served on another runtime.
    Move(Move),
    /// What is answered is a stream, which takes the socket.
    Stream(Box<Upcoming>),
}

/// Serves until the connection has ended, or is to be served otherwise.
async fn until_moved<S>(http: &mut Http<S>, served: &Served) -> hyper::Result<Next>
where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Unpin + Send + 'static,
    S::Future: Send,
{
    let serving = poll_fn(|cx| match poll_http(http, served, cx) {
        // A publishing request that is under way goes along: the task there polls it first of all.
        Poll::Pending => served.placement.take_move().map_or(Poll::Pending, |due| Poll::Ready(Ok(Next::Move(due)))),
        next @ Poll::Ready(_) => next,
    });
    tokio::select! {
        ended = serving => ended,
        () = served.scope.soft().cancelled() => {
            served.state.start_ending();
            Pin::new(&mut *http).graceful_shutdown();
            until_ended(http, served).await
        }
    }
}

/// Serves on; ready at the end, and when a stream is to take the socket.
fn poll_http<S>(http: &mut Http<S>, served: &Served, cx: &mut Context<'_>) -> Poll<hyper::Result<Next>>
where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Unpin + Send + 'static,
    S::Future: Send,
{
    match Pin::new(http).poll(cx) {
        Poll::Ready(ended) => Poll::Ready(ended.map(|()| Next::End)),
        Poll::Pending => {
            served.state.take_stream().map_or(Poll::Pending, |stream| Poll::Ready(Ok(Next::Stream(Box::new(stream)))))
        }
    }
}

/// Serves until what is under way is done; a client that only keeps its connection, or does not end its request's
/// head, is not waited for.
async fn until_ended<S>(http: &mut Http<S>, served: &Served) -> hyper::Result<Next>
where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Unpin + Send + 'static,
    S::Future: Send,
{
    loop {
        match tokio::time::timeout(END_LOOK, poll_fn(|cx| poll_http(http, served, cx))).await {
            Ok(ended) => return ended,
            Err(_) if served.state.is_busy() => {}
            Err(_) => return Ok(Next::End),
        }
    }
}

impl Served {
    fn runtime_of(&self, due: Move) -> &Handle {
        due.to.map_or(&self.home, |shard| self.gateway.0.hub().runtime_beside(shard))
    }

    /// Counts and tells why the connection ended, where that was not the client's doing.
    fn on_end(&self, error: Option<&hyper::Error>) {
        let peer = self.peer;
        // To HTTP/2 the library says nothing.
        let unanswered = error.filter(|error| error.is_parse()).map(|_| Cut::NoHttp);
        match self.state.reason().or(unanswered) {
            Some(cut) => {
                self.gateway.0.metrics.cut_connections.inc(cut.as_str());
                match cut {
                    Cut::Idle => {}
                    _ if !self.gateway.0.log_budget.allows(LogKind::Cut) => {}
                    // Whoever sends it may do so all day.
                    Cut::HeadTooLarge | Cut::NoHttp => {
                        tracing::info!(%peer, reason = cut.as_str(), error = error.map(tracing::field::display), "what came is no request that can be read");
                    }
                    Cut::HeadTooSlow | Cut::AnswerNotRead => {
                        tracing::info!(%peer, reason = cut.as_str(), "a connection was cut");
                    }
                }
            }
            None => {
                if let Some(error) = error {
                    tracing::debug!(%peer, %error, "a connection ended badly");
                }
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        self.state.begin_request();
        let mut response = self.answer_somewhere(request).await;
        if let Some(stream) = Upcoming::of(&mut response) {
            self.state.give_to(stream);
            // The library has nothing more to do; the connection's task takes the socket from under it.
            return std::future::pending().await;
        }
        let is_last = response.headers().contains_key(CONNECTION);
        let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if !is_last {
            response.headers_mut().insert(KEEP_ALIVE, self.server.keep_alive.clone());
        }
        self.state.end_request(is_last && !is_upgrade);
        response
    }

    async fn answer_somewhere(&self, request: Request<Incoming>) -> Response<Body> {
        if self.is_light(&request) {
            let caller = Caller { peer: self.peer, placement: Some(&self.placement), server: Server::Own };
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
            self.gateway.handle_at(request, self.caller()).await
        }
    }

    /// Who asks for what is not served beside a shard.
    fn caller(&self) -> Caller<'static> {
        Caller { peer: self.peer, placement: None, server: Server::Own }
    }

    async fn answer_at_home(&self, request: Request<Incoming>) -> Response<Body> {
        let (gateway, caller) = (self.gateway.clone(), self.caller());
        let answer = async move { gateway.handle_at(request, caller).await };
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
