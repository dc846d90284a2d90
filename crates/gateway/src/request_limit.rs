//! How many requests a tenant may make per second on this node, by kind of request.

mod buckets;

use std::num::NonZeroU32;

use hookswitch_protocol::{TenantId, UserId};

use crate::auth::{Principal, Role};
use crate::routes::Endpoint;
use buckets::Buckets;

/// The part of the rate that one agent of a tenant may use up alone.
const AGENT_PART: u32 = 4;

/// Every kind of request has the whole rate for itself, so that pages which poll take nothing from the services
/// that publish.
#[derive(Debug)]
pub(crate) struct RequestLimit {
    per_second: NonZeroU32,
    publishing: Buckets<TenantId>,
    managing: Buckets<TenantId>,
    reading: Buckets<TenantId>,
    reading_agents: Buckets<(TenantId, UserId)>,
}

/// A rate that was exceeded, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) per_second: NonZeroU32,
    pub(crate) who: &'static str,
}

impl RequestLimit {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let of_agent = NonZeroU32::new(per_second.get().div_ceil(AGENT_PART)).unwrap_or(NonZeroU32::MIN);
        Self {
            per_second,
            publishing: Buckets::new(per_second),
            managing: Buckets::new(per_second),
            reading: Buckets::new(per_second),
            reading_agents: Buckets::new(of_agent),
        }
    }

    /// Takes one request, if there is room for it. A new WebSocket or event stream is none: after a restart a tenant's
    /// agents come all at once, and must.
    pub(crate) fn admit(&self, principal: &Principal, endpoint: Endpoint) -> Result<(), Exceeded> {
        let tenant = &principal.tenant;
        let of_tenant = |is_admitted: bool| {
            let exceeded = Exceeded { per_second: self.per_second, who: "the tenant" };
            if is_admitted { Ok(()) } else { Err(exceeded) }
        };
        match (endpoint, principal.role) {
            (Endpoint::Socket | Endpoint::PublicSocket | Endpoint::EventStream | Endpoint::PublicEventStream, _) => {
                Ok(())
            }
            (Endpoint::Publish, _) => of_tenant(self.publishing.admit(tenant)),
            (_, Role::Agent) => {
                if !self.reading_agents.admit(&(tenant.clone(), principal.user.clone())) {
                    return Err(Exceeded { per_second: self.reading_agents.per_second(), who: "this agent" });
                }
                of_tenant(self.reading.admit(tenant))
            }
            (_, Role::Supervisor | Role::Admin | Role::Service) => of_tenant(self.managing.admit(tenant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::Timestamp;

    use super::*;

    fn principal(user: i64, role: Role) -> Principal {
        let tenant = TenantId::parse("t").expect("legal");
        Principal { tenant, user: user.into(), role, expires_at: Timestamp::from_millis(0) }
    }

    fn n_admitted(limit: &RequestLimit, user: i64, role: Role, endpoint: Endpoint) -> usize {
        (0..100).filter(|_| limit.admit(&principal(user, role), endpoint).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn who_polls_takes_nothing_from_who_publishes() {
        let limit = RequestLimit::new(NonZeroU32::new(10).expect("not zero"));
        assert_eq!(n_admitted(&limit, 1, Role::Agent, Endpoint::OnlineUsers), 3, "one agent, a quarter");
        assert_eq!(n_admitted(&limit, 2, Role::Agent, Endpoint::SocketStats), 3);
        assert_eq!((3..20).map(|user| n_admitted(&limit, user, Role::Agent, Endpoint::UserOnline)).sum::<usize>(), 4);
        assert_eq!(n_admitted(&limit, 1, Role::Supervisor, Endpoint::WebhookLogs), 10);
        assert_eq!(n_admitted(&limit, 1, Role::Service, Endpoint::Publish), 10);
        assert_eq!(n_admitted(&limit, 1, Role::Agent, Endpoint::Socket), 100, "a WebSocket is no request");
        assert_eq!(n_admitted(&limit, 1, Role::Agent, Endpoint::EventStream), 100, "nor is an event stream");
        let refused = limit.admit(&principal(1, Role::Agent), Endpoint::OnlineUsers);
        assert_eq!(refused.map_err(|exceeded| (exceeded.who, exceeded.per_second.get())), Err(("this agent", 3)));
    }
}
