//! The gateway itself: what it is made of, and what happens to one request.

use std::fmt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use hookswitch_hub::{Admission, Hub};
use hookswitch_protocol::{ErrorCode, Timestamp};
use hookswitch_runtime::metrics::Registry;
use hookswitch_runtime::{Clock, Scope};
use hookswitch_switch::Switchboard;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::auth::{AuthError, Authenticator, Credential, Principal, find_token};
use crate::config::GatewayConfig;
use crate::cors;
use crate::http::{Answer, Body, BodyPermits, BoxError, Problem, RequestBody, RequestIds};
use crate::log_budget::{LogBudget, LogKind};
use crate::metrics::{GatewayMetrics, HttpConnections};
use crate::origin::AllowedOrigins;
use crate::pages::{Health, NodeQueue, OnlineLists, Rates, Readiness, start_reporting};
use crate::request_limit::RequestLimit;
use crate::routes::{Access, Endpoint, Route, Routes};
use crate::server::ThreadPlacement;
use crate::transports::websocket::DeflateForm;
use crate::transports::{SocketContext, TokenCheck};

/// What a gateway is made of.
pub struct GatewayParts {
    /// Takes connections in.
    pub admission: Admission,
    /// Takes events in; its hub and its webhooks are the ones shown and changed here.
    pub switch: Switchboard,
    /// Turns tokens into principals.
    pub authenticator: Arc<dyn Authenticator>,
    /// What readiness depends on.
    pub health: Health,
    /// What the metrics page shows; other parts of the node have registered theirs, the switchboard's and
    /// the gateway's own are added. Made by [`hookswitch_runtime::metrics::registry`].
    pub metrics: Registry,
    /// What else of the node waits somewhere, for the report on nodes.
    pub queues: Vec<NodeQueue>,
    /// Wall time.
    pub clock: Clock,
    /// Where tasks live that outlast a request.
    pub scope: Scope,
}

impl fmt::Debug for GatewayParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayParts").field("hub", self.switch.hub()).finish_non_exhaustive()
    }
}

/// HTTP and WebSocket of one node. Clones are the same gateway.
#[derive(Clone)]
pub struct Gateway(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: GatewayConfig,
    pub(crate) parts: GatewayParts,
    pub(crate) sockets: Arc<SocketContext>,
    /// How WebSocket clients read that compress, where that is taken.
    pub(crate) deflate_form: Option<&'static DeflateForm>,
    pub(crate) metrics: Arc<GatewayMetrics>,
    pub(crate) http_connections: HttpConnections,
    /// Those beyond the limit that still read their refusal.
    pub(crate) refused_connections: HttpConnections,
    pub(crate) registry: Registry,
    pub(crate) log_budget: LogBudget,
    pub(crate) body_permits: BodyPermits,
    pub(crate) online_lists: OnlineLists,
    pub(crate) readiness: Readiness,
    pub(crate) rates: Rates,
    pub(crate) started_at: Timestamp,
    pub(crate) routes: Routes,
    limit: Option<RequestLimit>,
    request_ids: RequestIds,
    /// Whether an operator asked for the node to go.
    drain_asked: watch::Sender<bool>,
}

/// Who makes a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) peer: SocketAddr,
    /// The placement of its connection, where it is known.
    pub(crate) placement: Option<&'a ThreadPlacement>,
    pub(crate) server: Server,
}

/// Which HTTP server a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// Ours, which gives its socket to an event stream.
    Own,
    /// An embedder's, which does so after an upgrade only.
    Foreign,
}

/// What is told to who asked for a drain.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Draining {
    /// `draining`.
    state: &'static str,
    /// Those that are still to be closed.
    connections: usize,
    /// Over how long they are closed.
    window_ms: u64,
}

/// A request whose route is known and whose caller may use it.
pub(crate) struct Admitted<'a> {
    pub(crate) route: &'static Route,
    pub(crate) params: matchit::Params<'a, 'a>,
    /// `None` on routes without a token only.
    pub(crate) principal: Option<Arc<Principal>>,
}

impl Gateway {
    /// A gateway that serves nothing yet: call [`Gateway::serve`], or [`Gateway::handle`] from a
    /// server of your own.
    pub fn new(mut parts: GatewayParts, config: GatewayConfig) -> Self {
        let (metrics, http_connections) = (Arc::new(GatewayMetrics::default()), HttpConnections::default());
        let mut registry = std::mem::take(&mut parts.metrics);
        metrics.register(&mut registry);
        http_connections.register(&mut registry);
        parts.switch.register_metrics(&mut registry);
        let body_permits = BodyPermits::new(config.all_bodies_bytes);
        body_permits.register(&mut registry);
        let sockets = SocketContext {
            hub: parts.switch.hub().clone(),
            clock: parts.clock.clone(),
            authenticator: TokenCheck(Arc::clone(&parts.authenticator)),
            metrics: Arc::clone(&metrics),
            read_buffer_bytes: config.read_buffer_bytes.clamp(256, 64 * 1024),
            linger: config.linger,
            peer_timeout: config.peer_timeout,
        };
        let inner = Arc::new(Inner {
            rates: Rates::default(),
            started_at: parts.clock.now(),
            metrics,
            http_connections,
            refused_connections: HttpConnections::default(),
            registry,
            log_budget: LogBudget::default(),
            body_permits,
            online_lists: OnlineLists::default(),
            readiness: Readiness::new(config.probe_deadline, config.probe_interval),
            request_ids: RequestIds::new(parts.clock.now()),
            routes: Routes::new(),
            limit: config.tenant_rate_limit.map(RequestLimit::new),
            sockets: Arc::new(sockets),
            deflate_form: config.compression_from.map(DeflateForm::leaked),
            drain_asked: watch::Sender::new(false),
            config,
            parts,
        });
        start_reporting(&inner);
        Self(inner)
    }

    /// Answers one request. Mount it under the root of a hyper server that serves with upgrades over
    /// tokio's `TcpStream`. Never fails: whatever goes wrong is an answer, a panic is a 500. Event streams are
    /// served by [`Gateway::serve`] only; here they are answered 404.
    ///
    /// Dropped midway (the client left), the request is done or not done; an accepted upgrade leaves
    /// nothing behind.
    pub async fn handle<B>(&self, request: Request<B>, peer: SocketAddr) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.handle_at(request, Caller { peer, placement: None, server: Server::Foreign }).await
    }

    /// The same for a connection of our own server.
    pub(crate) async fn handle_at<B>(&self, request: Request<B>, caller: Caller<'_>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let inner = &*self.0;
        let request_id = inner.request_ids.for_request(request.headers());
        let answer = Answer { request_id, now: inner.parts.clock.now() };
        let origin = cors::answer_origin(inner.origins(request.uri().path()), request.headers());
        let response = AssertUnwindSafe(self.answer(request, caller, &answer)).catch_unwind().await;
        let mut response = response.unwrap_or_else(|_| {
            // The panic hook has logged where; this line says which request.
            tracing::error!(request_id = %answer.request_id, "a request ended in a panic");
            inner.metrics.panics.inc();
            answer.problem(&Problem::internal())
        });
        cors::add_headers(origin, &mut response);
        inner.metrics.answered(response.status());
        response
    }

    /// The answer to a request whose work was cut off: not known to be done.
    pub(crate) fn cut_off(&self, peer: SocketAddr) -> Response<Body> {
        let request_id = self.fresh_id();
        tracing::warn!(%peer, %request_id, "a request was cut off by the node's end");
        let answer = Answer { request_id, now: self.0.parts.clock.now() };
        let response = answer.problem(&Problem::draining());
        self.0.metrics.answered(response.status());
        response
    }

    async fn answer<B>(&self, request: Request<B>, caller: Caller<'_>, answer: &Answer) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let inner = &*self.0;
        let until = Instant::now() + inner.config.body_deadline;
        let (head, body) = request.into_parts();
        let body = std::pin::pin!(body);
        let mut body = RequestBody::new(body, head.headers.contains_key(EXPECT));
        let mut response = if head.method == Method::OPTIONS {
            cors::preflight(inner.origins(head.uri.path()), &inner.routes, &head, answer)
        } else {
            let response = self.dispatch(head, &mut body, caller, answer).await;
            response.unwrap_or_else(|problem| answer.problem(&problem))
        };
        let is_over = matches!(response.status(), StatusCode::SWITCHING_PROTOCOLS | StatusCode::REQUEST_TIMEOUT);
        // Who is answered while still sending would find the connection reset, and no answer.
        let is_unread = !is_over && !body.read_away(until).await;
        // A draining node is to be left: a proxy that kept the connection would send the next request here, too.
        let is_draining = inner.hub().is_draining() && response.status() != StatusCode::SWITCHING_PROTOCOLS;
        if is_unread || is_draining || response.status() == StatusCode::REQUEST_TIMEOUT {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// An answer to what the HTTP server could not make a request of, or gave up waiting for.
    pub(crate) fn unread(&self, problem: &Problem) -> Vec<u8> {
        let answer = Answer { request_id: self.fresh_id(), now: self.0.parts.clock.now() };
        answer.problem_json(problem)
    }

    fn fresh_id(&self) -> String {
        self.0.request_ids.for_request(&http::HeaderMap::new())
    }

    /// Refuses new upgrades and API requests with 503 `draining` and sends every open WebSocket elsewhere, as
    /// [`Hub::drain`] does; says whether all went. Health and metrics are still told, and requests under way
    /// finished. Cancel safe; the draining goes on.
    pub async fn drain(&self) -> bool {
        self.0.hub().drain().await
    }

    /// Waits until an operator asked by `POST /api/v1/admin/drain` for the node to go; from then on new upgrades and
    /// API requests are refused. The rest is whoever's who waits for this. Cancel safe.
    pub async fn drain_asked(&self) {
        // Its sender lives as long as the gateway.
        let mut asked = self.0.drain_asked.subscribe();
        let _asked = asked.wait_for(|is_asked| *is_asked).await;
    }

    /// `POST /api/v1/admin/drain`.
    pub(crate) fn start_drain(&self, principal: &Principal, peer: SocketAddr, answer: &Answer) -> Response<Body> {
        let (inner, hub) = (&*self.0, self.0.hub());
        // Here, so that whoever has the answer finds the node not ready.
        hub.refuse_newcomers();
        if !inner.drain_asked.send_replace(true) {
            let Principal { tenant, user, role, .. } = principal;
            tracing::info!(%tenant, %user, role = role.as_str(), %peer, "asked to drain");
        }
        let window_ms = hub.drain_window().as_millis() as u64;
        let draining = Draining { state: "draining", connections: hub.n_to_drain(), window_ms };
        answer.success(StatusCode::ACCEPTED, draining, None)
    }
}

impl Inner {
    pub(crate) fn hub(&self) -> &Hub {
        self.parts.switch.hub()
    }

    /// Which pages may read what lies at this path.
    fn origins(&self, path: &str) -> &AllowedOrigins {
        // Cheap where it is not so: every request is asked.
        let is_public = path.contains("/stream/public")
            && self
                .routes
                .find(&Method::GET, path)
                .is_ok_and(|(route, _)| route.endpoint == Endpoint::PublicEventStream);
        if is_public { &self.config.public_origins } else { &self.config.origins }
    }

    /// Finds the route and checks the caller against what the table says of it.
    pub(crate) async fn admit<'a>(
        &'a self,
        method: &Method,
        path: &'a str,
        query: Option<&str>,
        headers: &http::HeaderMap,
        peer: SocketAddr,
    ) -> Result<Admitted<'a>, Problem> {
        let (route, params) = self.routes.find(method, path)?;
        let principal = match route.access {
            Access::Node | Access::Session => None,
            Access::Tenant(roles) | Access::Operator(roles) => {
                let principal = self.authenticate(query, headers).await.map_err(|error| {
                    self.metrics.refused_tokens.inc(error.reason());
                    self.log_budget.token_refused(&error, route, peer);
                    token_problem(&error)
                })?;
                if !roles.contains(&principal.role) {
                    self.log_budget.principal_refused(LogKind::RoleRefused, &principal, route, peer);
                    let message = format!("the role {} may not do this", principal.role.as_str());
                    return Err(Problem::new(ErrorCode::Forbidden, message));
                }
                if matches!(route.access, Access::Operator(_)) {
                    self.check_operator(&principal, route, peer)?;
                }
                Some(principal)
            }
        };
        self.check_draining(route)?;
        if let Some(principal) = &principal {
            self.check_rate(principal, route.endpoint)?;
        }
        Ok(Admitted { route, params, principal })
    }

    /// Once the node drains it tells how it is, and does nothing new.
    fn check_draining(&self, route: &Route) -> Result<(), Problem> {
        if !self.hub().is_draining() || route.endpoint.is_served_while_draining() {
            return Ok(());
        }
        if route.endpoint == Endpoint::Publish {
            self.parts.switch.count_refusal(ErrorCode::Draining);
        }
        Err(Problem::draining())
    }

    /// What concerns the whole node is for tokens of the operator's own tenant.
    fn check_operator(&self, principal: &Principal, route: &Route, peer: SocketAddr) -> Result<(), Problem> {
        let Some(operator) = &self.config.admin_tenant else {
            let message = "this node takes no such calls: its operator's tenant is not set (SERVER_ADMIN_TENANT)";
            return Err(Problem::new(ErrorCode::Forbidden, message));
        };
        if principal.tenant == *operator {
            return Ok(());
        }
        self.log_budget.principal_refused(LogKind::TenantRefused, principal, route, peer);
        Err(Problem::new(ErrorCode::Forbidden, "this is for the operator of the node"))
    }

    fn check_rate(&self, principal: &Principal, endpoint: Endpoint) -> Result<(), Problem> {
        let Some(limit) = &self.limit else { return Ok(()) };
        let Err(exceeded) = limit.admit(principal, endpoint) else { return Ok(()) };
        self.metrics.rate_limited.inc();
        if endpoint == Endpoint::Publish {
            self.parts.switch.count_refusal(ErrorCode::RateLimited);
        }
        let (who, per_second) = (exceeded.who, exceeded.per_second);
        let message = format!("{who} makes more than {per_second} requests per second; nothing was done, try again");
        Err(Problem { rate: Some(per_second.get()), ..Problem::new(ErrorCode::RateLimited, message) })
    }

    async fn authenticate(&self, query: Option<&str>, headers: &http::HeaderMap) -> Result<Arc<Principal>, AuthError> {
        let (token, place) = find_token(headers, query).ok_or(AuthError::Missing)?;
        self.parts.authenticator.authenticate(Credential { token: &token, place }).await
    }
}

fn token_problem(error: &AuthError) -> Problem {
    Problem::new(error.code(), error.to_string())
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("parts", &self.0.parts).finish_non_exhaustive()
    }
}
