//! From an admitted request to the handler of its route.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use hookswitch_hub::{Attachment, HubError, PendingConnection, Subject, WireForm};
use hookswitch_protocol::{Chain, ErrorCode, SessionKey, TenantId};
use hookswitch_switch::AcceptError;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use hyper::upgrade::OnUpgrade;

use crate::auth::Principal;
use crate::config::{ORIGINS_SETTING, PUBLIC_ORIGINS_SETTING};
use crate::gateway::{Admitted, Caller, Gateway, Server};
use crate::http::{
    Answer, Body, BodyPermit, BoxError, Problem, Query, ReadLimits, check_encoding, decode_segment, json_text,
    plus_as_space, read_body,
};
use crate::log_budget::LogKind;
use crate::origin::AllowedOrigins;
use crate::routes::Endpoint;
use crate::transports::event_stream::{self, EventStreamForm};
use crate::transports::websocket::{
    CommandHandler, Compression, HandOver, Handshake, Holder, Refusal, WebSocketForm, close_of, hand_over,
    switching_protocols,
};
use crate::transports::{last_event, resume, subscription};

use crate::webhooks_api::WebhookCall;
use crate::{pages, publish};

type Answered = Result<Response<Body>, Problem>;

impl Gateway {
    pub(crate) async fn dispatch<B>(&self, mut head: Parts, body: B, caller: Caller<'_>, answer: &Answer) -> Answered
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BoxError>,
    {
        let mut upgrade = head.extensions.remove::<OnUpgrade>();
        let answered = self.dispatch_checked(&head, body, caller, &mut upgrade, answer).await;
        answered.or_else(|problem| self.refuse(problem, &head, upgrade))
    }

    async fn dispatch_checked<B>(
        &self,
        head: &Parts,
        body: B,
        caller: Caller<'_>,
        upgrade: &mut Option<OnUpgrade>,
        answer: &Answer,
    ) -> Answered
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BoxError>,
    {
        let inner = &*self.0;
        let (path, query) = (head.uri.path(), head.uri.query());
        let admitted = inner.admit(&head.method, path, query, &head.headers, caller.peer).await?;
        let query = Query::new(query);
        let Some(principal) = admitted.principal.as_deref() else {
            return self.open_page(&admitted, query, head, caller, upgrade).await;
        };
        // What is read of the body counts until the answer is there.
        let mut room = inner.body_permits.of(&principal.tenant);
        match admitted.route.endpoint {
            Endpoint::Socket => {
                let who =
                    Attachment { address: Some(caller.peer.ip()), ..self.user(&admitted, principal, query, head)? };
                self.upgrade(who, head, upgrade).await
            }
            Endpoint::EventStream => {
                let who = self.user(&admitted, principal, query, head)?;
                let who = Attachment { address: Some(caller.peer.ip()), ..who };
                self.open_stream(Attachment { resume: last_event(&head.headers, query), ..who }, head, caller).await
            }
            Endpoint::SocketStats => Ok(pages::socket_stats(inner.hub(), principal)),
            Endpoint::UserOnline => pages::user_online(inner.hub(), principal, admitted.params.get("user_id")).await,
            Endpoint::Drain => Ok(self.start_drain(principal, caller.peer, answer)),
            Endpoint::OnlineUsers => pages::online_users(inner.hub(), &inner.online_lists, principal, answer).await,
            Endpoint::PastEvents => pages::past_events(inner.hub(), principal, query, answer),
            Endpoint::UserConnections => {
                pages::user_connections(inner.hub(), principal, admitted.params.get("user_id"), answer).await
            }
            Endpoint::Nodes => pages::nodes(inner.hub(), principal, answer).await,
            Endpoint::EventTrace => {
                let id = admitted.params.get("id");
                Box::pin(pages::trace(&inner.parts.switch, principal, id, query, answer)).await
            }
            Endpoint::Publish => {
                let body = self.read(&head.headers, body, inner.config.publish_body_bytes, &mut room).await;
                self.publish(principal, caller, body, answer).await
            }
            _ => {
                let body = self.read(&head.headers, body, inner.config.body_bytes, &mut room);
                Box::pin(self.webhook(&admitted, principal, query, body, answer)).await
            }
        }
    }

    /// Routes without a token.
    async fn open_page(
        &self,
        admitted: &Admitted<'_>,
        query: Query<'_>,
        head: &Parts,
        caller: Caller<'_>,
        upgrade: &mut Option<OnUpgrade>,
    ) -> Answered {
        let inner = &*self.0;
        match admitted.route.endpoint {
            Endpoint::PublicSocket => {
                let who = self.visitor(admitted, query, head).await?;
                self.upgrade(who, head, upgrade).await
            }
            Endpoint::PublicEventStream => {
                let who = self.visitor(admitted, query, head).await?;
                self.open_stream(Attachment { resume: last_event(&head.headers, query), ..who }, head, caller).await
            }
            Endpoint::Ready => Ok(inner.readiness.page(&inner.parts.health, inner.hub().is_draining()).await),
            Endpoint::Console => pages::console(inner.config.console, admitted.params.get("file")),
            Endpoint::Metrics => Ok(pages::metrics(&inner.registry, &head.headers)),
            Endpoint::OpenApi => Ok(pages::OPENAPI.answer(&head.headers)),
            Endpoint::AsyncApi => Ok(pages::ASYNCAPI.answer(&head.headers)),
            Endpoint::ErrorDocs => Ok(pages::ERRORS.answer(&head.headers)),
            _ => Ok(pages::healthy()),
        }
    }

    /// A body as its handler wants it, not yet parsed.
    async fn read<B>(
        &self,
        headers: &HeaderMap,
        body: B,
        max_bytes: usize,
        room: &mut BodyPermit,
    ) -> Result<Bytes, Problem>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let deadline = self.0.config.body_deadline;
        let limits = ReadLimits { max_bytes, deadline, within: self.0.parts.scope.clone() };
        let body = read_body(body, limits, room).await.inspect_err(|problem| {
            if problem.code == ErrorCode::Overloaded {
                self.0.metrics.bodies_refused.inc();
            }
        })?;
        check_encoding(headers, &body)?;
        Ok(body)
    }

    async fn publish(
        &self,
        principal: &Principal,
        caller: Caller<'_>,
        body: Result<Bytes, Problem>,
        answer: &Answer,
    ) -> Answered {
        let inner = &*self.0;
        let parsed = body.and_then(|body| publish::parse(&body));
        // What the switchboard refuses, it counts itself.
        let (events, is_batch) = parsed.inspect_err(|problem| inner.parts.switch.count_refusal(problem.code))?;
        if let (Some(placement), Some(first)) = (caller.placement, events.first()) {
            placement.published(&inner.parts.switch, &principal.tenant, first);
        }
        let warnings = publish::slips(&events, is_batch);
        let accepted = inner.parts.switch.accept(&principal.tenant, events).await;
        let ids = accepted.map_err(|error| not_accepted(&error, is_batch, principal, answer))?;
        Ok(answer.success_with(StatusCode::ACCEPTED, publish::Accepted { ids }, warnings))
    }

    /// `body` is read only where it is known whose webhook it is for.
    async fn webhook(
        &self,
        admitted: &Admitted<'_>,
        principal: &Principal,
        query: Query<'_>,
        body: impl Future<Output = Result<Bytes, Problem>>,
        answer: &Answer,
    ) -> Answered {
        let inner = &*self.0;
        let call = WebhookCall { webhooks: inner.parts.switch.webhooks(), tenant: &principal.tenant, answer, query };
        let body = async {
            let body = body.await?;
            if !body.is_empty() {
                json_text(&body).map_err(|(problem, _)| problem)?;
            }
            Ok(body)
        };
        call.answered(admitted.route.endpoint, &admitted.params, body).await
    }

    /// Who connects with a token.
    fn user(
        &self,
        admitted: &Admitted<'_>,
        principal: &Principal,
        query: Query<'_>,
        head: &Parts,
    ) -> Result<Attachment, Problem> {
        self.check_origin(&self.0.config.origins, ORIGINS_SETTING, admitted, head)?;
        let who = Attachment::new(principal.tenant.clone(), Subject::User(principal.user.clone()));
        Ok(Attachment {
            clearance: principal.clearance(),
            expires_at: Some(principal.expires_at),
            subscription: subscription(query)?,
            resume: resume(query),
            ..who
        })
    }

    /// Who connects with the key of a chat session.
    async fn visitor(&self, admitted: &Admitted<'_>, query: Query<'_>, head: &Parts) -> Result<Attachment, Problem> {
        self.check_origin(&self.0.config.public_origins, PUBLIC_ORIGINS_SETTING, admitted, head)?;
        let names = session_names(admitted.params.get("session_key"), query);
        let mut session = None;
        for key in names.iter().flatten().filter_map(|name| SessionKey::parse(name).ok()) {
            session = self.0.hub().sessions().find(&key).await;
            if session.is_some() {
                break;
            }
        }
        let session = session.ok_or_else(unknown_session)?;
        let who = Attachment::new(session.tenant, Subject::Visitor(session.key));
        Ok(Attachment { subscription: subscription(query)?, resume: resume(query), ..who })
    }

    fn check_origin(
        &self,
        rule: &AllowedOrigins,
        setting: &'static str,
        admitted: &Admitted<'_>,
        head: &Parts,
    ) -> Result<(), Problem> {
        if rule.allow(&head.headers) {
            return Ok(());
        }
        self.0.metrics.refused_origins.inc();
        // The path itself may hold a session key, which opens the session to whoever reads it.
        let (refused, path) = (rule.refusal(&head.headers, setting), admitted.route.path);
        let (origin, host, remedy) = (&refused.origin, &refused.wanted, refused.remedy());
        tracing::warn!(target: "hookswitch::security", origin, host, path, remedy, "origin refused");
        Err(Problem::new(ErrorCode::OriginRefused, refused.to_string()))
    }

    /// Puts the connection into the hub's tables, then answers 101, then hands the socket over: an
    /// event published right after the client has the 101 cannot be missed.
    async fn upgrade(&self, who: Attachment, head: &Parts, upgrade: &mut Option<OnUpgrade>) -> Answered {
        let inner = &*self.0;
        let compression = if inner.deflate_form.is_some() { Compression::Taken } else { Compression::Declined };
        let handshake = Handshake::check(head.version, &head.headers, compression)?;
        let no_upgrades = || {
            tracing::error!("the HTTP server in front of the gateway serves without upgrades");
            Problem::internal()
        };
        let holder = Holder { tenant: who.tenant.clone(), subject: who.subject.clone(), clearance: who.clearance };
        let form: &'static dyn WireForm = match inner.deflate_form {
            Some(form) if handshake.compresses() => form,
            _ => &WebSocketForm,
        };
        let pending = self.attach(who, form).await?;
        let upgrade = upgrade.take().ok_or_else(no_upgrades)?;
        let (commands, context) = (CommandHandler::new(holder), Arc::clone(&inner.sockets));
        let (compresses, deadline) = (handshake.compresses(), inner.config.upgrade_deadline);
        let to = HandOver { pending, commands, context, compresses, deadline };
        inner.parts.scope.spawn_contained("upgrade", hand_over(upgrade, to));
        Ok(switching_protocols(handshake))
    }

    /// The answer to a refused request, as the client of its endpoint reads refusals.
    fn refuse(&self, problem: Problem, head: &Parts, upgrade: Option<OnUpgrade>) -> Answered {
        let inner = &*self.0;
        match inner.routes.find(&head.method, head.uri.path()).map(|(route, _)| route.endpoint) {
            Ok(Endpoint::EventStream | Endpoint::PublicEventStream) => {
                event_stream::refused(problem, event_stream::is_return(&head.headers))
            }
            Ok(Endpoint::Socket | Endpoint::PublicSocket) => self.refuse_socket(problem, head, upgrade),
            _ => Err(problem),
        }
    }

    /// By a close, where the client asks for that and the handshake can be answered at all.
    fn refuse_socket(&self, problem: Problem, head: &Parts, upgrade: Option<OnUpgrade>) -> Answered {
        let inner = &*self.0;
        let handshake = Handshake::check(head.version, &head.headers, Compression::Declined);
        let told = handshake.ok().filter(Handshake::is_told_by_close).zip(close_of(&problem)).zip(upgrade);
        let Some(((handshake, frame), upgrade)) = told else { return Err(problem) };
        let (deadline, linger) = (inner.config.upgrade_deadline, inner.config.linger);
        let refusal = Refusal { frame, counted: inner.http_connections.hold(), deadline, linger };
        let scope = &inner.parts.scope;
        scope.spawn_contained("refused upgrade", refusal.tell(upgrade, scope.clone()));
        Ok(switching_protocols(handshake))
    }

    /// The same for an event stream: the head of its answer goes out when the connection is in the tables. What the
    /// client has seen last, `Last-Event-ID`, is among the headers.
    async fn open_stream(&self, who: Attachment, head: &Parts, caller: Caller<'_>) -> Answered {
        let inner = &*self.0;
        if caller.server == Server::Foreign {
            tracing::error!("event streams are served by the gateway's own HTTP server only");
            return Err(Problem::not_found("event streams are not served here"));
        }
        let form = EventStreamForm::of(head.version);
        let pending = self.attach(who, form).await?;
        let context = Arc::clone(&inner.sockets);
        let to = event_stream::HandOver { pending, form, context, deadline: inner.config.upgrade_deadline };
        Ok(event_stream::opened(form, event_stream::Stream::new(to)))
    }

    async fn attach(&self, who: Attachment, form: &'static dyn WireForm) -> Result<PendingConnection, Problem> {
        let inner = &*self.0;
        let visited = match &who.subject {
            Subject::Visitor(key) => Some(key.clone()),
            Subject::User(_) => None,
        };
        let tenant = who.tenant.clone();
        let pending = inner.parts.admission.attach(who, form).await;
        let pending = pending.map_err(|error| self.not_attached(&tenant, &error))?;
        // Had the session ended just before this connection was in the tables, its last event would
        // have gone by and nothing would ever close it.
        if let Some(key) = visited
            && inner.hub().sessions().find(&key).await.is_none()
        {
            return Err(unknown_session());
        }
        Ok(pending)
    }

    fn not_attached(&self, tenant: &TenantId, error: &HubError) -> Problem {
        if let HubError::TooManyConnections { cap, limit } = error {
            self.0.metrics.refused_upgrades.inc(cap.as_str());
            if self.0.log_budget.allows(LogKind::TooManyConnections) {
                tracing::warn!(%tenant, cap = cap.as_str(), limit, "a connection was refused: there are too many");
            }
        } else {
            tracing::debug!(error = %Chain(error), "a connection was refused");
        }
        Problem::new(error.code(), error.to_string())
    }
}

/// How a request names a chat session, in each way that it may be meant, the likelier first: in a path a plus is a
/// plus; in a query browsers mean a space by it, and scripts that paste a key as it is mean a plus.
fn session_names(segment: Option<&str>, query: Query<'_>) -> [Option<String>; 2] {
    let readings = match segment {
        Some(segment) => {
            let of_form = plus_as_space(segment);
            [
                decode_segment(segment).map(Cow::into_owned),
                of_form.as_deref().and_then(decode_segment).map(Cow::into_owned),
            ]
        }
        None => [query.get("session_id").map(Cow::into_owned), query.get_plain("session_id").map(Cow::into_owned)],
    };
    match readings {
        [first, second] if first == second => [first, None],
        readings => readings,
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
    let message = match error {
        AcceptError::Partly { n_stored, n_events, .. } if n_stored == n_events => {
            format!(
                "{message}; all {n_events} events are stored, but may have missed who is connected: do not send them again"
            )
        }
        AcceptError::Partly { n_stored, n_events, .. } => {
            format!("{message}; the first {n_stored} of {n_events} events were accepted: send only the others again")
        }
        _ if (400..500).contains(&code.number()) => format!("{message}; nothing was accepted, try again"),
        _ => message,
    };
    Problem::new(code, message).with_entry(index, field)
}
