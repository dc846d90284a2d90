//! The task scopes of a node, in the order in which they end.

use std::time::Duration;

use hookswitch_runtime::Scope;
use tokio::time::Instant;

/// One scope per part, so that each can end after those that use it.
#[derive(Debug, Clone)]
pub(crate) struct Scopes {
    pub(crate) gateway: Scope,
    pub(crate) acceptance: Scope,
    pub(crate) webhooks: Scope,
    pub(crate) hub: Scope,
    pub(crate) redis: Scope,
    pub(crate) store: Scope,
}

impl Scopes {
    pub(crate) fn new() -> Self {
        Self {
            gateway: Scope::root("gateway"),
            acceptance: Scope::root("acceptance"),
            webhooks: Scope::root("webhooks"),
            hub: Scope::root("hub"),
            redis: Scope::root("redis"),
            store: Scope::root("store"),
        }
    }

    /// In the order in which they may end: users before what they use.
    pub(crate) fn in_order(&self) -> [&Scope; 6] {
        [&self.gateway, &self.acceptance, &self.webhooks, &self.hub, &self.redis, &self.store]
    }

    /// Ends all that is left; whether it ended by itself.
    pub(crate) async fn end(&self, grace: Duration) -> bool {
        self.end_and(Instant::now() + grace, async {}).await
    }

    /// The same by `deadline`, and does something when nothing is published any more and the store is still there.
    pub(crate) async fn end_and(&self, deadline: Instant, last: impl Future<Output = ()>) -> bool {
        let [users @ .., store] = self.in_order();
        let mut ended = true;
        for scope in users {
            ended &= scope.shut_down(deadline.saturating_duration_since(Instant::now())).await;
        }
        last.await;
        ended & store.shut_down(deadline.saturating_duration_since(Instant::now())).await
    }
}
