//! From an admitted request to the handler of its route.

use std::sync::Arc;

use bytes::Bytes;
use hookswitch_hub::{Attachment, Clearance, Subject};
use hookswitch_protocol::{Chain, ErrorCode, EventId, SessionKey};
use hookswitch_switch::AcceptError;
use http::{Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use serde::Serialize;

use crate::auth::{Principal, Role};
use crate::gateway::{Admitted, Caller, Gateway};
use crate::http::{Answer, Body, BoxError, Problem, Query, decode_segment, read_body};
use crate::origin::AllowedOrigins;
use crate::routes::Endpoint;
use crate::transports::websocket::{
    CommandHandler, HandOver, Handshake, WebSocketForm, hand_over, subscription, switching_protocols,
};

use crate::webhooks_api::WebhookCall;
use crate::{pages, publish};

type Answered = Result<Response<Body>, Problem>;

#[derive(Serialize)]
struct Accepted {
    ids: Vec<EventId>,
}

impl Gateway {
    pub(crate) async fn dispatch<B>(&self, mut request: Request<B>, caller: Caller<'_>, answer: &Answer) -> Answered
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let inner = &*self.0;
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let (head, body) = request.into_parts();
        let (path, query) = (head.uri.path(), head.uri.query());
        let admitted = inner.admit(&head.method, path, query, &head.headers, caller.peer).await?;
        let query = Query::new(query);
        let Some(principal) = admitted.principal.as_deref() else {
            return self.open_page(&admitted, query, &head, upgrade).await;
        };
        match admitted.route.endpoint {
            Endpoint::Socket => self.user_socket(&admitted, principal, query, &head, upgrade).await,
            Endpoint::SocketStats => Ok(pages::socket_stats(inner.hub(), principal)),
            Endpoint::UserOnline => pages::user_online(inner.hub(), principal, admitted.params.get("user_id")).await,
            Endpoint::OnlineUsers => pages::online_users(inner.hub(), principal, answer).await,
            Endpoint::Publish => self.publish(principal, caller, body, answer).await,
            _ => self.webhook(&admitted, principal, query, body, answer).await,
        }
    }

    /// Routes without a token.
    async fn open_page(
        &self,
        admitted: &Admitted<'_>,
        query: Query<'_>,
        head: &http::request::Parts,
        upgrade: Option<OnUpgrade>,
    ) -> Answered {
        let inner = &*self.0;
        match admitted.route.endpoint {
            Endpoint::PublicSocket => {
                let key = admitted.params.get("session_key").map(decode_segment);
                let key = key.unwrap_or_else(|| query.get("session_id"));
                self.visitor_socket(admitted, key.as_deref(), query, head, upgrade).await
            }
            Endpoint::Ready => Ok(inner.readiness.page(&inner.parts.health, inner.hub().is_draining()).await),
            Endpoint::Metrics => Ok(pages::metrics(&inner.registry, &head.headers)),
            _ => Ok(pages::healthy()),
        }
    }

    async fn publish<B>(&self, principal: &Principal, caller: Caller<'_>, body: B, answer: &Answer) -> Answered
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let inner = &*self.0;
        let body = read_body(body, inner.config.publish_body_bytes, inner.config.body_deadline).await;
        let parsed = body.and_then(|body| publish::parse(&body));
        // What the switchboard refuses, it counts itself.
        let (events, is_batch) = parsed.inspect_err(|problem| inner.parts.switch.count_refusal(problem.code))?;
        if let (Some(placement), Some(first)) = (caller.placement, events.first()) {
            placement.published(&inner.parts.switch, &principal.tenant, first);
        }
        let accepted = inner.parts.switch.accept(&principal.tenant, events).await;
        let ids = accepted.map_err(|error| not_accepted(&error, is_batch, principal, answer))?;
        Ok(answer.success(StatusCode::ACCEPTED, Accepted { ids }, None))
    }

    async fn webhook<B>(
        &self,
        admitted: &Admitted<'_>,
        principal: &Principal,
        query: Query<'_>,
        body: B,
        answer: &Answer,
    ) -> Answered
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let inner = &*self.0;
        let call = WebhookCall { webhooks: inner.parts.switch.webhooks(), tenant: &principal.tenant, answer, query };
        let body = read_body(body, inner.config.body_bytes, inner.config.body_deadline);
        call.answered(admitted.route.endpoint, &admitted.params, body).await
    }

    /// `GET /ws`.
    async fn user_socket(
        &self,
        admitted: &Admitted<'_>,
        principal: &Principal,
        query: Query<'_>,
        head: &http::request::Parts,
        upgrade: Option<OnUpgrade>,
    ) -> Answered {
        self.check_origin(&self.0.config.origins, admitted, head)?;
        let who = Attachment {
            tenant: principal.tenant.clone(),
            subject: Subject::User(principal.user.clone()),
            clearance: if principal.role == Role::Admin { Clearance::Admin } else { Clearance::Standard },
            expires_at: Some(principal.expires_at),
            subscription: subscription(query)?,
        };
        self.upgrade(who, head, upgrade).await
    }

    /// `GET /ws/public/{session_key}`.
    async fn visitor_socket(
        &self,
        admitted: &Admitted<'_>,
        key: Option<&str>,
        query: Query<'_>,
        head: &http::request::Parts,
        upgrade: Option<OnUpgrade>,
    ) -> Answered {
        self.check_origin(&self.0.config.public_origins, admitted, head)?;
        let key = key.and_then(|key| SessionKey::parse(key).ok()).ok_or_else(unknown_session)?;
        let session = self.0.hub().sessions().find(&key).await.ok_or_else(unknown_session)?;
        let who = Attachment {
            tenant: session.tenant,
            subject: Subject::Visitor(session.key),
            clearance: Clearance::Standard,
            expires_at: None,
            subscription: subscription(query)?,
        };
        self.upgrade(who, head, upgrade).await
    }

    fn check_origin(
        &self,
        rule: &AllowedOrigins,
        admitted: &Admitted<'_>,
        head: &http::request::Parts,
    ) -> Result<(), Problem> {
        if self.0.hub().is_draining() {
            return Err(Problem::draining());
        }
        if rule.allow(&head.headers) {
            return Ok(());
        }
        self.0.metrics.refused_origins.inc();
        // The path itself may hold a session key, which opens the session to whoever reads it.
        let (origin, path) = (head.headers.get(http::header::ORIGIN), admitted.route.path);
        tracing::warn!(target: "hookswitch::security", ?origin, path, "origin refused");
        Err(Problem::new(ErrorCode::OriginRefused, "this page's origin is not allowed"))
    }

    /// Puts the connection into the hub's tables, then answers 101, then hands the socket over: an
    /// event published right after the client has the 101 cannot be missed.
    async fn upgrade(&self, who: Attachment, head: &http::request::Parts, upgrade: Option<OnUpgrade>) -> Answered {
        let inner = &*self.0;
        let handshake = Handshake::check(head.version, &head.headers)?;
        let upgrade = upgrade.ok_or_else(|| {
            tracing::error!("the HTTP server in front of the gateway serves without upgrades");
            Problem::internal()
        })?;
        let commands = CommandHandler::new(who.tenant.clone(), who.subject.clone());
        let visited = match &who.subject {
            Subject::Visitor(key) => Some(key.clone()),
            Subject::User(_) => None,
        };
        let pending = inner.parts.admission.attach(who, &WebSocketForm).await.map_err(|error| {
            tracing::debug!(error = %Chain(&error), "a connection was refused");
            Problem::new(error.code(), error.to_string())
        })?;
        // Had the session ended just before this connection was in the tables, its last event would
        // have gone by and nothing would ever close it.
        if let Some(key) = visited
            && inner.hub().sessions().find(&key).await.is_none()
        {
            return Err(unknown_session());
        }
        let context = Arc::clone(&inner.sockets);
        let to = HandOver { pending, commands, context, deadline: inner.config.upgrade_deadline };
        inner.parts.scope.spawn_contained("upgrade", hand_over(upgrade, to));
        Ok(switching_protocols(handshake))
    }
}

fn unknown_session() -> Problem {
    Problem::new(ErrorCode::UnknownSession, "there is no such chat session, or it has ended")
}

/// The refusal of a whole request, naming the entry that caused it where there is one.
fn not_accepted(error: &AcceptError, is_batch: bool, principal: &Principal, answer: &Answer) -> Problem {
    let code = error.code();
    if code.number() >= 500 {
        tracing::error!(tenant = %principal.tenant, request_id = %answer.request_id, error = %Chain(error), "publishing failed");
    } else if code.number() >= 400 {
        tracing::warn!(tenant = %principal.tenant, request_id = %answer.request_id, error = %Chain(error), "publishing refused");
    }
    let (index, field) = (error.index().filter(|_| is_batch), error.field());
    let message = match (index, field) {
        // Which store could not do what is for the log; the caller need not know the inside.
        _ if code == ErrorCode::StorageUnavailable => "the database cannot be used now".to_owned(),
        (Some(index), Some(_)) => format!("events[{index}].{error}"),
        (Some(index), None) => format!("events[{index}]: {error}"),
        (None, _) => error.to_string(),
    };
    let message = match code.number() {
        400..500 => format!("{message}; nothing was accepted, try again"),
        _ => message,
    };
    Problem::new(code, message).with_entry(index, field)
}
