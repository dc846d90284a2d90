//! A writer: everybody's changes go through one connection, many in one transaction.
//!
//! Callers put jobs into a bounded queue. The writer takes what waits, in turns of the tenants and up to a
//! weight, runs it in one transaction, commits once, and answers everybody. So sixty concurrent publishers
//! pay for one `fsync` together, there is never a fight for SQLite's single write lock, and nobody waits
//! for more than one heavy transaction of somebody else.

mod closing;
mod context;
pub(crate) mod group;
mod job;
mod queue;
mod stats;
mod task;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use diesel::QueryResult;
use hookswitch_hub::BoxFuture;
use hookswitch_runtime::Scope;
use tokio::sync::oneshot;

use super::dialect::{self, Conn};
use super::{Connector, queries};
use crate::error::Failure;
use crate::metrics::StoreMetrics;
use crate::weight::{Caller, Weight};

pub(crate) use closing::{Closing, KeptOpen, kept_open};
pub(crate) use context::WriterContext;
pub(crate) use group::{is_about_data, is_about_lock};
pub(crate) use job::{Job, Merge};
use queue::JobQueue;
pub(crate) use stats::WriterStats;
use task::WriterTask;

/// In whose turn a call is served, and what it costs.
pub(crate) type Cost = (Caller, Weight);

/// Hands work to the writer. Clones share the queue; the writer ends after the last one is gone.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    queue: Arc<QueueHandle>,
    wait: Duration,
    stats: Arc<WriterStats>,
}

/// The callers' end of the queue, which closes with the last of them.
#[derive(Debug)]
struct QueueHandle(Arc<JobQueue>);

impl Drop for QueueHandle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Writer {
    /// Starts one that writes through `connector`, on `conn` as long as it works. `bounds`: so many
    /// calls may wait, and a caller waits so long for room. When `closing` says so, which is soon after the
    /// scope's soft token, it serves what is queued and ends.
    pub(crate) fn start(
        connector: Connector,
        conn: Conn,
        context: Arc<WriterContext>,
        bounds: (usize, Duration),
        metrics: StoreMetrics,
        (scope, closing): (&Scope, Closing),
    ) -> Self {
        let (queue, wait) = bounds;
        let queue = Arc::new(JobQueue::new(queue));
        let stats = Arc::new(WriterStats::new(metrics));
        scope.spawn(
            "store writer",
            WriterTask::new(connector, conn, context, Arc::clone(&queue), stats.clone()).run(closing),
        );
        Self { queue: Arc::new(QueueHandle(queue)), wait, stats }
    }

    /// Runs `work` in a transaction. It may run twice (when a neighbour spoilt the first one), so it
    /// keeps no state between runs. Once queued it runs even if the caller stops waiting.
    pub(crate) async fn call<T, F>(&self, turn: Cost, work: F) -> Result<T, Failure>
    where
        F: FnMut(&mut Conn) -> QueryResult<T> + Send + 'static,
        T: Send + 'static,
    {
        self.call_then(turn, work, |_| ()).await
    }

    /// As [`Writer::call`], for a seam: a failure becomes the seam's error about `operation`.
    pub(crate) fn call_as<'a, T, E, F>(
        &'a self,
        error: fn(Failure, &'static str) -> E,
        operation: &'static str,
        turn: Cost,
        work: F,
    ) -> BoxFuture<'a, Result<T, E>>
    where
        F: FnMut(&mut Conn) -> QueryResult<T> + Send + 'static,
        T: Send + 'static,
        E: 'static,
    {
        Box::pin(async move { self.call(turn, work).await.map_err(|failure| error(failure, operation)) })
    }

    /// As [`Writer::call`]; `after` runs once the change is committed and before anybody is answered.
    pub(crate) async fn call_then<T, F, A>(&self, turn: Cost, work: F, after: A) -> Result<T, Failure>
    where
        F: FnMut(&mut Conn) -> QueryResult<T> + Send + 'static,
        A: FnOnce(&T) + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(turn, Job::one(work, after, reply)).await?;
        answer.await.unwrap_or(Err(Failure::Stopped))
    }

    /// Runs work that the writer merges with its neighbours.
    pub(crate) async fn merge<I, T>(&self, turn: Cost, input: I, kind: fn(Merge<I, T>) -> Job) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(turn, kind(Merge { input, reply })).await?;
        answer.await.unwrap_or(Err(Failure::Stopped))
    }

    async fn send(&self, (caller, weight): Cost, job: Job) -> Result<(), Failure> {
        self.queue.0.push(caller, weight, job, self.wait).await
    }

    /// Whether writing works: the writer answers, and after a failure has written something again.
    pub(crate) async fn check(&self) -> Result<(), Failure> {
        self.call((Caller::Node, Weight::LIGHT), |_| Ok(())).await?;
        if self.stats.is_failing.load(Ordering::Acquire) { Err(Failure::Unproven) } else { Ok(()) }
    }

    /// Calls that wait now.
    pub(crate) fn n_waiting(&self) -> usize {
        self.queue.0.len()
    }

    /// Whether both are one writer.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.queue, &other.queue)
    }
}
