//! What the parts of the switchboard have in common.

use std::sync::Arc;

use hookswitch_hub::Hub;
use hookswitch_runtime::{Clock, Scope};
use hookswitch_webhooks::Webhooks;

use crate::detached::DetachedRunner;
use crate::in_flight::InFlight;
use crate::metrics::SwitchMetrics;
use crate::store_permits::StorePermits;
use crate::topics::Topics;

/// What every acceptance works with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) hub: Hub,
    pub(crate) webhooks: Webhooks,
    pub(crate) clock: Clock,
    pub(crate) scope: Scope,
    pub(crate) detached: DetachedRunner,
    pub(crate) in_flight: InFlight,
    /// Events that may wait for the store at once, by weight, shared by tenants.
    pub(crate) store_permits: StorePermits,
    pub(crate) topics: Arc<Topics>,
    pub(crate) metrics: SwitchMetrics,
}
