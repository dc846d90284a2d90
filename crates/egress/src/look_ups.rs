//! Look-ups of names: shared by everything that goes out, bounded, and fair between those on whose behalf they are.
//!
//! What a name server does not answer holds a permit until it has really ended, also when nobody waits for it any
//! more. A name is looked up once at a time, however many wait for it, and not at all while its last answer is good.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use hookswitch_runtime::{FairPermit, FairSemaphore, Sharing};
use hyper::rt::Executor as _;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use crate::known_names::{Answer, KnownNames, LookUpError};
use crate::name_resolver::Resolver;

/// Most look-ups at once. One is a question for each family, asked up to three times of two servers at a time.
/// One requester alone gets half.
const LOOK_UPS: u64 = 128;

/// Most look-ups that wait for one requester.
const WAITING: u64 = 1_024;

/// No look-up is waited for longer than this, its turn included.
const DEADLINE: Duration = Duration::from_secs(10);

/// What a look-up is for. Each purpose of a requester has a share of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// To judge a URL that somebody saves.
    Check,
    /// To connect.
    Connect,
    /// To connect, by a name whose last look-up failed: it may take its time again, and holds up no other.
    ConnectAgain,
}

/// Whose a permit is, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PermitKey {
    requester: Arc<str>,
    purpose: Purpose,
}

type Found = Result<Arc<[IpAddr]>, LookUpError>;
type Running = Shared<BoxFuture<'static, Found>>;

/// All look-ups of one process. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct LookUps(Arc<State>);

#[derive(Debug)]
struct State {
    resolver: Resolver,
    permits: FairSemaphore<PermitKey>,
    known: Mutex<KnownNames>,
    running: Mutex<HashMap<Arc<str>, Running>>,
}

impl LookUps {
    /// Those of this resolver.
    pub(crate) fn new(resolver: Resolver) -> Self {
        let permits = FairSemaphore::new(LOOK_UPS, Sharing { alpha: 1, waiting: WAITING });
        Self(Arc::new(State { resolver, permits, known: Mutex::default(), running: Mutex::default() }))
    }

    /// The addresses of a name, unjudged. Cancel safe; a look-up that was begun is ended for whoever asks next.
    pub(crate) async fn resolve(&self, requester: &Arc<str>, purpose: Purpose, name: &str) -> Found {
        match timeout(DEADLINE, self.look_up(requester, purpose, name)).await {
            Ok(found) => found,
            Err(_) => Err(self.if_late(name)),
        }
    }

    /// How a look-up of this name is judged that is not done when somebody cannot wait any longer.
    pub(crate) fn if_late(&self, name: &str) -> LookUpError {
        LookUpError::Failed { is_ours: self.0.known().is_ours(name) }
    }

    /// How many run now.
    pub(crate) fn n_running(&self) -> u64 {
        self.0.permits.used()
    }

    /// How many wait for their turn.
    pub(crate) fn n_waiting(&self) -> usize {
        self.0.permits.n_waiting()
    }

    async fn look_up(&self, requester: &Arc<str>, purpose: Purpose, name: &str) -> Found {
        if self.0.resolver.is_renewed() {
            self.0.known().forget();
        }
        if let Some(known) = self.0.known().addresses(name) {
            return Ok(known);
        }
        let running = self.0.running().get(name).cloned();
        if let Some(running) = running {
            return running.await;
        }
        let is_again = purpose == Purpose::Connect && self.0.known().is_failing(name);
        let purpose = if is_again { Purpose::ConnectAgain } else { purpose };
        let key = PermitKey { requester: Arc::clone(requester), purpose };
        let permit = self.0.permits.acquire(&key, 1).await.map_err(|_| LookUpError::Crowded)?;
        // Somebody else may have found it meanwhile.
        if let Some(known) = self.0.known().addresses(name) {
            return Ok(known);
        }
        self.start(name, permit).await
    }

    /// Joins the look-up of this name, or begins one, which goes on also when nobody waits for it.
    fn start(&self, name: &str, permit: FairPermit<PermitKey>) -> Running {
        let mut running = self.0.running();
        if let Some(running) = running.get(name) {
            return running.clone();
        }
        let name: Arc<str> = Arc::from(name);
        let started = Arc::clone(&self.0).run(Arc::clone(&name), permit).boxed().shared();
        running.insert(name, started.clone());
        TokioExecutor::new().execute(started.clone().map(drop));
        started
    }
}

impl State {
    async fn run(self: Arc<Self>, name: Arc<str>, permit: FairPermit<PermitKey>) -> Found {
        let ended = Ended { state: self, name, _permit: permit };
        let resolved = ended.state.resolver.resolve(&ended.name, DEADLINE).await;
        ended.state.remember(&ended.name, resolved)
    }

    fn remember(&self, name: &Arc<str>, resolved: Result<Answer, LookUpError>) -> Found {
        let mut known = self.known();
        match &resolved {
            Ok(answer) => known.answered(name, answer.clone()),
            Err(LookUpError::NoAddress) => known.said_nothing_of(name),
            Err(_) => {
                known.failed(name);
                return Err(LookUpError::Failed { is_ours: known.is_ours(name) });
            }
        }
        resolved.map(|answer| answer.addresses)
    }

    fn known(&self) -> MutexGuard<'_, KnownNames> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Arc<str>, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a look-up when dropped, also where an embedder's resolver panics.
struct Ended {
    state: Arc<State>,
    name: Arc<str>,
    _permit: FairPermit<PermitKey>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.state.running().remove(&self.name);
    }
}
