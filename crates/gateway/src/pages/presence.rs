//! Who is connected.

use hookswitch_hub::{ConnectionReport, Hub, PresenceError, PresenceState, UserKey};
use hookswitch_protocol::{Chain, ErrorCode, NodeId, TenantId, UserId};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::auth::Principal;
use crate::http::{Answer, Body, Problem, decode_segment};
use crate::pages::online_lists::{ListError, OnlineLists};
use crate::pages::trace::{Connection, somebody, too_many_ask};

/// Open connections to this node.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct SocketStats {
    /// Of the tenant.
    tenant_connections: usize,
    /// Of all tenants, visitors included.
    total_connections: usize,
}

/// `GET /ws/stats`: the one page with a figure that spans tenants.
pub(crate) fn socket_stats(hub: &Hub, principal: &Principal) -> Response<Body> {
    Answer::bare(SocketStats {
        tenant_connections: hub.n_tenant_connections(&principal.tenant),
        total_connections: hub.n_connections(),
    })
}

/// Whether a user is connected, over all nodes.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct UserOnline<'a> {
    user_id: &'a UserId,
    is_online: bool,
    connection_count: u32,
}

/// `GET /ws/users/{user_id}/online`: cluster-wide, within the caller's tenant.
pub(crate) async fn user_online(
    hub: &Hub,
    principal: &Principal,
    segment: Option<&str>,
) -> Result<Response<Body>, Problem> {
    let user = segment.and_then(decode_segment);
    let user = user.ok_or_else(|| Problem::field("user_id", "must be percent-encoded UTF-8"))?;
    let user = UserId::parse(&user).map_err(|invalid| Problem::field(invalid.field, &invalid.problem))?;
    if user.is_zero() {
        return Err(Problem::field("user_id", "must not be 0: nobody is"));
    }
    let key = UserKey { tenant: principal.tenant.clone(), user };
    let presence = hub.presence(&key).await.map_err(|error| unavailable(&principal.tenant, &error))?;
    Ok(Answer::bare(UserOnline {
        user_id: &key.user,
        is_online: presence.state != PresenceState::Offline,
        connection_count: presence.n_connections,
    }))
}

/// A user's open connections.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct UserConnections {
    user_id: UserId,
    /// Node by node, newest first.
    connections: Vec<Connection>,
    /// Whether there may be more: some nodes are silent, or Redis is away.
    partial: bool,
    /// Nodes that did not answer in time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    silent: Vec<NodeId>,
}

/// `GET /api/v1/presence/{user_id}/connections`: over all nodes, within the caller's tenant.
pub(crate) async fn user_connections(
    hub: &Hub,
    principal: &Principal,
    segment: Option<&str>,
    answer: &Answer,
) -> Result<Response<Body>, Problem> {
    let user = segment.and_then(decode_segment);
    let user = somebody(&user.ok_or_else(|| Problem::field("user_id", "must be percent-encoded UTF-8"))?)?;
    let key = UserKey { tenant: principal.tenant.clone(), user };
    let told = hub.inspect().connections(&key).await.map_err(|_| too_many_ask())?;
    let partial = told.is_partial();
    let of_node = |(node, reports): (NodeId, Vec<ConnectionReport>)| {
        reports.into_iter().map(move |report| Connection::new(&node, report))
    };
    let connections = told.told.into_iter().flat_map(of_node).collect();
    let told = UserConnections { user_id: key.user, connections, partial, silent: told.silent };
    Ok(answer.success(StatusCode::OK, told, None))
}

/// `GET /api/v1/presence/online`: the ids of the tenant's users with a connection on any node.
pub(crate) async fn online_users(
    hub: &Hub,
    lists: &OnlineLists,
    principal: &Principal,
    answer: &Answer,
) -> Result<Response<Body>, Problem> {
    let tenant = &principal.tenant;
    let users = lists.get(tenant, || hub.online_users(tenant)).await.map_err(|error| match error {
        ListError::Presence(error) => unavailable(tenant, &error),
        ListError::Overloaded => Problem::new(ErrorCode::Overloaded, "too many ask who is online; try again"),
        ListError::Ending => Problem::draining(),
    })?;
    Ok(answer.success(StatusCode::OK, &*users, None))
}

fn unavailable(tenant: &TenantId, error: &PresenceError) -> Problem {
    tracing::warn!(%tenant, error = %Chain(error), "presence cannot be read");
    Problem::new(ErrorCode::StorageUnavailable, "presence is not known now")
}
