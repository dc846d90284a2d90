//! What an open store consists of.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::QueryResult;
use hookswitch_hub::OfflineLimits;
use hookswitch_runtime::Clock;
use tokio::time::Instant;

use super::dialect::NodeLiveness;
use super::endings::Endings;
use super::known_version::KnownVersion;
use super::owed::OwedLogs;
use super::{Conn, PendingUsers, ReaderClasses, Writer};
use crate::ended_nodes::EndedNodes;
use crate::error::Failure;
use crate::metrics::StoreMetrics;
use crate::offline_claim::Holder;
use crate::step_size::StepSize;
use crate::webhook_columns::WebhookColumns;
use crate::weight::{Caller, Weight};

/// The longest rest between two steps of a chore.
const LONGEST_REST: Duration = Duration::from_millis(50);

/// The parts of an open store.
pub(crate) struct Inner {
    pub(crate) offline: OfflineLimits,
    pub(crate) metrics: StoreMetrics,
    pub(crate) columns: Arc<WebhookColumns>,
    pub(crate) clock: Clock,
    /// Acceptance and registrations: what somebody outside waits for.
    pub(crate) acceptance: Writer,
    /// Lease, settling and chores. On a database with one writer, that same one.
    pub(crate) dispatch: Writer,
    pub(crate) readers: ReaderClasses,
    pub(crate) pending_users: PendingUsers,
    /// What this node knows of the others on the database.
    pub(crate) liveness: Arc<Mutex<NodeLiveness>>,
    /// In whose name offline messages are claimed.
    pub(crate) holder: Holder,
    /// Which other nodes have certainly ended.
    pub(crate) ended_nodes: EndedNodes,
    pub(crate) chores: Chores,
    /// What the directory was.
    pub(crate) directory: Arc<KnownVersion>,
}

/// What is done beside what somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Chores {
    /// Webhooks with deliveries to be ended.
    pub(crate) endings: Arc<Endings>,
    /// Rows of the attempt log that could not be written yet.
    pub(crate) owed: OwedLogs,
    /// How long chat sessions may be silent, once that is known.
    pub(crate) chat_silence: Mutex<Option<Duration>>,
    pub(crate) ending: Arc<StepSize>,
    pub(crate) expiring: Arc<StepSize>,
    pub(crate) purging: Arc<StepSize>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("acceptance", &self.acceptance).finish_non_exhaustive()
    }
}

impl Inner {
    /// Calls that wait for a writer now.
    pub(crate) fn n_waiting(&self) -> usize {
        let dispatch = if self.acceptance.is_same(&self.dispatch) { 0 } else { self.dispatch.n_waiting() };
        self.acceptance.n_waiting() + dispatch
    }

    /// Whether both writers can write.
    pub(crate) async fn check_writing(&self) -> Result<(), Failure> {
        tokio::try_join!(self.acceptance.check(), self.dispatch.check()).map(drop)
    }

    /// One step of a chore, in a transaction of its own, of as many rows as take little time; at most `most`.
    /// How many rows it was, and whether there are more. Then it rests for as long as that took: what somebody waits
    /// for are several transactions, and a chore that always has the next turn would come between them each time.
    pub(crate) async fn chore(
        &self,
        step: &Arc<StepSize>,
        most: usize,
        mut work: impl FnMut(&mut Conn, i64) -> QueryResult<usize> + Send + 'static,
    ) -> Result<(usize, bool), Failure> {
        let limit = step.rows().min(most);
        let measured = Arc::clone(step);
        let work = move |conn: &mut Conn| {
            let began = Instant::now();
            let n_rows = work(conn, limit as i64)?;
            measured.took(n_rows, began.elapsed());
            Ok(n_rows)
        };
        let began = Instant::now();
        let n_rows = self.dispatch.call((Caller::Chores, Weight::of_rows(limit)), work).await?;
        let has_more = n_rows >= limit;
        if has_more {
            tokio::time::sleep(began.elapsed().min(LONGEST_REST)).await;
        }
        Ok((n_rows, has_more))
    }
}
