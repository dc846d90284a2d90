//! The writer's task: owns the one writing connection and makes it anew when it broke.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::closing::Closing;
use super::context::WriterContext;
use super::job::Job;
use super::queue::{JobQueue, Queued};
use super::stats::WriterStats;
use super::{Conn, Connector, group, queries};
use crate::error::Failure;

/// The state of the writing task.
pub(crate) struct WriterTask {
    connector: Connector,
    context: Arc<WriterContext>,
    queue: Arc<JobQueue>,
    stats: Arc<WriterStats>,
    /// `None` after a failure, until the next group.
    conn: Option<Conn>,
    /// When the connection was last known to work.
    last_used: Instant,
    /// When it is replaced though it works.
    renew_at: Option<Instant>,
    /// Whether the log says that writing fails: said once, not with every call.
    is_told: bool,
}

impl WriterTask {
    pub(crate) fn new(
        connector: Connector,
        conn: Conn,
        context: Arc<WriterContext>,
        queue: Arc<JobQueue>,
        stats: Arc<WriterStats>,
    ) -> Self {
        let (last_used, renew_at) = (Instant::now(), connector.renewal().map(|after| Instant::now() + after));
        Self { connector, context, queue, stats, conn: Some(conn), last_used, renew_at, is_told: false }
    }

    /// Serves the queue until all callers are gone, or until it is to close and the queue is empty. Dropping the future ends it after the group in progress, whose callers are answered.
    pub(crate) async fn run(mut self, mut closing: Closing) {
        let mut is_closing = false;
        loop {
            let group = tokio::select! {
                // Closing first: otherwise callers that never pause would keep the writer alive.
                biased;
                () = closing.closed(), if !is_closing => {
                    is_closing = true;
                    self.queue.close();
                    continue;
                }
                group = self.queue.next_group() => group,
            };
            let Some(group) = group else { break };
            self.serve(group).await;
        }
        tracing::debug!(database = %self.connector, "store closed");
    }

    async fn serve(&mut self, group: Vec<Queued>) {
        let (jobs, room): (Vec<Job>, Vec<_>) = group.into_iter().map(|queued| (queued.job, queued.room)).unzip();
        let mut conn = match self.connection().await {
            Ok(conn) => conn,
            Err(failure) => {
                self.note(Some(&failure));
                return refuse(jobs, &failure);
            }
        };
        let (stats, connector, context) = (self.stats.clone(), self.connector.clone(), self.context.clone());
        // The closure answers the callers itself and holds the connector: it survives this future.
        let served = tokio::task::spawn_blocking(move || {
            // Kept until the work has really ended, whoever waits for it.
            let _room = room;
            connector.begin(&mut conn);
            // Before the group, so that whoever is answered after a failure finds out what holds now.
            if stats.is_failing.load(Ordering::Acquire) && queries::proof::write(&mut conn).is_ok() {
                stats.is_failing.store(false, Ordering::Release);
            }
            // After an error the connection is dropped: the next group opens another.
            group::run(&mut conn, &connector, jobs, &context, &stats).map(|()| conn)
        });
        match served.await.map_err(Failure::from).and_then(|ended| ended) {
            Ok(conn) => {
                self.conn = Some(conn);
                self.last_used = Instant::now();
                self.note(None);
            }
            Err(failure) => self.note(Some(&failure)),
        }
    }

    /// Tells the operator when writing stops to work, and when it works again.
    fn note(&mut self, failure: Option<&Failure>) {
        if failure.is_some() {
            self.stats.is_failing.store(true, Ordering::Release);
        }
        let is_failing = self.stats.is_failing.load(Ordering::Acquire);
        match failure {
            Some(failure) if !self.is_told => {
                let error: &dyn std::error::Error = failure;
                tracing::error!(database = %self.connector, error, "the database cannot be written, callers are told so");
            }
            None if self.is_told && !is_failing => {
                tracing::info!(database = %self.connector, "the database can be written again");
            }
            _ => {}
        }
        self.is_told = is_failing;
    }

    async fn connection(&mut self) -> Result<Conn, Failure> {
        let mut present = None;
        if let Some(mut conn) = self.conn.take()
            && self.connector.is_alive(&mut conn, self.last_used.elapsed()).await
        {
            if self.renew_at.is_none_or(|at| Instant::now() < at) {
                return Ok(conn);
            }
            present = Some(conn);
        }
        self.renew_at = self.connector.renewal().map(|after| Instant::now() + after);
        match (self.connector.open().await, present) {
            (Err(failure), Some(conn)) => {
                // What works is not given up for a server that has no place for another login.
                tracing::warn!(database = %self.connector, error = &failure as &dyn std::error::Error, "the writing connection could not be renewed, the present one goes on");
                Ok(conn)
            }
            (opened, _) => opened,
        }
    }
}

impl Drop for WriterTask {
    /// Also when it is ended midway: whoever waits is told.
    fn drop(&mut self) {
        self.queue.abandon();
    }
}

fn refuse(jobs: Vec<Job>, failure: &Failure) {
    for job in jobs {
        match job {
            Job::Alone(work) => work.answer(Err(failure.clone())),
            Job::Enqueue(one) => drop(one.reply.send(Err(failure.clone()))),
            Job::Finish(one) => drop(one.reply.send(Err(failure.clone()))),
        }
    }
}
