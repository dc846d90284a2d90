//! Reading: connections of their own, never behind the writer, which tenants share.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel::QueryResult;
use hookswitch_hub::BoxFuture;
use hookswitch_protocol::TenantId;
use hookswitch_runtime::{FairPermit, FairSemaphore, Sharing};
use tokio::time::{Instant, timeout};

use super::connect::Origin;
use super::dialect::{self, Conn};
use super::{Connector, Interrupt};
use crate::error::Failure;
use crate::metrics::StoreMetrics;

/// How old a connection gets: it may lead to a server or a file that is not the database any more.
const MAX_AGE: Duration = Duration::from_secs(30);

/// How much longer than a query its caller waits, so that who is told is told why.
const GRACE: Duration = Duration::from_millis(500);

/// Whose read it is; `None` is the node's own.
pub(crate) type Asker = Option<TenantId>;

/// How much may be read at once, and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadBounds {
    /// Connections, and so reads that run at once.
    pub(crate) n_connections: usize,
    /// How many of them one tenant may have, and how many of its reads may wait.
    pub(crate) sharing: Sharing,
    /// How long a caller waits for its turn.
    pub(crate) wait: Duration,
    /// How long a read may take from then on.
    pub(crate) limit: Duration,
}

/// Reads what is committed. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Readers(Arc<Shared>);

struct Shared {
    connector: Connector,
    bounds: ReadBounds,
    permits: FairSemaphore<Asker>,
    idle: Mutex<Vec<Lent>>,
    metrics: StoreMetrics,
}

/// A connection, and what is known of it. One that is not put back is closed: after an error or a panic
/// nobody knows what state it is in.
struct Lent {
    conn: Conn,
    interrupt: Interrupt,
    origin: Origin,
    opened: Instant,
    last_used: Instant,
}

impl Readers {
    /// Opens nothing yet.
    pub(crate) fn new(connector: Connector, bounds: ReadBounds, metrics: StoreMetrics) -> Self {
        let permits = FairSemaphore::new(bounds.n_connections.max(1) as u64, bounds.sharing);
        Self(Arc::new(Shared { connector, bounds, permits, idle: Mutex::default(), metrics }))
    }

    /// Runs `query` on a reading connection. When the caller goes away, or after the limit, the query is
    /// ended where the database can do that; its permit is given back only when it has really ended.
    pub(crate) async fn read<T, F>(&self, asker: &Asker, query: F) -> Result<T, Failure>
    where
        F: FnOnce(&mut Conn) -> QueryResult<T> + Send + 'static,
        T: Send + 'static,
    {
        let permit = self.0.permit(asker).await?;
        let lent = self.0.connection().await?;
        let (shared, limit) = (Arc::clone(&self.0), self.0.bounds.limit);
        let caller = Caller::default();
        let is_gone = Arc::clone(&caller.0);
        let answer = tokio::task::spawn_blocking(move || {
            let outcome = shared.run(lent, is_gone, query);
            drop(permit);
            outcome
        });
        let outcome = match timeout(limit + GRACE, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(gone)) => Err(Failure::from(gone)),
            Err(_elapsed) => Err(Failure::TooLong(limit)),
        };
        if matches!(outcome, Err(Failure::TooLong(_))) {
            self.0.metrics.reads_ended.inc();
        }
        outcome
    }

    /// The same for a seam: a failure becomes the seam's error about `operation`.
    pub(crate) fn read_as<'a, T, E, F>(
        &'a self,
        error: fn(Failure, &'static str) -> E,
        operation: &'static str,
        asker: Asker,
        query: F,
    ) -> BoxFuture<'a, Result<T, E>>
    where
        F: FnOnce(&mut Conn) -> QueryResult<T> + Send + 'static,
        T: Send + 'static,
        E: 'static,
    {
        Box::pin(async move { self.read(&asker, query).await.map_err(|failure| error(failure, operation)) })
    }

    /// Reads that run or still end.
    pub(crate) fn n_running(&self) -> u64 {
        self.0.permits.used()
    }

    /// Reads that wait for their turn.
    pub(crate) fn n_waiting(&self) -> usize {
        self.0.permits.n_waiting()
    }
}

impl Shared {
    async fn permit(&self, asker: &Asker) -> Result<FairPermit<Asker>, Failure> {
        let granted = timeout(self.bounds.wait, self.permits.acquire(asker, 1)).await;
        // Too many wait, or nobody ended in time.
        granted.ok().and_then(Result::ok).ok_or_else(|| {
            self.metrics.reads_refused.inc();
            Failure::NoReader
        })
    }

    /// One that leads to the present database and works; there is one for each permit. Where none can be had any
    /// more, an outdated one that works is better than none.
    async fn connection(&self) -> Result<Lent, Failure> {
        loop {
            let Some(mut lent) = self.lock().pop() else { return self.open().await };
            let is_current = lent.opened.elapsed() < MAX_AGE && self.connector.is_current(lent.origin);
            if is_current {
                if self.is_alive(&mut lent).await {
                    return Ok(lent);
                }
                continue;
            }
            return match self.open().await {
                Err(_) if self.connector.is_usable(lent.origin) && self.is_alive(&mut lent).await => Ok(lent),
                opened => opened,
            };
        }
    }

    async fn is_alive(&self, lent: &mut Lent) -> bool {
        self.connector.is_alive(&mut lent.conn, lent.last_used.elapsed()).await
    }

    async fn open(&self) -> Result<Lent, Failure> {
        // What it leads to is looked at first: changed meanwhile, it is not used twice.
        let origin = self.connector.origin();
        let mut conn = self.connector.open().await?;
        let interrupt = Interrupt::install(&mut conn, &self.connector)?;
        let now = Instant::now();
        Ok(Lent { conn, interrupt, origin, opened: now, last_used: now })
    }

    fn run<T>(
        &self,
        mut lent: Lent,
        is_gone: Arc<AtomicBool>,
        query: impl FnOnce(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, Failure> {
        if is_gone.load(Ordering::Acquire) {
            self.put_back(lent);
            return Err(Failure::Stopped);
        }
        let limit = self.bounds.limit;
        lent.interrupt.begin(&mut lent.conn, limit, is_gone);
        match query(&mut lent.conn) {
            Ok(answer) => {
                self.put_back(lent);
                Ok(answer)
            }
            Err(error) if dialect::was_interrupted(&error) => Err(Failure::TooLong(limit)),
            Err(error) => Err(Failure::from(error)),
        }
    }

    fn put_back(&self, lent: Lent) {
        self.lock().push(Lent { last_used: Instant::now(), ..lent });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Lent>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever waits for a read; says so when dropped.
#[derive(Default)]
struct Caller(Arc<AtomicBool>);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("bounds", &self.0.bounds).finish_non_exhaustive()
    }
}
