//! Every route in one table: where it lies, who may use it, whose data it shows.
//!
//! A route without its access does not compile, so it cannot be forgotten.

use hookswitch_protocol::ErrorCode;
use http::Method;
use matchit::{Params, Router};

use crate::auth::Role;
use crate::http::Problem;

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    Socket,
    PublicSocket,
    EventStream,
    PublicEventStream,
    SocketStats,
    UserOnline,
    OnlineUsers,
    UserConnections,
    Nodes,
    Publish,
    PastEvents,
    EventTrace,
    WebhookCreate,
    WebhookList,
    WebhookGet,
    WebhookUpdate,
    WebhookDelete,
    WebhookTest,
    WebhookRotate,
    WebhookEnable,
    WebhookResend,
    DeliveryResend,
    WebhookLogs,
    WebhookStats,
    WebhookFailed,
    Drain,
    Console,
    Health,
    Ready,
    Metrics,
    OpenApi,
    AsyncApi,
    ErrorDocs,
}

impl Endpoint {
    /// Whether it takes the connection for itself, which only GET asks for.
    const fn takes_connection(self) -> bool {
        matches!(self, Self::Socket | Self::PublicSocket | Self::EventStream | Self::PublicEventStream)
    }

    /// Whether it is the same on every node of a version.
    const fn is_description(self) -> bool {
        matches!(self, Self::OpenApi | Self::AsyncApi | Self::ErrorDocs)
    }

    /// Whether it is of use to whoever takes the node out of service.
    pub(crate) const fn is_served_while_draining(self) -> bool {
        matches!(self, Self::Drain | Self::Health | Self::Ready | Self::Metrics) || self.is_description()
    }
}

/// Who may use a route, and whose data it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody. Shows the node's own figures; no tenant is named in them.
    Node,
    /// Anybody who knows the key of a live chat session. Shows that session.
    Session,
    /// Whoever has a token with one of these roles. Shows the token's tenant, and no other.
    Tenant(&'static [Role]),
    /// Whoever has a token of the operator's own tenant with one of these roles. Concerns the whole node.
    Operator(&'static [Role]),
}

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) prefixes: &'static [&'static str],
    /// The pattern without prefix; unlike a request's path it holds no session key and may be logged.
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) endpoint: Endpoint,
}

impl Route {
    /// The whole pattern, as the log has it.
    pub(crate) fn pattern(&self) -> String {
        format!("{}{}", self.prefixes.first().unwrap_or(&""), self.path)
    }
}

const ROOT: &[&str] = &[""];
const SOCKET: &[&str] = &["", "/api/v1"];
const API: &[&str] = &["/api/v1"];
const WEBHOOKS: &[&str] = &["/api/v1/webhooks", "/api/webhooks"];

const ANY: Access = Access::Tenant(&[Role::Agent, Role::Supervisor, Role::Admin, Role::Service]);
const READ: Access = Access::Tenant(&[Role::Supervisor, Role::Admin, Role::Service]);
const WRITE: Access = Access::Tenant(&[Role::Admin, Role::Service]);
const OPERATOR: Access = Access::Operator(&[Role::Admin, Role::Service]);

const fn route(
    method: Method,
    prefixes: &'static [&'static str],
    path: &'static str,
    access: Access,
    endpoint: Endpoint,
) -> Route {
    Route { method, prefixes, path, access, endpoint }
}

/// The table. What a route takes and answers is described beside its types, in files called `described.rs`; a test
/// holds table and descriptions together. Paths are written without a trailing slash; one is tolerated everywhere.
pub(crate) static ROUTES: &[Route] = &[
    route(Method::GET, SOCKET, "/ws", ANY, Endpoint::Socket),
    route(Method::GET, SOCKET, "/ws/public", Access::Session, Endpoint::PublicSocket),
    route(Method::GET, SOCKET, "/ws/public/{session_key}", Access::Session, Endpoint::PublicSocket),
    route(Method::GET, SOCKET, "/ws/stats", ANY, Endpoint::SocketStats),
    route(Method::GET, SOCKET, "/ws/users/{user_id}/online", ANY, Endpoint::UserOnline),
    route(Method::GET, API, "/presence/online", ANY, Endpoint::OnlineUsers),
    route(Method::GET, API, "/presence/{user_id}/connections", READ, Endpoint::UserConnections),
    route(Method::GET, API, "/nodes", READ, Endpoint::Nodes),
    route(Method::POST, API, "/events", WRITE, Endpoint::Publish),
    route(Method::GET, API, "/events", WRITE, Endpoint::PastEvents),
    route(Method::GET, API, "/events/{id}/trace", WRITE, Endpoint::EventTrace),
    route(Method::GET, API, "/events/stream", ANY, Endpoint::EventStream),
    route(Method::GET, API, "/events/stream/public", Access::Session, Endpoint::PublicEventStream),
    route(Method::GET, API, "/events/stream/public/{session_key}", Access::Session, Endpoint::PublicEventStream),
    route(Method::POST, WEBHOOKS, "", WRITE, Endpoint::WebhookCreate),
    route(Method::GET, WEBHOOKS, "", READ, Endpoint::WebhookList),
    route(Method::GET, WEBHOOKS, "/failed", READ, Endpoint::WebhookFailed),
    route(Method::GET, WEBHOOKS, "/{id}", READ, Endpoint::WebhookGet),
    route(Method::PUT, WEBHOOKS, "/{id}", WRITE, Endpoint::WebhookUpdate),
    route(Method::DELETE, WEBHOOKS, "/{id}", WRITE, Endpoint::WebhookDelete),
    route(Method::POST, WEBHOOKS, "/{id}/test", WRITE, Endpoint::WebhookTest),
    route(Method::POST, WEBHOOKS, "/{id}/rotate-secret", WRITE, Endpoint::WebhookRotate),
    route(Method::POST, WEBHOOKS, "/{id}/enable", WRITE, Endpoint::WebhookEnable),
    route(Method::POST, WEBHOOKS, "/{id}/resend", WRITE, Endpoint::WebhookResend),
    route(Method::POST, WEBHOOKS, "/{id}/deliveries/{delivery_id}/resend", WRITE, Endpoint::DeliveryResend),
    route(Method::GET, WEBHOOKS, "/{id}/logs", READ, Endpoint::WebhookLogs),
    route(Method::GET, WEBHOOKS, "/{id}/stats", READ, Endpoint::WebhookStats),
    route(Method::POST, API, "/admin/drain", OPERATOR, Endpoint::Drain),
    route(Method::GET, ROOT, "/", Access::Node, Endpoint::Console),
    route(Method::GET, ROOT, "/console", Access::Node, Endpoint::Console),
    route(Method::GET, ROOT, "/console/{*file}", Access::Node, Endpoint::Console),
    route(Method::GET, ROOT, "/healthz", Access::Node, Endpoint::Health),
    route(Method::GET, ROOT, "/readyz", Access::Node, Endpoint::Ready),
    route(Method::GET, ROOT, "/metrics", Access::Node, Endpoint::Metrics),
    route(Method::GET, API, "/openapi.json", Access::Node, Endpoint::OpenApi),
    route(Method::GET, API, "/asyncapi.json", Access::Node, Endpoint::AsyncApi),
    route(Method::GET, ROOT, "/docs/errors.md", Access::Node, Endpoint::ErrorDocs),
];

/// Finds the route of a request.
#[derive(Debug)]
pub(crate) struct Routes(Router<Vec<&'static Route>>);

impl Routes {
    pub(crate) fn new() -> Self {
        let mut paths: Vec<(String, Vec<&'static Route>)> = Vec::new();
        for route in ROUTES {
            for prefix in route.prefixes {
                let path = format!("{prefix}{}", route.path);
                match paths.iter_mut().find(|(known, _)| *known == path) {
                    Some((_, routes)) => routes.push(route),
                    None => paths.push((path, vec![route])),
                }
            }
        }
        let mut router = Router::new();
        for (path, routes) in paths {
            router.insert(path, routes).expect("the table's paths do not collide: a test walks them");
        }
        Self(router)
    }

    /// The route and the parameters in its path.
    ///
    /// # Errors
    /// 404 when there is no such path, 405 with `Allow` when it has other methods.
    pub(crate) fn find<'p>(&self, method: &Method, path: &'p str) -> Result<(&'static Route, Params<'_, 'p>), Problem> {
        let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
        let found = self.0.at(path).map_err(|_| Problem::not_found("there is nothing at this path"))?;
        // The server leaves the body out of an answer to HEAD.
        let is_head = method == Method::HEAD;
        let method = if is_head { &Method::GET } else { method };
        match found
            .value
            .iter()
            .find(|route| route.method == *method && !(is_head && route.endpoint.takes_connection()))
        {
            Some(route) => Ok((route, found.params)),
            None => Err(not_allowed(found.value)),
        }
    }

    /// The methods of a path, for `OPTIONS`.
    pub(crate) fn allowed(&self, path: &str) -> Option<String> {
        self.find(&Method::OPTIONS, path).err().and_then(|problem| problem.allow)
    }
}

fn not_allowed(routes: &[&Route]) -> Problem {
    let mut methods = Vec::new();
    for route in routes {
        methods.push(route.method.as_str());
        if route.method == Method::GET && !route.endpoint.takes_connection() {
            methods.push("HEAD");
        }
    }
    methods.push("OPTIONS");
    let allow = methods.join(", ");
    let mut problem = Problem::new(ErrorCode::MethodNotAllowed, format!("this path takes {allow}"));
    problem.allow = Some(allow);
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, path: &str, endpoint: Endpoint) {
        let routes = Routes::new();
        for path in [path.to_owned(), format!("{path}/")] {
            let (route, _) = routes.find(method, &path).expect(&path);
            assert_eq!(route.endpoint, endpoint, "{method} {path}");
        }
    }

    #[test]
    fn every_endpoint_is_reached_under_each_prefix() {
        for prefix in ["", "/api/v1"] {
            let get = |path: &str, endpoint| check(&Method::GET, &format!("{prefix}{path}"), endpoint);
            get("/ws", Endpoint::Socket);
            get("/ws/public", Endpoint::PublicSocket);
            get("/ws/public/abc", Endpoint::PublicSocket);
            get("/ws/stats", Endpoint::SocketStats);
            get("/ws/users/456/online", Endpoint::UserOnline);
        }
        for prefix in ["/api/v1/webhooks", "/api/webhooks"] {
            let reach = |method: &Method, path: &str, endpoint| check(method, &format!("{prefix}{path}"), endpoint);
            reach(&Method::POST, "", Endpoint::WebhookCreate);
            reach(&Method::GET, "", Endpoint::WebhookList);
            reach(&Method::GET, "/failed", Endpoint::WebhookFailed);
            reach(&Method::GET, "/42", Endpoint::WebhookGet);
            reach(&Method::PUT, "/42", Endpoint::WebhookUpdate);
            reach(&Method::DELETE, "/42", Endpoint::WebhookDelete);
            reach(&Method::POST, "/42/test", Endpoint::WebhookTest);
            reach(&Method::POST, "/42/rotate-secret", Endpoint::WebhookRotate);
            reach(&Method::POST, "/42/enable", Endpoint::WebhookEnable);
            reach(&Method::POST, "/42/resend", Endpoint::WebhookResend);
            reach(&Method::POST, "/42/deliveries/0199/resend", Endpoint::DeliveryResend);
            reach(&Method::GET, "/42/logs", Endpoint::WebhookLogs);
            reach(&Method::GET, "/42/stats", Endpoint::WebhookStats);
        }
        check(&Method::POST, "/api/v1/events", Endpoint::Publish);
        check(&Method::GET, "/api/v1/events", Endpoint::PastEvents);
        check(&Method::GET, "/api/v1/events/0199/trace", Endpoint::EventTrace);
        check(&Method::GET, "/api/v1/events/stream", Endpoint::EventStream);
        check(&Method::GET, "/api/v1/events/stream/public", Endpoint::PublicEventStream);
        check(&Method::GET, "/api/v1/events/stream/public/abc", Endpoint::PublicEventStream);
        check(&Method::POST, "/api/v1/admin/drain", Endpoint::Drain);
        check(&Method::GET, "/api/v1/presence/online", Endpoint::OnlineUsers);
        check(&Method::GET, "/api/v1/presence/7/connections", Endpoint::UserConnections);
        check(&Method::GET, "/api/v1/nodes", Endpoint::Nodes);
        check(&Method::HEAD, "/healthz", Endpoint::Health);
        for page in ["/console", "/console/app.js", "/console/client/index.js"] {
            check(&Method::GET, page, Endpoint::Console);
        }
        assert!(Routes::new().find(&Method::GET, "/").is_ok_and(|(route, _)| route.endpoint == Endpoint::Console));
        check(&Method::GET, "/api/v1/openapi.json", Endpoint::OpenApi);
        check(&Method::GET, "/api/v1/asyncapi.json", Endpoint::AsyncApi);
        check(&Method::GET, "/docs/errors.md", Endpoint::ErrorDocs);
    }

    #[test]
    fn unknown_paths_are_404_and_other_methods_405() {
        let routes = Routes::new();
        for path in ["", "/nope", "/console.js", "/api/v1", "/ws/", "//ws", "/events", "/api/webhooks/1/2/3"] {
            let code = routes.find(&Method::GET, path).map(|(route, _)| route.endpoint).map_err(|problem| problem.code);
            let expected = if path == "/ws/" { Ok(Endpoint::Socket) } else { Err(ErrorCode::NotFound) };
            assert_eq!(code, expected, "{path}");
        }
        let problem = routes.find(&Method::PATCH, "/api/webhooks/1").expect_err("no PATCH");
        assert_eq!(problem.allow.as_deref(), Some("GET, HEAD, PUT, DELETE, OPTIONS"));
        assert_eq!(routes.allowed("/api/v1/events").as_deref(), Some("POST, GET, HEAD, OPTIONS"));
        assert_eq!(routes.allowed("/nope"), None);
        for socket in ["/ws", "/api/v1/ws", "/ws/public", "/ws/public/key", "/api/v1/events/stream"] {
            let problem = routes.find(&Method::HEAD, socket).expect_err("only GET takes the connection");
            assert_eq!((problem.code, problem.allow.as_deref()), (ErrorCode::MethodNotAllowed, Some("GET, OPTIONS")));
        }
        assert!(routes.find(&Method::HEAD, "/ws/stats").is_ok());
    }

    #[test]
    fn only_the_intended_routes_are_open_and_agents_neither_publish_nor_see_webhooks() {
        for route in ROUTES {
            let may = |role| matches!(route.access, Access::Tenant(roles) if roles.contains(&role));
            match route.endpoint {
                Endpoint::PublicSocket | Endpoint::PublicEventStream => assert_eq!(route.access, Access::Session),
                Endpoint::Console | Endpoint::Health | Endpoint::Ready | Endpoint::Metrics => {
                    assert_eq!(route.access, Access::Node);
                }
                endpoint if endpoint.is_description() => assert_eq!(route.access, Access::Node),
                Endpoint::Drain => assert_eq!(route.access, Access::Operator(&[Role::Admin, Role::Service])),
                _ => {
                    assert!(may(Role::Service) && may(Role::Admin), "{route:?}");
                    let is_for_services = route.method != Method::GET
                        || matches!(route.endpoint, Endpoint::PastEvents | Endpoint::EventTrace);
                    assert_eq!(may(Role::Supervisor), !is_for_services, "{route:?}");
                    let is_for_agents = route.path.starts_with("/ws")
                        || matches!(route.endpoint, Endpoint::OnlineUsers | Endpoint::EventStream);
                    // Figures of nodes and addresses of people are for whoever supervises.
                    assert_eq!(may(Role::Agent), is_for_agents, "{route:?}");
                }
            }
        }
    }
}
