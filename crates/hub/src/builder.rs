//! Assembly: from settings and seams to a running hub.

use std::fmt;
use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock};

use hookswitch_protocol::NodeId;
use hookswitch_runtime::{Clock, Scope};
use tokio::sync::mpsc;

use crate::admission::{Admission, AdmissionParts};
use crate::cluster::gap_notices::GapNotifier;
use crate::cluster::inbound::RemoteInbound;
use crate::cluster::inbound_jobs::{HeldJob, InboundJobs};
use crate::cluster::presence_notices::PresenceNotices;
use crate::cluster::presence_sync::PresenceSync;
use crate::cluster::questions::{self, HubAnswerer};
use crate::cluster::{balance, recovering};
use crate::config::HubConfig;
use crate::failed_handovers::FailedHandovers;
use crate::hub::{Hub, HubParts};
use crate::memory::{MemoryBroker, MemoryChatSessions, MemoryOffline, MemoryPresence, NoPeers};
use crate::offline_delivery::OfflineDelivery;
use crate::page_permits::PagePermits;
use crate::publish::fanout::{Fanout, ShardMailbox};
use crate::seams::broker::{Broker, BrokerSink};
use crate::seams::chat::{ChatSessionError, ChatSessionStore};
use crate::seams::history::{HistoryError, HistoryStore};
use crate::seams::offline::{OfflineLimits, OfflineStore};
use crate::seams::peers::Peers;
use crate::seams::presence::PresenceStore;
use crate::sessions::ChatSessions;
use crate::sessions::limits::SessionLimits;
use crate::shard::{self, request::Request};
use crate::shared::Shared;

/// The keepers a hub works with.
#[derive(Clone)]
pub struct Seams {
    /// Between nodes.
    pub broker: Arc<dyn Broker>,
    /// Who is connected anywhere.
    pub presence: Arc<dyn PresenceStore>,
    /// Messages for those who are away.
    pub offline: Arc<dyn OfflineStore>,
    /// Public chat sessions.
    pub chat: Arc<dyn ChatSessionStore>,
    /// Recent history over a restart, of a node by itself; `None` where nothing of that survives the process.
    pub history: Option<Arc<dyn HistoryStore>>,
    /// The other nodes, for questions.
    pub peers: Arc<dyn Peers>,
}

impl Seams {
    /// Memory keepers for a node on its own: nothing survives the process.
    pub fn memory(clock: &Clock) -> Self {
        Self {
            broker: Arc::new(MemoryBroker::alone()),
            presence: Arc::new(MemoryPresence::new(clock.clone())),
            offline: Arc::new(MemoryOffline::new(OfflineLimits::default(), clock.clone())),
            chat: Arc::new(MemoryChatSessions::default()),
            history: None,
            peers: Arc::new(NoPeers::of(NodeId::generate(clock.now()))),
        }
    }
}

impl fmt::Debug for Seams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seams").finish_non_exhaustive()
    }
}

/// Why a hub could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system gave no thread for a shard.
    #[error("cannot start the hub's threads")]
    Threads(#[from] io::Error),
    /// The chat sessions could not be loaded.
    #[error("cannot load the chat sessions")]
    Sessions(#[from] ChatSessionError),
    /// What a former node saved of recent history could not be taken back. Left where it is it would be gone on from
    /// later, as if nothing had happened meanwhile.
    #[error("cannot take recent history back")]
    History(#[from] HistoryError),
}

/// Shards that run but take no connections yet: brokers need the sink before the hub can start.
pub struct HubBuilder {
    config: Arc<HubConfig>,
    clock: Clock,
    scope: Scope,
    fanout: Arc<Fanout>,
    shards: Arc<[mpsc::Sender<Request>]>,
    remote_inbound: Arc<RemoteInbound>,
    jobs: mpsc::Receiver<HeldJob>,
}

impl HubBuilder {
    /// Starts the shards' threads. They end with the scope's hard token; a crash of one trips the
    /// soft token, like that of a task.
    ///
    /// # Errors
    /// [`StartError::Threads`].
    pub fn new(config: HubConfig, clock: Clock, scope: &Scope) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let shared = Arc::new(Shared::new(&config, clock.clone()));
        let (mut mailboxes, mut shards) = (Vec::new(), Vec::new());
        for index in 0..config.shards.clamp(1, 255) {
            let mailbox =
                shard::spawn(index as u8, Arc::clone(&config), clock.clone(), Arc::clone(&shared), scope.clone())?;
            mailboxes.push(ShardMailbox { batches: mailbox.batches, runtime: mailbox.runtime, load: mailbox.load });
            shards.push(mailbox.requests);
        }
        let fanout = Arc::new(Fanout::new(shared, mailboxes, config.mailbox_events.max(1)));
        let (remote_inbound, jobs) = RemoteInbound::new(Arc::clone(&fanout), scope.clone(), config.publish_deadline);
        Ok(Self { config, clock, scope: scope.clone(), fanout, shards: shards.into(), remote_inbound, jobs })
    }

    /// A hub with memory keepers, for embedders and tests.
    ///
    /// # Errors
    /// [`StartError::Threads`].
    pub async fn in_memory(config: HubConfig, clock: Clock, scope: &Scope) -> Result<(Hub, Admission), StartError> {
        let seams = Seams::memory(&clock);
        Self::new(config, clock, scope)?.start(seams).await
    }

    /// Where a broker puts what other nodes published.
    pub fn sink(&self) -> Arc<dyn BrokerSink> {
        Arc::clone(&self.remote_inbound) as Arc<dyn BrokerSink>
    }

    /// Loads the chat sessions and takes connections in.
    ///
    /// # Errors
    /// [`StartError::Sessions`], [`StartError::History`].
    pub async fn start(self, seams: Seams) -> Result<(Hub, Admission), StartError> {
        self.begin_history(&seams).await?;
        let sessions = self.start_sessions(&seams).await?;
        let presence_notices = PresenceNotices::new(
            Arc::clone(&self.fanout),
            Arc::clone(&seams.broker),
            self.clock.clone(),
            self.scope.clone(),
        );
        let presence_sync = self.start_presence_sync(&seams, &presence_notices);
        let offline_delivery = self.offline_delivery(&seams);
        self.start_gap_notices(&sessions, &offline_delivery);
        self.start_wanted_backlogs(&offline_delivery);
        let shared = Arc::clone(&self.fanout.shared);
        let evicting = async move { shared.history.evict(&shared.connection_counts, &shared.metrics).await };
        self.scope.spawn("history", until_soft(&self.scope, evicting));
        self.start_recovering(&seams);
        self.start_balance(&seams);
        let Self { config, scope, fanout, shards, remote_inbound, jobs, .. } = self;
        let shared = Arc::clone(&fanout.shared);
        let inbound_jobs = InboundJobs {
            shared: Arc::clone(&shared),
            broker: Arc::clone(&seams.broker),
            presence: Arc::clone(&seams.presence),
            offline: Arc::clone(&seams.offline),
            offline_delivery: Arc::clone(&offline_delivery),
            scope: scope.clone(),
        };
        scope.spawn("inbound jobs", inbound_jobs.run(jobs));
        let hub = Hub(Arc::new(HubParts {
            config,
            fanout,
            broker: seams.broker,
            presence: seams.presence,
            offline: seams.offline,
            shards: Arc::clone(&shards),
            peers: seams.peers,
            node_report: OnceLock::new(),
            questions: questions::permits(),
            saved_history: seams.history,
            sessions,
            remote_inbound,
            linger_deadline: OnceLock::new(),
            offline_delivery: Arc::clone(&offline_delivery),
            presence_notices,
        }));
        hub.0.peers.answer_with(Arc::new(HubAnswerer(Arc::downgrade(&hub.0))));
        let next = AtomicUsize::new(0);
        Ok((hub, Admission::new(AdmissionParts { shared, presence_sync, shards, offline_delivery, next })))
    }

    /// Says who gives the positions, and goes on from where the node before left off.
    async fn begin_history(&self, seams: &Seams) -> Result<(), StartError> {
        // Taken in any case: beside others it is of no use, and a node by itself must not go on from it later.
        let saved = match &seams.history {
            Some(history) => history.take().await?,
            None => Vec::new(),
        };
        let history = &self.fanout.shared.history;
        if seams.broker.is_alone() {
            history.give_positions();
            history.restore(&saved);
        }
        if seams.broker.gives_positions() {
            history.take_positions();
        }
        Ok(())
    }

    fn start_recovering(&self, seams: &Seams) {
        if seams.broker.gives_positions() {
            let (shared, broker) = (Arc::clone(&self.fanout.shared), Arc::clone(&seams.broker));
            let recovering = recovering::run(shared, broker, Arc::clone(&self.shards));
            self.scope.spawn("recoveries", until_soft(&self.scope, recovering));
        }
    }

    async fn start_sessions(&self, seams: &Seams) -> Result<Arc<ChatSessions>, StartError> {
        let HubConfig { session_silence, max_sessions, max_tenant_sessions, .. } = *self.config;
        let limits = SessionLimits { all: max_sessions, per_tenant: max_tenant_sessions };
        let (store, shared) = (Arc::clone(&seams.chat), Arc::clone(&self.fanout.shared));
        let loaded = ChatSessions::load(store, self.clock.clone(), session_silence, limits, shared).await?;
        let sessions = Arc::new(loaded);
        self.remote_inbound.know(Arc::clone(&sessions));
        self.scope.spawn("chat-sessions", until_soft(&self.scope, Arc::clone(&sessions).run()));
        Ok(sessions)
    }

    fn start_presence_sync(&self, seams: &Seams, notices: &Arc<PresenceNotices>) -> Arc<PresenceSync> {
        let presence_sync = Arc::new(PresenceSync::new(
            Arc::clone(&self.fanout.shared),
            Arc::clone(&seams.broker),
            Arc::clone(&seams.presence),
            Arc::clone(notices),
        ));
        let tenants = Arc::clone(&presence_sync).run_tenants(self.config.unwatch_after);
        self.scope.spawn("watched tenants", until_soft(&self.scope, tenants));
        let (users, soft) = (Arc::clone(&presence_sync), self.scope.soft().clone());
        self.scope.spawn("presence sync", async move { users.run(&soft).await });
        presence_sync
    }

    fn offline_delivery(&self, seams: &Seams) -> Arc<OfflineDelivery> {
        Arc::new(OfflineDelivery {
            failures: FailedHandovers::default(),
            page_permits: PagePermits::default(),
            shared: Arc::clone(&self.fanout.shared),
            offline: Arc::clone(&seams.offline),
            shards: Arc::clone(&self.shards),
            scope: self.scope.clone(),
            clock: self.clock.clone(),
            active: Mutex::default(),
        })
    }

    fn start_wanted_backlogs(&self, offline_delivery: &Arc<OfflineDelivery>) {
        let (shared, offline_delivery) = (Arc::clone(&self.fanout.shared), Arc::clone(offline_delivery));
        let serving = async move {
            loop {
                shared.wanted_backlogs.noted().await;
                for user in shared.wanted_backlogs.take() {
                    if offline_delivery.may_have(&user) {
                        drop(offline_delivery.serve(user));
                    } else {
                        offline_delivery.release(&user, true).await;
                    }
                }
            }
        };
        self.scope.spawn("wanted backlogs", until_soft(&self.scope, serving));
    }

    fn start_balance(&self, seams: &Seams) {
        if self.config.balance_rate > 0 {
            let (config, shared) = (Arc::clone(&self.config), Arc::clone(&self.fanout.shared));
            let evening_out = balance::run(config, shared, Arc::clone(&seams.presence), Arc::clone(&self.shards));
            self.scope.spawn("balance", until_soft(&self.scope, evening_out));
        }
    }

    fn start_gap_notices(&self, sessions: &Arc<ChatSessions>, offline_delivery: &Arc<OfflineDelivery>) {
        let notifier = GapNotifier {
            shared: Arc::clone(&self.fanout.shared),
            shards: Arc::clone(&self.shards),
            sessions: Arc::clone(sessions),
            offline_delivery: Arc::clone(offline_delivery),
        };
        self.scope.spawn("gap notices", until_soft(&self.scope, notifier.run()));
    }
}

/// Ends background work with the soft token.
fn until_soft<F: Future<Output = ()> + Send + 'static>(
    scope: &Scope,
    work: F,
) -> impl Future<Output = ()> + Send + use<F> {
    let soft = scope.soft().clone();
    async move {
        soft.run_until_cancelled(work).await;
    }
}

impl fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubBuilder").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}
