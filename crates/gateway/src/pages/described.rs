//! What these pages answer, and how connections are opened, for the catalogue.

use hookswitch_protocol::{ErrorCode, EventId, SessionKey, UserId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::health::Page as HealthPage;
use super::nodes::Nodes;
use super::past_events::Page;
use super::presence::{SocketStats, UserConnections, UserOnline};
use super::trace::Trace;
use crate::catalogue::operation::{Operation, operation};
use crate::gateway::Draining;
use crate::routes::Endpoint;

/// That the process answers.
#[derive(Debug, Serialize, JsonSchema)]
struct Alive {
    /// `ok`.
    status: String,
}

pub(crate) fn operations() -> Vec<Operation> {
    [presence(), history(), connections(), node(), descriptions()].into_iter().flatten().collect()
}

fn presence() -> Vec<Operation> {
    let unavailable = ErrorCode::StorageUnavailable;
    vec![
        operation(Endpoint::SocketStats, "How many connections there are")
            .bare::<SocketStats>(200, "Their numbers, without the envelope."),
        operation(Endpoint::UserOnline, "Whether a user is connected to any node")
            .path::<UserId>("user_id", "The user, percent-encoded.", json!({}))
            .bare::<UserOnline<'_>>(200, "Whether, and how often, without the envelope.")
            .fails(&[ErrorCode::InvalidField, unavailable]),
        operation(Endpoint::OnlineUsers, "Who is connected to any node")
            .answers::<Vec<UserId>>(200, "The ids of the tenant's users.")
            .fails(&[unavailable]),
        operation(Endpoint::UserConnections, "Which connections a user has")
            .details("Since when, to which node, from where; over all nodes.")
            .path::<UserId>("user_id", "The user, percent-encoded.", json!({}))
            .answers::<UserConnections>(200, "The open ones, at most 100 of each node.")
            .fails(&[ErrorCode::InvalidField, ErrorCode::Overloaded]),
    ]
}

fn history() -> Vec<Operation> {
    vec![
        operation(Endpoint::PastEvents, "What happened behind a position")
            .details(
                "As far as recent history reaches (`HISTORY_*`), for programs that compare it with what they know.",
            )
            .query::<String>("after", "A position; without one no events, and where to begin.", json!({}))
            .query::<u32>(
                "limit",
                "Most events in the answer.",
                json!({"minimum": 1, "maximum": 1_000, "default": 100}),
            )
            .answers::<Page>(200, "The events, at most 1 MiB of them, and where to go on.")
            .fails(&[ErrorCode::InvalidField, ErrorCode::NotRecovered]),
        operation(Endpoint::EventTrace, "What became of an event")
            .details(
                "Put together when it is asked for. Connections are told of as far as recent history reaches \
                 (`HISTORY_*`), deliveries as long as they are retained.",
            )
            .path::<EventId>("id", "The event's id.", json!({}))
            .query::<UserId>("user_id", "A user, to be told of his connections.", json!({}))
            .answers::<Trace>(200, "What is known of it.")
            .fails(&[ErrorCode::InvalidField, ErrorCode::NotFound, ErrorCode::Overloaded]),
    ]
}

/// They are opened over HTTP; what is said then, AsyncAPI describes.
fn connections() -> Vec<Operation> {
    let shared = [ErrorCode::InvalidField, ErrorCode::TooManyNames, ErrorCode::OriginRefused];
    let user = [&shared[..], &[ErrorCode::TooManyConnections]].concat();
    let visitor = [&user[..], &[ErrorCode::UnknownSession]].concat();
    let upgrade = [ErrorCode::UpgradeRequired];
    vec![
        operation(Endpoint::Socket, "A user's connection")
            .opens(101, "Every event that the user may see, from now on.")
            .with_beginning()
            .fails(&[&user[..], &upgrade].concat()),
        operation(Endpoint::PublicSocket, "A visitor's connection to one chat session")
            .opens(101, "The events of that session, from now on.")
            .with_beginning()
            .of_session()
            .fails(&[&visitor[..], &upgrade].concat()),
        operation(Endpoint::EventStream, "A user's connection, as server-sent events")
            .opens(200, "Every event that the user may see, from now on.")
            .with_beginning()
            .fails(&user),
        operation(Endpoint::PublicEventStream, "A visitor's connection to one chat session, as server-sent events")
            .opens(200, "The events of that session, from now on.")
            .with_beginning()
            .of_session()
            .fails(&visitor),
    ]
}

fn node() -> Vec<Operation> {
    vec![
        operation(Endpoint::Drain, "Take the node out of service")
            .answers::<Draining>(202, "It sends its connections elsewhere from now on."),
        operation(Endpoint::Nodes, "How the nodes are")
            .details("Figures of whole nodes, over all tenants: none is named.")
            .answers::<Nodes>(200, "What each says of itself.")
            .fails(&[ErrorCode::Overloaded]),
        operation(Endpoint::Health, "Whether the process answers").bare::<Alive>(200, "It does."),
        operation(Endpoint::Ready, "Whether events published here reach everybody")
            .bare::<HealthPage<'_>>(200, "They do.")
            .bare::<HealthPage<'_>>(503, "They may not, or the node drains: why."),
        operation(Endpoint::Metrics, "What the node has counted").text(
            200,
            "text/plain",
            "In Prometheus' format, or `OpenMetrics` for those who ask for it.",
        ),
    ]
}

fn descriptions() -> Vec<Operation> {
    let unchanged = "It is what `If-None-Match` names.";
    vec![
        operation(Endpoint::OpenApi, "This description: REST as OpenAPI 3.1")
            .text(200, "application/json", "The description.")
            .empty(304, unchanged),
        operation(Endpoint::AsyncApi, "Messages as AsyncAPI 3.0")
            .details("Of WebSockets, event streams and webhooks.")
            .text(200, "application/json", "The description.")
            .empty(304, unchanged),
        operation(Endpoint::ErrorDocs, "What each error means, and what to do")
            .text(200, "text/plain", "The page that `error.docs` leads to.")
            .empty(304, unchanged),
    ]
}

impl Operation {
    fn with_beginning(self) -> Self {
        self.query::<String>("events", "A subscription in force from the first event on: names, by commas.", json!({}))
            .query::<String>("topics", "Another name for `events`.", json!({}))
            .query::<String>("resume", "The last position: what was missed since comes first.", json!({}))
    }

    fn of_session(self) -> Self {
        self.path::<SessionKey>("session_key", "The key of the chat session, percent-encoded.", json!({}))
    }
}
