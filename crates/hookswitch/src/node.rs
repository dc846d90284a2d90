//! A running node: everything assembled, one handle to it.

use std::time::Duration;

use hookswitch_hub::Hub;
use hookswitch_hub::memory::MemoryTransport;
use hookswitch_runtime::{Crash, Scope};
use hookswitch_switch::Broadcaster;
use hookswitch_webhooks::Webhooks;
use tokio::time::Instant;

use crate::builder::SwitchBuilder;
use crate::error::StartError;

/// A running node. Clones are the same node; dropping the last one does not stop it, see
/// [`Switch::shut_down`].
#[derive(Debug, Clone)]
pub struct Switch {
    switch: hookswitch_switch::Switchboard,
    #[cfg(feature = "gateway")]
    gateway: Option<hookswitch_gateway::Gateway>,
    scopes: Scopes,
}

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
    fn in_order(&self) -> [&Scope; 6] {
        [&self.gateway, &self.acceptance, &self.webhooks, &self.hub, &self.redis, &self.store]
    }

    /// Ends all that is left; whether it ended by itself.
    pub(crate) async fn end(&self, grace: Duration) -> bool {
        let deadline = Instant::now() + grace;
        let mut ended = true;
        for scope in self.in_order() {
            ended &= scope.shut_down(deadline.saturating_duration_since(Instant::now())).await;
        }
        ended
    }
}

impl Switch {
    /// Settings, each with its default; end with [`SwitchBuilder::start`].
    pub fn builder() -> SwitchBuilder {
        SwitchBuilder::new()
    }

    pub(crate) async fn assemble(builder: SwitchBuilder, scopes: Scopes) -> Result<Self, StartError> {
        let mut keepers = builder.keepers(&scopes).await?;
        #[cfg(feature = "gateway")]
        if let Some(door) = builder.gateway.clone() {
            let (hub, entrance) =
                builder.start_hub::<hookswitch_gateway::WebSocketTransport>(&mut keepers, &scopes).await?;
            let outside = crate::gateway_part::Outside::of(&keepers);
            let switch = builder.switchboard(hub, keepers, &scopes).await?;
            let gateway = door.open(entrance, &switch, outside, &builder.clock, &scopes.gateway);
            return Ok(Self { switch, gateway: Some(gateway), scopes });
        }
        let (hub, _nobody_enters) = builder.start_hub::<MemoryTransport>(&mut keepers, &scopes).await?;
        let switch = builder.switchboard(hub, keepers, &scopes).await?;
        Ok(Self {
            switch,
            #[cfg(feature = "gateway")]
            gateway: None,
            scopes,
        })
    }

    /// Says typed things to everyone concerned, and answers questions.
    pub fn broadcaster(&self) -> Broadcaster {
        Broadcaster::new(self.switch.clone())
    }

    /// The switchboard itself: batches and figures.
    pub fn switchboard(&self) -> &hookswitch_switch::Switchboard {
        &self.switch
    }

    /// Connections and presence.
    pub fn hub(&self) -> &Hub {
        self.switch.hub()
    }

    /// Registrations of webhooks and their deliveries.
    pub fn webhooks(&self) -> &Webhooks {
        self.switch.webhooks()
    }

    /// The HTTP and WebSocket door; `None` when the builder was given no gateway. To mount it in a
    /// server of one's own, pass requests to [`Gateway::handle`](hookswitch_gateway::Gateway::handle).
    #[cfg(feature = "gateway")]
    pub fn gateway(&self) -> Option<&hookswitch_gateway::Gateway> {
        self.gateway.as_ref()
    }

    /// Serves the gateway on this listener until [`Switch::shut_down`] begins; returns at once when
    /// there is no gateway. Cancel safe: dropped, no further connections are accepted.
    #[cfg(feature = "gateway")]
    pub async fn serve(&self, listener: tokio::net::TcpListener) {
        if let Some(gateway) = &self.gateway {
            gateway.serve(listener, &self.scopes.gateway).await;
        }
    }

    /// Waits until a part of the node crashed; then shut down. Cancel safe.
    pub async fn crashed(&self) -> Crash {
        let [gateway, acceptance, webhooks, hub, redis, store] = self.scopes.in_order();
        tokio::select! {
            crash = crash_of(gateway) => crash,
            crash = crash_of(acceptance) => crash,
            crash = crash_of(webhooks) => crash,
            crash = crash_of(hub) => crash,
            crash = crash_of(redis) => crash,
            crash = crash_of(store) => crash,
        }
    }

    /// Ends the node within `grace`, 5 s being a good choice: the door refuses newcomers, clients are
    /// told to reconnect elsewhere (1012), running deliveries finish or are given back, the store
    /// writes what it has. Whether everything ended by itself.
    ///
    /// Cancel safe; calling it again goes on, and a second call with a shorter grace hurries.
    pub async fn shut_down(&self, grace: Duration) -> bool {
        let deadline = Instant::now() + grace;
        self.scopes.gateway.soft().cancel();
        // What is answered with 202 goes to those who are connected: so nothing more is accepted, and what
        // was begun is done, before their connections close. A store that hangs may hold that up.
        self.scopes.acceptance.finish(grace / 5).await;
        // A tenth stays for requests under way and for the store.
        let first = deadline.saturating_duration_since(Instant::now()).mul_f64(0.9);
        let clients = tokio::time::timeout(first, self.hub().drain());
        let (clients, deliveries) = tokio::join!(clients, self.scopes.webhooks.shut_down(first));
        let rest = self.scopes.end(deadline.saturating_duration_since(Instant::now())).await;
        clients.unwrap_or(false) && deliveries && rest
    }
}

/// The crash of a scope; never returns for one that ends in order.
async fn crash_of(scope: &Scope) -> Crash {
    scope.soft().cancelled().await;
    match scope.crash() {
        Some(crash) => crash,
        None => std::future::pending().await,
    }
}
