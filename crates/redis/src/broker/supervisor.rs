//! Looks after the way through Redis: tries it all the time, says when it is closed, opens it again.
//!
//! The client notices a server that is gone, but not one that hangs. So the node sends itself a probe by
//! the very way events take, out through one client and back in through the other.

use std::sync::Arc;
use std::time::Duration;

use fred::interfaces::{ClientLike as _, EventInterface as _, PubsubInterface as _};
use fred::types::config::Server;
use hookswitch_hub::{BrokerSink, GapScope};
use tokio::sync::broadcast;
use tokio::time::{Instant, MissedTickBehavior};

use super::subscriptions::Subscriptions;
use crate::link::{Link, LinkError};

/// Probes that must fail before the way counts as closed.
const MISSES: u32 = 2;

/// How often a probe that was sent is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Pause between two attempts at making the clients connect anew.
const RECONNECT_PAUSE: Duration = Duration::from_secs(3);

pub(crate) struct Supervisor {
    link: Link,
    subscriptions: Arc<Subscriptions>,
    sink: Arc<dyn BrokerSink>,
    /// Each reconnection of the listening client.
    reconnects: broadcast::Receiver<Server>,
    /// Whether the present connection listens to the main channels.
    is_listening: bool,
    /// Whether any ever did, so that something may be lost with it.
    has_listened: bool,
    n_probes: u64,
    n_misses: u32,
    reconnected_at: Option<Instant>,
}

impl Supervisor {
    pub(crate) fn new(link: Link, subscriptions: Arc<Subscriptions>, sink: Arc<dyn BrokerSink>) -> Self {
        let reconnects = link.subscriber().reconnect_rx();
        Self {
            link,
            subscriptions,
            sink,
            reconnects,
            is_listening: false,
            has_listened: false,
            n_probes: 0,
            n_misses: 0,
            reconnected_at: None,
        }
    }

    pub(crate) async fn run(mut self) {
        // At first there is no connection yet, which is no news.
        let both =
            async { tokio::join!(self.link.commands().wait_for_connect(), self.link.subscriber().wait_for_connect()) };
        let _connected = tokio::time::timeout(self.link.config().command_timeout, both).await;
        let mut interval = tokio::time::interval(self.link.config().probe_interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                reconnected = self.reconnects.recv() => {
                    if matches!(reconnected, Err(broadcast::error::RecvError::Closed)) {
                        return;
                    }
                    self.lost_subscriptions();
                }
                _ = interval.tick() => {}
            }
            match self.step().await {
                Ok(()) => self.n_misses = 0,
                Err(error) => self.missed(&error).await,
            }
        }
    }

    /// The listening client has a new connection, which listens to nothing yet.
    fn lost_subscriptions(&mut self) {
        self.is_listening = false;
        if self.has_listened {
            self.link.close("the connection that listens was lost");
        }
    }

    /// Listens where it does not, tries the way, and opens it.
    async fn step(&mut self) -> Result<(), LinkError> {
        if !self.is_listening {
            // Whatever reconnections were reported are answered by this.
            while self.reconnects.try_recv().is_ok() {}
            self.subscriptions.resubscribe().await?;
            self.is_listening = true;
        }
        self.probe().await?;
        if self.link.is_up() {
            return Ok(());
        }
        let had_listened = std::mem::replace(&mut self.has_listened, true);
        if had_listened {
            self.subscriptions.sequencer().forgive();
        }
        // Before the first opening too: who is served already has missed what the others published.
        let was_pending = self.subscriptions.open_when_complete().await?;
        if had_listened || was_pending {
            self.sink.on_gap(GapScope::All, None);
        }
        Ok(())
    }

    /// Sends a probe and waits for it to come back.
    async fn probe(&mut self) -> Result<(), LinkError> {
        self.n_probes += 1;
        let channel = self.link.keys().probe_channel(self.link.node());
        let deadline = Instant::now() + self.link.config().command_timeout;
        let sent = self.link.client().publish::<(), _, _>(channel, self.n_probes.to_string()).await;
        sent.map_err(|source| LinkError::failed("take a probe", source))?;
        while self.link.last_probe_heard() < self.n_probes {
            if Instant::now() >= deadline {
                return Err(LinkError::Away { problem: "a probe did not come back in time".to_owned() });
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    async fn missed(&mut self, error: &LinkError) {
        self.n_misses += 1;
        let is_certain = error.is_disconnect();
        if is_certain || self.n_misses >= MISSES {
            self.link.close(&error.summary());
        }
        if self.n_misses >= MISSES && self.reconnected_at.is_none_or(|at| at.elapsed() >= RECONNECT_PAUSE) {
            self.reconnected_at = Some(Instant::now());
            self.reconnect().await;
        }
    }

    /// Has both clients drop their connections and make new ones.
    async fn reconnect(&mut self) {
        self.is_listening = false;
        for client in [self.link.commands(), self.link.subscriber()] {
            // One that knows to be disconnected is trying already, and would do it twice.
            if client.is_connected() {
                let patience = self.link.config().command_timeout;
                // It goes on trying by itself; the next probe tells how it went.
                let _tried = tokio::time::timeout(patience, client.force_reconnection()).await;
            }
        }
    }
}
