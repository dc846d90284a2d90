//! Looks after the way through Redis: tries it all the time, says when it is closed, opens it again.
//!
//! The client notices a server that is gone, but not one that hangs. So the node sends itself a probe by
//! the very way events take, out through one client and back in through the other; in a cluster one through every
//! master. When none comes back the way is closed; when only some masters' do not, it is these that are noted.

use std::sync::Arc;
use std::time::Duration;

use fred::interfaces::{ClientLike as _, EventInterface as _, PubsubInterface as _};
use fred::types::config::Server;
use futures_util::future::join_all;
use hookswitch_hub::{BrokerSink, GapScope};
use hookswitch_protocol::Chain;
use tokio::sync::broadcast;
use tokio::time::{Instant, MissedTickBehavior};

use super::sources::SourceSender;
use super::subscriptions::Subscriptions;
use crate::config::Topology;
use crate::link::{Link, LinkError, clients};

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
    sources: SourceSender,
    /// Each reconnection of the listening client.
    reconnects: broadcast::Receiver<Server>,
    /// Whether the present connection listens to the main channels.
    is_listening: bool,
    /// Whether any ever did, so that something may be lost with it.
    has_listened: bool,
    /// Whether a connection that listened was lost since the way was open. Over one that was not everything comes,
    /// however late.
    has_lost: bool,
    n_probes: u64,
    n_misses: u32,
    reconnected_at: Option<Instant>,
}

impl Supervisor {
    pub(crate) fn new(
        link: Link,
        subscriptions: Arc<Subscriptions>,
        sink: Arc<dyn BrokerSink>,
        sources: SourceSender,
    ) -> Self {
        let reconnects = link.subscriber().reconnect_rx();
        Self {
            link,
            subscriptions,
            sink,
            sources,
            reconnects,
            is_listening: false,
            has_listened: false,
            has_lost: false,
            n_probes: 0,
            n_misses: 0,
            reconnected_at: None,
        }
    }

    pub(crate) async fn run(mut self) {
        // At first there is no connection yet, which is no news.
        let subscriber = self.link.subscriber();
        let all = async { tokio::join!(self.link.wait_for_connect(), subscriber.wait_for_connect()) };
        let _connected = tokio::time::timeout(self.link.config().command_timeout, all).await;
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
        self.has_lost = true;
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
            self.leave_replica().await;
            return Ok(());
        }
        let had_listened = std::mem::replace(&mut self.has_listened, true);
        let may_have_missed = had_listened && self.has_lost;
        if may_have_missed {
            self.subscriptions.sequencer().forgive();
        }
        // Before the first opening too: who is served already has missed what the others published.
        let was_pending = self.subscriptions.open_when_complete().await?;
        self.has_lost = false;
        if may_have_missed || was_pending {
            if self.subscriptions.has_orders() {
                // What was missed of each tenant is known and fetched, or told.
                self.sink.on_reopened();
            } else {
                self.sink.on_gap(GapScope::All, None);
            }
        }
        Ok(())
    }

    /// Sends a probe through every master and waits for them to come back; fails when none does.
    async fn probe(&mut self) -> Result<(), LinkError> {
        let servers = self.link.servers();
        self.link.keep_shards(&servers);
        self.link.forget_probes();
        let first = self.n_probes + 1;
        self.n_probes += servers.len() as u64;
        let probes: Vec<_> =
            servers.into_iter().zip(first..).map(|(server, number)| probe_one(&self.link, server, number)).collect();
        let answers = join_all(probes).await;
        for (server, answer) in &answers {
            self.note_answer(server.as_ref(), answer);
        }
        if answers.iter().any(|(_, answer)| answer.is_ok()) {
            return Ok(());
        }
        // One that was taken and not heard tells most: then it is the connection that listens.
        let failed = answers.into_iter().filter_map(|(_, answer)| answer.err());
        let first = failed.min_by_key(|error| !matches!(error, LinkError::Away { .. }));
        Err(first.unwrap_or_else(|| LinkError::Away { problem: "no master of the cluster is known".to_owned() }))
    }

    /// Each master's own state: what is stuck with one is no trouble of the others. One that does not answer over its
    /// connection has it made anew, with all that waits there: that it hangs itself, nothing tells.
    fn note_answer(&self, server: Option<&Server>, answer: &Result<(), LinkError>) {
        let Some(server) = server else { return };
        let problem = answer.as_ref().err().map(LinkError::summary);
        let n_misses = self.link.note_shard(server, problem, MISSES);
        if n_misses >= MISSES && answer.as_ref().is_err_and(LinkError::is_timeout) {
            self.link.replace_commands(Some(server));
        }
    }

    async fn missed(&mut self, error: &LinkError) {
        self.n_misses += 1;
        let is_certain = error.is_disconnect();
        if is_certain || self.n_misses >= MISSES {
            self.link.close(&error.summary());
        }
        if self.n_misses < MISSES {
            return;
        }
        let listens_in_vain = match self.link.config().topology {
            Topology::Cluster(_) => matches!(error, LinkError::Away { .. }),
            Topology::Single(_) | Topology::Sentinel { .. } => {
                self.link.replace_commands(None);
                // One that knows to be disconnected is trying already.
                self.link.subscriber().is_connected()
            }
        };
        if listens_in_vain && self.may_reconnect() {
            self.listen_anew().await;
        }
    }

    /// A server that became a replica takes events all the same, and nobody hears them. Where its name leads to
    /// another one by now, as with a service that moves it at a fail-over, the node goes there. In a cluster it is
    /// told by redirections.
    async fn leave_replica(&mut self) {
        let is_replica = self.link.take_only_reads() && !matches!(self.link.config().topology, Topology::Cluster(_));
        if is_replica && self.may_reconnect() && clients::leads_to_master(self.link.config()).await {
            self.link.close("the server only reads by now, its name leads to another one");
            self.link.replace_commands(None);
            self.listen_anew().await;
        }
    }

    /// Not again at once: a connection takes its time.
    fn may_reconnect(&mut self) -> bool {
        let may = self.reconnected_at.is_none_or(|at| at.elapsed() >= RECONNECT_PAUSE);
        if may {
            self.reconnected_at = Some(Instant::now());
        }
        may
    }

    /// What is published does not come back: listens over another connection, in a cluster at another master.
    async fn listen_anew(&mut self) {
        (self.is_listening, self.has_lost) = (false, true);
        match self.link.replace_listener() {
            Ok(messages) => {
                self.reconnects = self.link.subscriber().reconnect_rx();
                // The receiving task lives as long as this one.
                let _taken = self.sources.send(messages).await;
            }
            Err(error) => tracing::error!(error = %Chain(&error), "no other connection to listen over"),
        }
    }
}

/// Sends one probe, and waits for it.
async fn probe_one(link: &Link, server: Option<Server>, number: u64) -> (Option<Server>, Result<(), LinkError>) {
    let channel = link.keys().probe_channel(link.node());
    let deadline = Instant::now() + link.config().command_timeout;
    let sent = match link.client_at(server.as_ref()) {
        Ok(client) => client.publish::<(), _, _>(channel.clone(), number.to_string()).await,
        Err(error) => Err(error),
    };
    if let Err(source) = sent {
        return (server, Err(link.failed("take a probe", &channel, source)));
    }
    while !link.is_probe_heard(number) {
        if Instant::now() >= deadline {
            return (server, Err(LinkError::Away { problem: "a probe did not come back in time".to_owned() }));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    (server, Ok(()))
}
