//! The writer's task: owns the one writing connection and makes it anew when it broke.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use diesel::result::Error;
use hookswitch_runtime::Scope;
use tokio::sync::mpsc;

use super::job::Job;
use super::{Tally, group};
use crate::connect::{self, Wrapped};
use crate::error::Failure;
use crate::lock::FileLock;
use crate::queries;

/// Most calls in one transaction: it bounds how long the first of them waits for the last.
const GROUP: usize = 512;

/// The state of the writing task.
pub(crate) struct WriterTask {
    pub(crate) path: String,
    pub(crate) busy_timeout: Duration,
    pub(crate) queue: mpsc::Receiver<Job>,
    pub(crate) tally: Arc<Tally>,
    /// `None` after a failure, until the next group.
    pub(crate) conn: Option<Wrapped>,
    /// Whether the log says that writing fails: said once, not with every call.
    pub(crate) is_told: bool,
    /// Let go only when nothing can be written any more.
    pub(crate) lock: Arc<FileLock>,
}

impl WriterTask {
    /// Serves the queue until all callers are gone, or until the scope's soft token was cancelled and the queue is
    /// empty. Dropping the future ends it after the group in progress, whose callers are answered.
    pub(crate) async fn run(mut self, scope: Scope) {
        let mut is_closing = false;
        loop {
            let mut jobs = Vec::new();
            tokio::select! {
                // Closing first: otherwise callers that never pause would keep the writer alive.
                biased;
                () = scope.soft().cancelled(), if !is_closing => {
                    is_closing = true;
                    self.queue.close();
                    continue;
                }
                n_jobs = self.queue.recv_many(&mut jobs, GROUP) => {
                    if n_jobs == 0 {
                        break;
                    }
                }
            }
            self.serve(jobs).await;
        }
        tracing::debug!(path = %self.path, "store closed");
    }

    async fn serve(&mut self, jobs: Vec<Job>) {
        let mut conn = match self.connection().await {
            Ok(conn) => conn,
            Err(failure) => {
                self.note(Some(&failure));
                return refuse(jobs, &failure);
            }
        };
        let (tally, lock) = (self.tally.clone(), self.lock.clone());
        // The closure answers the callers itself and holds the lock: it survives this future.
        let served = conn.spawn_blocking(move |conn| {
            // Before the group, so that whoever is answered after a failure finds out what holds now.
            if tally.is_failing.load(Ordering::Acquire) && queries::proof::write(conn).is_ok() {
                tally.is_failing.store(false, Ordering::Release);
            }
            let ended = group::run(conn, jobs, &tally);
            drop(lock);
            Ok(ended)
        });
        match served.await.map_err(Failure::from).and_then(|ended| ended) {
            Ok(()) => {
                self.conn = Some(conn);
                self.note(None);
            }
            // The connection is dropped here: the next group opens the file anew.
            Err(failure) => self.note(Some(&failure)),
        }
    }

    /// Tells the operator when writing stops to work, and when it works again.
    fn note(&mut self, failure: Option<&Failure>) {
        if failure.is_some() {
            self.tally.is_failing.store(true, Ordering::Release);
        }
        let is_failing = self.tally.is_failing.load(Ordering::Acquire);
        match failure {
            Some(failure) if !self.is_told => {
                let error: &dyn std::error::Error = failure;
                tracing::error!(path = %self.path, error, "the database cannot be written, callers are told so");
            }
            None if self.is_told && !is_failing => {
                tracing::info!(path = %self.path, "the database can be written again");
            }
            _ => {}
        }
        self.is_told = is_failing;
    }

    async fn connection(&mut self) -> Result<Wrapped, Failure> {
        if let Some(conn) = self.conn.take() {
            return Ok(conn);
        }
        let (path, busy_timeout) = (self.path.clone(), self.busy_timeout);
        let opened = tokio::task::spawn_blocking(move || connect::writer(&path, busy_timeout)).await;
        match opened {
            Ok(Ok(conn)) => Ok(Wrapped::new(conn)),
            Ok(Err(error)) => Err(Failure::Connect(Arc::new(error))),
            Err(gone) => Err(Failure::from(Error::QueryBuilderError(Box::new(gone)))),
        }
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
