//! Which channels this node listens to.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fred::interfaces::{ClientLike as _, PubsubInterface as _};
use fred::types::ClusterHash;
use fred::types::config::Options;
use hookswitch_protocol::{Chain, TenantId};

use super::sequence::Sequencer;
use crate::link::{Link, LinkError};

/// How long a node's first events are collected where they may come out of order.
const SETTLING: Duration = Duration::from_millis(50);

/// Tenants whose channels are asked for in one command.
const TENANTS_AT_ONCE: usize = 100;

/// What this node listens to, and wants to listen to.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    link: Link,
    tenants: Mutex<Tenants>,
    /// The order of what comes in; forgotten with its tenant.
    sequencer: Mutex<Sequencer>,
}

#[derive(Debug, Default)]
struct Tenants {
    wanted: HashSet<TenantId>,
    /// Wanted, and still to be asked for by whoever opens the link.
    pending: HashSet<TenantId>,
}

impl Subscriptions {
    pub(crate) fn new(link: Link) -> Self {
        // Sharded, a topic's events and the others of a tenant come over different servers.
        let settling = if link.config().sharded_pubsub { SETTLING } else { Duration::ZERO };
        let sequencer = Mutex::new(Sequencer::settling_for(settling));
        Self { link, tenants: Mutex::default(), sequencer }
    }

    fn tenants(&self) -> MutexGuard<'_, Tenants> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sequencer(&self) -> MutexGuard<'_, Sequencer> {
        self.sequencer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether events of this tenant are wanted.
    pub(crate) fn is_watched(&self, tenant: &TenantId) -> bool {
        self.tenants().wanted.contains(tenant)
    }

    /// Listens to a tenant's channels; confirmed when this returns and the link is open. While it is
    /// closed, the wish is noted and fulfilled before it opens.
    pub(crate) async fn watch(&self, tenant: &TenantId) {
        {
            let mut tenants = self.tenants();
            tenants.wanted.insert(tenant.clone());
            // Under the lock: whoever opens the link does so under it too, when nothing is pending.
            if !self.link.is_up() {
                tenants.pending.insert(tenant.clone());
                return;
            }
        }
        if let Err(error) = self.subscribe(std::slice::from_ref(tenant)).await {
            // The link opens again once everything wanted is subscribed to.
            self.tenants().pending.insert(tenant.clone());
            self.link.close(&error.to_string());
        }
    }

    /// Stops listening to a tenant's channels. What still comes in is left out.
    pub(crate) async fn unwatch(&self, tenant: &TenantId) -> Result<(), LinkError> {
        {
            let mut tenants = self.tenants();
            tenants.wanted.remove(tenant);
            tenants.pending.remove(tenant);
        }
        self.sequencer().forget(tenant);
        if self.link.is_up() { self.unsubscribe(tenant).await } else { Ok(()) }
    }

    /// Asks anew for everything, after the connection was lost with all it listened to.
    pub(crate) async fn resubscribe(&self) -> Result<(), LinkError> {
        {
            let Tenants { wanted, pending } = &mut *self.tenants();
            pending.clone_from(wanted);
        }
        let keys = self.link.keys();
        let channels = vec![keys.main_channel(), keys.probe_channel(self.link.node())];
        let client = self.client();
        let listening = client.subscribe(channels).await;
        listening.map_err(|source| LinkError::failed("subscribe to the main channel", source))?;
        let topics = client.psubscribe(format!("{}*", keys.topic_prefix())).await;
        topics.map_err(|source| LinkError::failed("subscribe to the custom topics", source))?;
        self.confirm().await
    }

    /// Waits until Redis has carried out what was asked so far: the client calls a subscription done
    /// once it is written. All but sharded ones go over one connection, in order.
    async fn confirm(&self) -> Result<(), LinkError> {
        let subscriber = self.link.subscriber();
        let slot = fred::util::redis_keyslot(subscriber.id().as_bytes());
        let options = Options { cluster_hash: Some(ClusterHash::Custom(slot)), ..self.options() };
        let answered: Result<fred::types::Value, _> = subscriber.with_options(&options).ping(None).await;
        answered.map(drop).map_err(|source| LinkError::failed("confirm a subscription", source))
    }

    /// Asks for what is pending; opens the link when nothing is left. Whether anything was pending:
    /// whoever wanted it may have missed something.
    pub(crate) async fn open_when_complete(&self) -> Result<bool, LinkError> {
        let mut was_pending = false;
        loop {
            let pending: Vec<TenantId> = {
                let tenants = self.tenants();
                if tenants.pending.is_empty() {
                    self.link.open();
                    return Ok(was_pending);
                }
                was_pending = true;
                tenants.pending.iter().cloned().collect()
            };
            for some in pending.chunks(TENANTS_AT_ONCE) {
                self.subscribe(some).await?;
                self.settle(some).await;
            }
        }
    }

    /// They are subscribed to; those nobody wants any more are let go.
    async fn settle(&self, subscribed: &[TenantId]) {
        let unwanted: Vec<TenantId> = {
            let mut tenants = self.tenants();
            for tenant in subscribed {
                tenants.pending.remove(tenant);
            }
            subscribed.iter().filter(|tenant| !tenants.wanted.contains(*tenant)).cloned().collect()
        };
        for tenant in unwanted {
            if let Err(error) = self.unsubscribe(&tenant).await {
                tracing::debug!(%tenant, error = %Chain(&error), "a tenant's channels are still listened to");
            }
        }
    }

    async fn subscribe(&self, tenants: &[TenantId]) -> Result<(), LinkError> {
        let keys = self.link.keys();
        let channels: Vec<String> = tenants.iter().flat_map(|tenant| keys.tenant_channels(tenant)).collect();
        let subscribed = self.client().subscribe(channels).await;
        subscribed.map_err(|source| LinkError::failed("subscribe to a tenant's channels", source))?;
        self.confirm().await?;
        if self.link.config().sharded_pubsub {
            for tenant in tenants {
                let subscribed = self.client().ssubscribe(keys.tenant_channel(tenant)).await;
                subscribed.map_err(|source| LinkError::failed("subscribe to a tenant's shard", source))?;
            }
        }
        Ok(())
    }

    async fn unsubscribe(&self, tenant: &TenantId) -> Result<(), LinkError> {
        let keys = self.link.keys();
        let unsubscribed = self.client().unsubscribe(keys.tenant_channels(tenant).to_vec()).await;
        unsubscribed.map_err(|source| LinkError::failed("unsubscribe from a tenant's channels", source))?;
        if self.link.config().sharded_pubsub {
            let unsubscribed = self.client().sunsubscribe(keys.tenant_channel(tenant)).await;
            unsubscribed.map_err(|source| LinkError::failed("unsubscribe from a tenant's shard", source))?;
        }
        Ok(())
    }

    fn client(&self) -> impl fred::interfaces::PubsubInterface + use<> {
        self.link.subscriber().with_options(&self.options())
    }

    fn options(&self) -> Options {
        let timeout = Some(self.link.config().command_timeout);
        Options { timeout, fail_fast: true, ..Options::default() }
    }
}
