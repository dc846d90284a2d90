//! What comes from other nodes, on its way into the shards.
//!
//! Normally an event goes straight into the mailboxes. When they are full, the tenant's events wait
//! here, in order, for a while: a burst of another node is no reason to drop anything. What finds no
//! room here either is dropped, and the tenant's connections are told.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use hookswitch_protocol::{Category, Position, TenantId};
use hookswitch_runtime::{FairPermit, FairSemaphore, Scope, Sharing};
use tokio::sync::{mpsc, oneshot};

use crate::cluster::inbound_jobs::{HeldJob, InboundJob};
use crate::publish::fanout::{Fanout, Placing, Reservation};
use crate::publish::weight::weight;
use crate::seams::broker::{BrokerSink, GapScope, Origin, Past, Received};
use crate::seams::ticket::Ticket;
use crate::seams::user_key::UserKey;
use crate::sessions::ChatSessions;

/// Events of one tenant that may wait here: one largest batch on top of the mailbox.
const WAITING_EVENTS: usize = 4_096;

/// Bytes of all tenants' events that may wait here; a tenant may have as many as are left.
const WAITING_BYTES: u64 = 128 * 1024 * 1024;

/// Events of one tenant that take their room together.
const TAKEN_AT_ONCE: usize = 64;
/// Bytes of these, but for one by itself.
const BYTES_TAKEN_AT_ONCE: usize = 1024 * 1024;

/// Backlog notices and missed events that may wait to be looked after.
const WAITING_JOBS: usize = 4_096;
/// Bytes of these over all tenants, of which one may have as many as are left; each counts as so many at
/// least as would fill it together.
const JOB_BYTES: u64 = 64 * 1024 * 1024;
const LEAST_JOB_BYTES: u64 = JOB_BYTES / WAITING_JOBS as u64;

/// The hub's sink.
pub(crate) struct RemoteInbound {
    fanout: Arc<Fanout>,
    /// Events of one tenant that take their room together.
    at_once: usize,
    scope: Scope,
    deadline: Duration,
    jobs: mpsc::Sender<HeldJob>,
    job_room: FairSemaphore<TenantId>,
    waiting: Mutex<Waiting>,
    waiting_room: FairSemaphore<TenantId>,
    /// There once the hub has started.
    sessions: OnceLock<Arc<ChatSessions>>,
    this: Weak<Self>,
}

type Waiting = HashMap<TenantId, VecDeque<HeldEvent>>;

/// An event that waits, with its part of the room for such.
struct HeldEvent {
    received: Received,
    _room: FairPermit<TenantId>,
}

impl RemoteInbound {
    /// The sink, and where its jobs come out.
    pub(crate) fn new(fanout: Arc<Fanout>, scope: Scope, deadline: Duration) -> (Arc<Self>, mpsc::Receiver<HeldJob>) {
        let (jobs, todo) = mpsc::channel(WAITING_JOBS);
        let remote_inbound = Arc::new_cyclic(|this| Self {
            at_once: TAKEN_AT_ONCE.min(fanout.largest_batch()),
            fanout,
            scope,
            deadline,
            jobs,
            job_room: FairSemaphore::new(JOB_BYTES, Sharing { alpha: 1, waiting: 0 }),
            waiting: Mutex::default(),
            waiting_room: FairSemaphore::new(WAITING_BYTES, Sharing { alpha: 1, waiting: 0 }),
            sessions: OnceLock::new(),
            this: Weak::clone(this),
        });
        (remote_inbound, todo)
    }

    /// From now on chat events are looked up among these.
    pub(crate) fn know(&self, sessions: Arc<ChatSessions>) {
        // The hub starts once.
        let _known = self.sessions.set(sessions);
    }

    /// Finds a foreign chat event's session, and notes another node's end of one.
    fn with_session(&self, mut received: Received) -> Received {
        let Some(sessions) = self.sessions.get() else { return received };
        if received.event.event_type.category() != Category::Chat {
            return received;
        }
        match received.origin {
            Origin::Node { .. } => sessions.heard(&received.event),
            Origin::Foreign => {
                let session = sessions.session_of(&received.event);
                received.event = received.event.changed(|event| event.session = session);
            }
            // Noted when it was accepted.
            Origin::Own(_) => {}
        }
        received
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves something to be done later; whether there was room for it.
    pub(crate) fn run(&self, job: InboundJob) -> bool {
        let n_bytes = (job.n_bytes() as u64).max(LEAST_JOB_BYTES);
        let room = self.job_room.try_acquire(job.tenant(), n_bytes);
        let has_room = room.is_some_and(|room| self.jobs.try_send(HeldJob { job, room }).is_ok());
        if !has_room {
            self.fanout.shared.metrics.jobs_dropped.inc();
            tracing::error!("too much to do for events of other nodes, some of it is left undone");
        }
        has_room
    }

    /// Hands events on, no more of them than can ever have room together; where there is none now, they wait.
    fn take_in(&self, tenant: &TenantId, received: Vec<Received>) {
        let waiting = self.waiting();
        if waiting.contains_key(tenant) {
            return self.wait(waiting, tenant, received);
        }
        let n_bytes = received.iter().map(|received| weight(&received.event)).sum();
        match self.fanout.try_reserve(tenant, received.len(), n_bytes) {
            Ok(room) => {
                drop(waiting);
                self.hand_over(room, &received);
            }
            Err(_full) => self.wait(waiting, tenant, received),
        }
    }

    /// Those in a row that go together, one run after the other.
    fn hand_over(&self, mut room: Reservation, received: &[Received]) {
        for run in received.chunk_by(is_next) {
            let room = room.split(run.len());
            let placing = self.placing(&run[0]);
            if run[0].is_known {
                self.enter(placing, run);
                continue;
            }
            // Outcomes are those of the events for one user, in order.
            let outcomes = self.fanout.deliver(room, run, placing);
            for (received, outcome) in run.iter().filter(|received| received.event.seeks_user()).zip(outcomes) {
                self.note_outcome(received, outcome);
            }
        }
    }

    fn placing(&self, first: &Received) -> Placing {
        match first.position {
            Some(position) => Placing::At(position),
            None if self.fanout.shared.history.is_numbered() => Placing::Nowhere,
            None => Placing::Next,
        }
    }

    /// Enters events in history that nobody is given as they come.
    fn enter(&self, placing: Placing, run: &[Received]) {
        if let (Some(first), Placing::At(position)) = (run.first(), placing) {
            let mut lock = self.fanout.shared.history.lock(&first.event.tenant);
            let events = run.iter().map(AsRef::as_ref);
            if first.is_known {
                lock.record_live_at(events, position);
            } else {
                let _is_later = lock.record_at(events, position);
            }
        }
    }

    /// Whoever is answerable for an event learns whether it met its user.
    fn note_outcome(&self, received: &Received, outcome: oneshot::Receiver<bool>) {
        let to_be_kept = match &received.origin {
            Origin::Own(Some(ticket)) => Ticket::come_back(ticket, outcome),
            Origin::Node { answerable_with: Some(_) } => Some(outcome),
            Origin::Node { answerable_with: None } | Origin::Foreign | Origin::Own(None) => None,
        };
        if let Some(outcome) = to_be_kept {
            // Said where there is no room.
            let _has_room = self.run(InboundJob::Missed { received: received.clone(), outcome });
        }
    }

    /// Puts events behind those of their tenant that wait already.
    fn wait(&self, mut waiting: MutexGuard<'_, Waiting>, tenant: &TenantId, received: Vec<Received>) {
        // The entry stands for the one task that hands the events over; it takes it away with the last.
        let is_first = !waiting.contains_key(tenant);
        let events = waiting.entry(tenant.clone()).or_default();
        let mut received = received.into_iter().peekable();
        while let Some(next) = received.peek() {
            let room = self.waiting_room.try_acquire(tenant, weight(&next.event) as u64);
            let Some(room) = room.filter(|_| events.len() < WAITING_EVENTS) else { break };
            events.extend(received.next().map(|received| HeldEvent { received, _room: room }));
        }
        let no_room: Vec<Received> = received.collect();
        drop(waiting);
        if !no_room.is_empty() {
            self.dropped(tenant.clone(), &no_room);
        }
        if is_first && let Some(this) = self.this.upgrade() {
            let tenant = tenant.clone();
            self.scope.spawn("remote inbound", async move { this.drain(&tenant).await });
        }
    }

    /// Hands a tenant's events on, as room comes, until it is empty.
    async fn drain(&self, tenant: &TenantId) {
        loop {
            let Some((n_events, n_bytes)) = self.next_waiting(tenant) else { return };
            let room = self.fanout.reserve(tenant, n_events, n_bytes, self.deadline).await;
            let taken: Vec<HeldEvent> =
                self.waiting().get_mut(tenant).map(|events| events.drain(..n_events).collect()).unwrap_or_default();
            let taken: Vec<Received> = taken.into_iter().map(|held| held.received).collect();
            match room {
                Ok(room) => self.hand_over(room, &taken),
                Err(_full) => self.dropped(tenant.clone(), &taken),
            }
        }
    }

    /// How many of the tenant's events go next, and their bytes; when none is left, forgets the tenant.
    fn next_waiting(&self, tenant: &TenantId) -> Option<(usize, usize)> {
        let mut waiting = self.waiting();
        let (mut n_events, mut n_bytes) = (0, 0);
        for held in waiting.get(tenant).into_iter().flatten().take(self.at_once) {
            let n_more = weight(&held.received.event);
            if n_events > 0 && n_bytes + n_more > BYTES_TAKEN_AT_ONCE {
                break;
            }
            (n_events, n_bytes) = (n_events + 1, n_bytes + n_more);
        }
        if n_events == 0 {
            waiting.remove(tenant);
            return None;
        }
        Some((n_events, n_bytes))
    }

    /// There is no room for these: whoever is connected is told. What this node is answerable for is kept for its
    /// user, as if it had met nobody: its publisher was told that it would reach him.
    fn dropped(&self, tenant: TenantId, events: &[Received]) {
        let n_events = events.len() as u64;
        self.fanout.shared.metrics.events_overflowed.inc_by(n_events);
        self.fanout.shared.gaps.note(GapScope::Tenant(tenant), Some(n_events));
        for run in events.chunk_by(is_next) {
            self.enter(self.placing(&run[0]), run);
        }
        for received in events.iter().filter(|received| received.event.user.is_some()) {
            let (met_nobody, outcome) = oneshot::channel();
            drop(met_nobody);
            self.note_outcome(received, outcome);
        }
    }
}

impl fmt::Debug for RemoteInbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteInbound").field("n_waiting_tenants", &self.waiting().len()).finish_non_exhaustive()
    }
}

impl BrokerSink for RemoteInbound {
    fn on_events(&self, tenant: &TenantId, received: Vec<Received>) {
        let is_anybody = self.fanout.shared.connection_counts.n_tenant(tenant) > 0;
        let is_concerned = |received: &Received| is_anybody || received.position.is_some() || received.is_answerable();
        let concerns = received.into_iter().filter(is_concerned);
        // Each once, before anything is cut: what a later one ends, an earlier one still belongs to.
        let mut received: Vec<_> = concerns.map(|received| self.with_session(received)).collect();
        while received.len() > self.at_once {
            let rest = received.split_off(self.at_once);
            self.take_in(tenant, received);
            received = rest;
        }
        if !received.is_empty() {
            self.take_in(tenant, received);
        }
    }

    fn on_gap(&self, scope: GapScope, n_missed: Option<u64>) {
        self.fanout.shared.metrics.broker_gaps.inc();
        self.fanout.shared.gaps.note(scope, n_missed);
    }

    fn on_base(&self, tenant: &TenantId, base: Position) {
        self.fanout.shared.history.lock(tenant).begin_behind(base);
    }

    fn on_past(&self, tenant: &TenantId, past: Past) {
        self.fanout.shared.history.lock(tenant).fill_back(past);
    }

    fn on_link_state(&self, is_open: bool) {
        self.fanout.shared.history.cut_off(!is_open);
    }

    fn on_reopened(&self) {
        self.fanout.shared.reopened.notify_one();
    }

    fn on_store_lost(&self) {
        if let Some(sessions) = self.sessions.get().cloned() {
            self.scope.spawn_contained("chat sessions", async move { sessions.restore().await });
        }
    }

    fn on_backlog(&self, user: UserKey) {
        if self.fanout.shared.connection_counts.n_user(&user) > 0 {
            let _has_room = self.run(InboundJob::Backlog(user));
        }
    }
}

/// Whether an event goes with the one before it: its position is the next one, or neither has any.
fn is_next(a: &Received, b: &Received) -> bool {
    let next = a.position.map(|at| Position { offset: at.offset + 1, ..at });
    next == b.position && a.is_known == b.is_known
}
