//! The gateway as part of a node.

use std::fmt;
use std::sync::Arc;

use hookswitch_gateway::{Authenticator, Gateway, GatewayConfig, GatewayParts, Health, NodeQueue, Probe, Severity};
use hookswitch_hub::{Admission, Hub};
use hookswitch_protocol::TenantId;
use hookswitch_runtime::metrics::{Registry, registry};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_switch::Switchboard;

#[cfg(feature = "redis")]
use crate::cluster;
use crate::keepers::Keepers;

/// What a gateway is made of, before the rest of the node is there.
#[derive(Clone)]
pub(crate) struct GatewayPart {
    pub(crate) config: GatewayConfig,
    pub(crate) authenticator: Arc<dyn Authenticator>,
}

impl GatewayPart {
    pub(crate) fn open(
        self,
        admission: Admission,
        switch: &Switchboard,
        outside: Outside,
        clock: &Clock,
        scope: &Scope,
    ) -> Gateway {
        let Self { config, authenticator } = self;
        let Outside { mut health, metrics, queues } = outside;
        health.probes.insert(0, hub_probe(switch.hub()));
        let (switch, clock, scope) = (switch.clone(), clock.clone(), scope.clone());
        let parts = GatewayParts { admission, switch, authenticator, health, metrics, queues, clock, scope };
        Gateway::new(parts, config)
    }
}

/// What the health and metrics pages tell of the keepers.
pub(crate) struct Outside {
    health: Health,
    metrics: Registry,
    queues: Vec<NodeQueue>,
}

impl Outside {
    pub(crate) fn of(keepers: &Keepers, own_metrics: Option<fn(&mut Registry)>) -> Self {
        let mut metrics = registry();
        if let Some(register) = own_metrics {
            register(&mut metrics);
        }
        keepers.register_metrics(&mut metrics);
        let health = Health { mode: Box::new(|| "single-node"), probes: vec![store_probe(keepers)] };
        #[cfg(feature = "redis")]
        if let Some(redis) = &keepers.redis {
            let probes = health.probes.into_iter().chain(cluster::probes(redis)).collect();
            let queues = vec![cluster::queue(redis)];
            return Self { health: Health { mode: cluster::mode(redis), probes }, metrics, queues };
        }
        Self { health, metrics, queues: Vec::new() }
    }
}

/// Whether the hub has room for an event.
fn hub_probe(hub: &Hub) -> Probe {
    let hub = hub.clone();
    let check = move || -> hookswitch_gateway::BoxFuture<'static, Result<(), String>> {
        let hub = hub.clone();
        Box::pin(async move { hub.reserve(&TenantId::nobody(), 1).await.map(drop).map_err(|error| error.to_string()) })
    };
    Probe { name: "hub", severity: Severity::Vital, check: Box::new(check) }
}

/// Whether the store takes a write; memory always does.
fn store_probe(keepers: &Keepers) -> Probe {
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    if let Some(database) = keepers.database.clone() {
        let check = move || -> hookswitch_gateway::BoxFuture<'static, Result<(), String>> {
            let database = database.clone();
            Box::pin(async move { database.check_writing().await.map_err(|error| error.to_string()) })
        };
        return Probe { name: "store", severity: Severity::Vital, check: Box::new(check) };
    }
    #[cfg(not(any(feature = "mysql", feature = "sqlite")))]
    let _in_memory = keepers;
    Probe { name: "store", severity: Severity::Vital, check: Box::new(|| Box::pin(std::future::ready(Ok(())))) }
}

impl fmt::Debug for GatewayPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayPart").field("config", &self.config).finish_non_exhaustive()
    }
}
