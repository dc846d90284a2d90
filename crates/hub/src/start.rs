//! Assembly: from settings and seams to a running hub.

use std::fmt;
use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock};

use hookswitch_runtime::{Clock, Scope};
use tokio::sync::{Semaphore, mpsc};

use crate::broker::{Broker, BrokerSink};
use crate::chat::{ChatSessionError, ChatSessionStore};
use crate::config::HubConfig;
use crate::courier::Couriers;
use crate::door::{Door, DoorParts};
use crate::errands::{Errand, Errands};
use crate::fanout::{Fanout, ShardLane};
use crate::gaps::GapTeller;
use crate::hub::{Hub, HubParts};
use crate::intake::Intake;
use crate::memory::{MemoryBroker, MemoryChatSessions, MemoryOffline, MemoryPresence};
use crate::offline::{OfflineLimits, OfflineStore};
use crate::outlet::Outlet;
use crate::presence::PresenceStore;
use crate::roster::Roster;
use crate::sessions::ChatSessions;
use crate::shard::{self, Request};
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
}

impl Seams {
    /// Memory keepers for a node on its own: nothing survives the process.
    pub fn memory(clock: &Clock) -> Self {
        Self {
            broker: Arc::new(MemoryBroker::alone()),
            presence: Arc::new(MemoryPresence::new(clock.clone())),
            offline: Arc::new(MemoryOffline::new(OfflineLimits::default(), clock.clone())),
            chat: Arc::new(MemoryChatSessions::default()),
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
}

/// Shards that run but take no connections yet: brokers need the sink before the hub can start.
pub struct Prepared<O: Outlet> {
    config: Arc<HubConfig>,
    clock: Clock,
    scope: Scope,
    fanout: Arc<Fanout>,
    shards: Arc<[mpsc::Sender<Request<O>>]>,
    intake: Arc<Intake>,
    errands: mpsc::Receiver<Errand>,
}

impl Hub {
    /// Starts the shards' threads. They end with the scope's hard token; a crash of one trips the
    /// soft token, like that of a task.
    ///
    /// # Errors
    /// [`StartError::Threads`].
    pub fn prepare<O: Outlet>(config: HubConfig, clock: Clock, scope: &Scope) -> Result<Prepared<O>, StartError> {
        let config = Arc::new(config);
        let shared = Arc::new(Shared::new(config.home_connections));
        let (mut lanes, mut shards) = (Vec::new(), Vec::new());
        for index in 0..config.shards.clamp(1, 255) {
            let mailbox =
                shard::spawn::<O>(index as u8, Arc::clone(&config), clock.clone(), Arc::clone(&shared), scope.clone())?;
            let room = Arc::new(Semaphore::new(config.mailbox_events.max(1)));
            lanes.push(ShardLane { batches: mailbox.batches, room, runtime: mailbox.runtime, load: mailbox.load });
            shards.push(mailbox.requests);
        }
        let fanout = Arc::new(Fanout::new(shared, lanes, config.mailbox_events.max(1)));
        let (intake, errands) = Intake::new(Arc::clone(&fanout), scope.clone(), config.publish_deadline);
        Ok(Prepared { config, clock, scope: scope.clone(), fanout, shards: shards.into(), intake, errands })
    }

    /// A hub with memory keepers, for embedders and tests.
    ///
    /// # Errors
    /// [`StartError::Threads`].
    pub async fn in_memory<O: Outlet>(
        config: HubConfig,
        clock: Clock,
        scope: &Scope,
    ) -> Result<(Self, Door<O>), StartError> {
        let seams = Seams::memory(&clock);
        Self::prepare(config, clock, scope)?.start(seams).await
    }
}

impl<O: Outlet> Prepared<O> {
    /// Where a broker puts what other nodes published.
    pub fn sink(&self) -> Arc<dyn BrokerSink> {
        Arc::clone(&self.intake) as Arc<dyn BrokerSink>
    }

    /// Loads the chat sessions and opens the door.
    ///
    /// # Errors
    /// [`StartError::Sessions`].
    pub async fn start(self, seams: Seams) -> Result<(Hub, Door<O>), StartError> {
        let Self { config, clock, scope, fanout, shards, intake, errands } = self;
        let sessions =
            ChatSessions::load(Arc::clone(&seams.chat), clock.clone(), config.session_silence, config.max_sessions)
                .await?;
        let sessions = Arc::new(sessions);
        intake.know(Arc::clone(&sessions));
        scope.spawn("chat-sessions", until_soft(&scope, Arc::clone(&sessions).run()));
        let shared = Arc::clone(&fanout.shared);
        let roster = start_roster(&config, &fanout, &seams, &clock, &scope);
        let couriers = Arc::new(Couriers {
            shared: Arc::clone(&shared),
            offline: Arc::clone(&seams.offline),
            shards: Arc::clone(&shards),
            scope: scope.clone(),
            clock,
            active: Mutex::default(),
        });
        let doing = Errands {
            shared: Arc::clone(&shared),
            broker: Arc::clone(&seams.broker),
            presence: Arc::clone(&seams.presence),
            offline: Arc::clone(&seams.offline),
            couriers: Arc::clone(&couriers),
            scope: scope.clone(),
        };
        scope.spawn("errands", doing.run(errands));
        let telling = GapTeller {
            shared: Arc::clone(&shared),
            shards: Arc::clone(&shards),
            sessions: Arc::clone(&sessions),
            couriers: Arc::clone(&couriers),
            scope: scope.clone(),
        };
        scope.spawn("gaps", until_soft(&scope, telling.run()));
        let serve_backlog = {
            let couriers = Arc::clone(&couriers);
            Box::new(move |user| couriers.serve(user))
        };
        let hub = Hub(Arc::new(HubParts {
            config,
            fanout,
            broker: seams.broker,
            presence: seams.presence,
            offline: seams.offline,
            sessions,
            intake,
            linger_deadline: OnceLock::new(),
            serve_backlog,
        }));
        Ok((hub, Door::new(DoorParts { shared, roster, shards, couriers, next: AtomicUsize::new(0) })))
    }
}

/// The roster, looking after those who come and go.
fn start_roster(config: &HubConfig, fanout: &Arc<Fanout>, seams: &Seams, clock: &Clock, scope: &Scope) -> Arc<Roster> {
    let roster = Arc::new(Roster::new(
        Arc::clone(fanout),
        Arc::clone(&seams.broker),
        Arc::clone(&seams.presence),
        clock.clone(),
        config.publish_deadline,
    ));
    let tenants = Arc::clone(&roster).run_tenants(config.unwatch_after);
    scope.spawn("roster tenants", until_soft(scope, tenants));
    let (looking, soft) = (Arc::clone(&roster), scope.soft().clone());
    scope.spawn("roster", async move { looking.run(&soft).await });
    roster
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

impl<O: Outlet> fmt::Debug for Prepared<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}
