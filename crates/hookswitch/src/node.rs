//! A running node: everything assembled, one handle to it.

use std::time::Duration;

use hookswitch_hub::{Admission, Hub};
use hookswitch_runtime::{Crash, Scope};
use hookswitch_switch::Broadcaster;
use hookswitch_webhooks::Webhooks;
use tokio::time::Instant;

use crate::scopes::Scopes;

/// How long a drain waits for events that are being accepted; a store that hangs may hold them up.
const LAST_ACCEPTANCE: Duration = Duration::from_secs(1);

/// A running node. Clones are the same node; dropping the last one does not stop it, see
/// [`Switch::shut_down`].
#[derive(Debug, Clone)]
pub struct Switch {
    pub(crate) switch: hookswitch_switch::Switchboard,
    pub(crate) admission: Admission,
    #[cfg(feature = "gateway")]
    pub(crate) gateway: Option<hookswitch_gateway::Gateway>,
    pub(crate) scopes: Scopes,
}

impl Switch {
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

    /// Takes connections in over a transport of one's own, beside those of the gateway.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Registrations of webhooks and their deliveries.
    pub fn webhooks(&self) -> &Webhooks {
        self.switch.webhooks()
    }

    /// HTTP and WebSocket; `None` when the builder was given no gateway. To mount it in a
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

    /// Waits until an operator asked over HTTP for the node to go (`POST /api/v1/admin/drain`). It drains by itself
    /// from then on, as by [`Switch::drain`]; what comes after that is the caller's, who waits for this: to
    /// [`Switch::shut_down`]. Never returns without a gateway. Cancel safe.
    pub async fn drain_asked(&self) {
        #[cfg(feature = "gateway")]
        if let Some(gateway) = &self.gateway {
            return gateway.drain_asked().await;
        }
        std::future::pending::<()>().await;
    }

    /// Takes the node out of service, before [`Switch::shut_down`]. At once: it is not ready, the gateway goes on
    /// listening and answers 503 `draining`, and webhook deliveries that have not begun are given back, so that
    /// other nodes make them. Then, spread over [`HubConfig::drain_window`](hookswitch_hub::HubConfig::drain_window),
    /// clients are told when to reconnect, and closed (1012). Returns when all are out, or a moment after the window;
    /// whether all were.
    ///
    /// Cancel safe; the draining goes on, and calling it again waits for the same end.
    pub async fn drain(&self) -> bool {
        self.hub().refuse_newcomers();
        self.scopes.webhooks.soft().cancel();
        // What is answered with 202 goes to those who are connected, as in `shut_down`.
        self.scopes.acceptance.finish(LAST_ACCEPTANCE).await;
        self.hub().drain().await
    }

    /// Drains when an operator asks for it over HTTP, unless the node ends before.
    #[cfg(feature = "gateway")]
    pub(crate) fn drain_when_asked(&self) {
        let (switch, soft) = (self.clone(), self.scopes.hub.soft().clone());
        self.scopes.hub.spawn("drain on request", async move {
            let drained = async {
                switch.drain_asked().await;
                switch.drain().await
            };
            soft.run_until_cancelled(drained).await
        });
    }

    /// Ends the node within `grace`, 5 s being a good choice: the gateway refuses newcomers, clients are
    /// told to reconnect elsewhere (1012), running deliveries finish or are given back, the store
    /// writes what it has. Whether everything ended by itself. Clients are closed at once; to spread that,
    /// [`Switch::drain`] comes first.
    ///
    /// Cancel safe; calling it again goes on, and a second call with a shorter grace hurries.
    pub async fn shut_down(&self, grace: Duration) -> bool {
        let deadline = Instant::now() + grace;
        self.hub().refuse_newcomers();
        self.scopes.gateway.soft().cancel();
        // What is answered with 202 goes to those who are connected: so nothing more is accepted, and what
        // was begun is done, before their connections close. A store that hangs may hold that up.
        self.scopes.acceptance.finish(grace / 5).await;
        // A tenth stays for requests under way and for the store.
        let first = deadline.saturating_duration_since(Instant::now()).mul_f64(0.9);
        let clients = tokio::time::timeout(first, self.hub().drain_within(Duration::ZERO));
        let (clients, deliveries) = tokio::join!(clients, self.scopes.webhooks.shut_down(first));
        // Half of what is left, so that the store has time to end; it writes what it was given in any case.
        let save = async {
            let left = deadline.saturating_duration_since(Instant::now());
            self.hub().save_history(Instant::now() + left / 2).await;
        };
        let rest = self.scopes.end_and(deadline, save).await;
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
