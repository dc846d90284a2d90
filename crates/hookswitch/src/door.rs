//! The gateway as part of a node.

use std::fmt;
use std::sync::Arc;

use hookswitch_gateway::{Authenticator, Gateway, GatewayConfig, GatewayParts, Health, Probe, TcpOutlet};
use hookswitch_hub::{Door, Hub, Seams};
use hookswitch_protocol::{SessionKey, TenantId};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_switch::Switch;

/// What a gateway is made of, before the rest of the node is there.
#[derive(Clone)]
pub(crate) struct DoorConfig {
    pub(crate) config: GatewayConfig,
    pub(crate) authenticator: Arc<dyn Authenticator>,
}

impl DoorConfig {
    pub(crate) fn open(
        self,
        door: Door<TcpOutlet>,
        switch: &Switch,
        seams: &Seams,
        clock: &Clock,
        scope: &Scope,
    ) -> Gateway {
        let Self { config, authenticator } = self;
        let health = Health { mode: "single-node", probes: vec![hub_probe(switch.hub()), store_probe(seams)] };
        let (switch, clock, scope) = (switch.clone(), clock.clone(), scope.clone());
        Gateway::new(GatewayParts { door, switch, authenticator, health, clock, scope }, config)
    }
}

/// Whether the hub has room for an event.
fn hub_probe(hub: &Hub) -> Probe {
    let hub = hub.clone();
    let check = move || -> hookswitch_gateway::BoxFuture<'static, Result<(), String>> {
        let hub = hub.clone();
        Box::pin(async move {
            let tenant = TenantId::parse("_probe").expect("a legal tenant id");
            hub.reserve(&tenant, 1).await.map(drop).map_err(|error| error.to_string())
        })
    };
    Probe { name: "hub", check: Box::new(check) }
}

/// Whether the store takes a write: the end of a session nobody has, which changes nothing.
fn store_probe(seams: &Seams) -> Probe {
    let chat = Arc::clone(&seams.chat);
    let check = move || -> hookswitch_gateway::BoxFuture<'static, Result<(), String>> {
        let chat = Arc::clone(&chat);
        Box::pin(async move {
            let tenant = TenantId::parse("_probe").expect("a legal tenant id");
            let session = SessionKey::parse("_probe").expect("a legal session key");
            chat.end(&tenant, &session).await.map_err(|error| error.to_string())
        })
    };
    Probe { name: "store", check: Box::new(check) }
}

impl fmt::Debug for DoorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DoorConfig").field("config", &self.config).finish_non_exhaustive()
    }
}
