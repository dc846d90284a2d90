//! What the facade and the tasks behind it share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hookswitch_egress::AddressGuard;
use hookswitch_protocol::{NodeId, TenantId};
use hookswitch_runtime::{Clock, FairSemaphore, Scope};
use tokio_util::sync::CancellationToken;

use crate::config::WebhookConfig;
use crate::dispatcher::breaker_states::BreakerStates;
use crate::dispatcher::disabled_notices::DisabledNotices;
use crate::dispatcher::inbox::SchedulerInbox;
use crate::match_table::MatchTable;
use crate::metrics::Metrics;
use crate::retry_policy::RetryPolicy;
use crate::seams::WebhookSeams;
use crate::sender::Sender;

/// Everything of one [`Webhooks`](crate::Webhooks), made once at its start.
pub(crate) struct Context {
    pub(crate) config: WebhookConfig,
    pub(crate) node: NodeId,
    pub(crate) guard: AddressGuard,
    pub(crate) seams: WebhookSeams,
    pub(crate) table: Arc<MatchTable>,
    pub(crate) retry_policy: RetryPolicy,
    pub(crate) breakers: BreakerStates,
    pub(crate) disabled_notices: DisabledNotices,
    pub(crate) sender: Sender,
    pub(crate) inbox: SchedulerInbox,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) scope: Scope,
    /// Permits for tests and for resends that run at once.
    pub(crate) tests: FairSemaphore<TenantId>,
    pub(crate) resends: FairSemaphore<TenantId>,
    /// For the bodies of attempts that have ended and are not settled, by bytes.
    pub(crate) results: FairSemaphore<TenantId>,
    /// Tripped when the grace for running attempts is over.
    pub(crate) cut: CancellationToken,
    /// Finished attempts that wait since the ledger could not take them.
    pub(crate) n_held: AtomicU64,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("node", &self.node).finish_non_exhaustive()
    }
}
