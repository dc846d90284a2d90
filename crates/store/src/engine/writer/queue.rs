//! What waits for a writer: bounded, and taken out in groups in which tenants take turns.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookswitch_protocol::TenantId;
use hookswitch_runtime::{FairPermit, FairSemaphore, Sharing};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::job::Job;
use crate::error::Failure;
use crate::weight::{Caller, Weight};

/// Most calls in one transaction: it bounds how long the first of them waits for the last.
const GROUP_CALLS: usize = 512;

/// The heaviest transaction of many calls. A single call may be heavier, and has one of its own.
const GROUP: Weight = Weight { n_rows: 4_000, n_bytes: 4 * 1024 * 1024 };

/// The most that one caller puts into a transaction with others while several tenants write: what is
/// heavier goes by itself, so that nobody waits for more than one such transaction.
const SHARE: Weight = Weight { n_rows: 250, n_bytes: 256 * 1024 };

/// For so long after two tenants wrote the writer counts as shared: the next call of one of them must not
/// meet a transaction that the other one filled.
const SHARED_FOR: Duration = Duration::from_secs(10);

/// Jobs that wait, with what holds their room.
#[derive(Debug)]
pub(crate) struct JobQueue {
    room: FairSemaphore<Caller>,
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

/// A job with its room, which it keeps until it was answered.
pub(crate) struct Queued {
    pub(crate) job: Job,
    pub(crate) weight: Weight,
    pub(crate) room: FairPermit<Caller>,
}

#[derive(Default)]
struct Waiting {
    by_caller: HashMap<Caller, VecDeque<Queued>>,
    /// Each caller that has something, once.
    turns: VecDeque<Caller>,
    last_tenant: Option<TenantId>,
    shared_until: Option<Instant>,
    is_closed: bool,
}

impl JobQueue {
    /// At most so many calls wait, of which one caller has half; a heavy one counts for several.
    pub(crate) fn new(n_calls: usize) -> Self {
        let total = n_calls.max(1) as u64;
        let room = FairSemaphore::new(total, Sharing { alpha: 1, waiting: total });
        Self { room, waiting: Mutex::default(), arrived: Notify::new() }
    }

    /// Waits so long for room. Cancel safe: the job is queued or not.
    pub(crate) async fn push(&self, caller: Caller, weight: Weight, job: Job, wait: Duration) -> Result<(), Failure> {
        let waiting = tokio::time::timeout(wait, self.room.acquire(&caller, weight.n_calls()));
        let Ok(Ok(room)) = waiting.await else { return Err(Failure::Overloaded) };
        self.lock().push(caller, Queued { job, weight, room }, Instant::now())?;
        self.arrived.notify_one();
        Ok(())
    }

    /// The next jobs to be done in one transaction; `None` once the queue is closed and empty. For one
    /// writer only. Cancel safe.
    pub(crate) async fn next_group(&self) -> Option<Vec<Queued>> {
        loop {
            let arrived = self.arrived.notified();
            {
                let mut waiting = self.lock();
                let group = waiting.take_group(Instant::now());
                if !group.is_empty() {
                    return Some(group);
                }
                if waiting.is_closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// Takes nothing more in.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_one();
    }

    /// The writer is gone: whoever waits is told so.
    pub(crate) fn abandon(&self) {
        let gone = {
            let mut waiting = self.lock();
            waiting.is_closed = true;
            std::mem::take(&mut waiting.by_caller)
        };
        // Outside the lock: it lets others into the room.
        drop(gone);
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().by_caller.values().map(VecDeque::len).sum::<usize>() + self.room.n_waiting()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn push(&mut self, caller: Caller, queued: Queued, now: Instant) -> Result<(), Failure> {
        if self.is_closed {
            return Err(Failure::Stopped);
        }
        if let Caller::Tenant(tenant) = &caller
            && self.last_tenant.as_ref() != Some(tenant)
            && self.last_tenant.replace(tenant.clone()).is_some()
        {
            self.shared_until = Some(now + SHARED_FOR);
        }
        let jobs = self.by_caller.entry(caller.clone()).or_default();
        if jobs.is_empty() {
            self.turns.push_back(caller);
        }
        jobs.push_back(queued);
        Ok(())
    }

    /// One job of each caller after the other, as far as they fit together. The first goes in any case.
    fn take_group(&mut self, now: Instant) -> Vec<Queued> {
        let share = if self.shared_until.is_some_and(|until| now < until) { SHARE } else { GROUP };
        let mut group: Vec<Queued> = Vec::new();
        let (mut total, mut taken) = (Weight::default(), HashMap::<Caller, Weight>::new());
        // Whose next job does not fit has the next group's first turns, or light ones would pass for ever.
        let mut passed = Vec::new();
        while group.len() < GROUP_CALLS
            && let Some(caller) = self.turns.pop_front()
        {
            let Some(jobs) = self.by_caller.get_mut(&caller) else { continue };
            let Some(weight) = jobs.front().map(|next| next.weight) else { continue };
            let of_caller = taken.entry(caller.clone()).or_default();
            // A chore shares what is light only: nobody waits for it.
            let share = if caller == Caller::Chores { SHARE } else { share };
            let fits = (total + weight).fits(GROUP) && (*of_caller + weight).fits(share);
            if !fits && !group.is_empty() {
                passed.push(caller);
                continue;
            }
            total += weight;
            *of_caller += weight;
            group.extend(jobs.pop_front());
            if jobs.is_empty() {
                self.by_caller.remove(&caller);
            } else {
                self.turns.push_back(caller);
            }
            if !weight.fits(share) {
                break;
            }
        }
        passed.into_iter().rev().for_each(|caller| self.turns.push_front(caller));
        group
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("turns", &self.turns).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
