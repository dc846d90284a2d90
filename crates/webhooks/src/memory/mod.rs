//! All three seams kept in memory: for embedders without a database, and for tests.
//!
//! Nothing survives the process, and everything is bounded: at [`DELIVERIES`] waiting deliveries
//! `enqueue` refuses, the log keeps its last [`LOG_ROWS`] rows of each kind and [`LOG_BYTES`], and of ended
//! deliveries the last [`ENDED`] are kept for a requeue.

mod deliveries;
mod directory;
mod leases;
mod ledger;
mod log;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hookswitch_protocol::{DeliveryId, EventId, EventType, TenantId, Timestamp, WebhookId};
use hookswitch_runtime::Clock;

use crate::seams::WebhookSeams;
use crate::seams::attempt_log::{LoggedAttempt, LoggedSkip};
use crate::seams::directory::{DEEPEST_OFFSET, Webhook};
use crate::seams::ledger::Fingerprint;
use hookswitch_runtime::BoxFuture;

/// Most deliveries that wait or run; beyond it `enqueue` answers that the ledger is unavailable.
const DELIVERIES: usize = 100_000;

/// Most log rows; beyond it the oldest go.
const LOG_ROWS: usize = 100_000;

/// Most bytes of log rows; beyond it the oldest go too.
const LOG_BYTES: usize = 64 * 1024 * 1024;

/// Most ended deliveries; beyond it the oldest go.
const ENDED: usize = 10_000;

/// Directory, ledger and log in memory. Clones share their content.
#[derive(Clone)]
pub struct MemoryWebhooks {
    state: Arc<Mutex<State>>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct State {
    webhooks: BTreeMap<WebhookId, Registered>,
    n_changes: u64,
    last_webhook: i64,
    last_row: i64,
    last_delivery: i64,
    last_skip: i64,
    rows: BTreeMap<i64, LoggedAttempt>,
    /// What those rows weigh.
    row_bytes: usize,
    skips: BTreeMap<i64, LoggedSkip>,
    seen: HashMap<(TenantId, EventId), (Fingerprint, Timestamp)>,
    /// Deliveries that wait, run, or have ended.
    deliveries: BTreeMap<i64, Delivery>,
    /// Those that wait, per webhook.
    waiting: HashMap<WebhookId, Waiting>,
    /// The open ones with an order key, per webhook and key.
    ordered: HashMap<(WebhookId, Option<String>), BTreeSet<i64>>,
    /// Those that are leased, by the end of their lease.
    leased: BTreeSet<(Timestamp, i64)>,
    /// Those that have ended, in the order of their ends.
    ended: VecDeque<i64>,
}

#[derive(Debug)]
struct Registered {
    webhook: Webhook,
    is_deleted: bool,
}

/// Numbers of waiting deliveries, oldest due first.
#[derive(Debug, Default)]
struct Waiting {
    fresh: BTreeSet<(Timestamp, i64)>,
    retries: BTreeSet<(Timestamp, i64)>,
}

#[derive(Debug)]
struct Delivery {
    id: DeliveryId,
    webhook: WebhookId,
    tenant: TenantId,
    event: EventId,
    event_type: EventType,
    body: Bytes,
    accepted_at: Timestamp,
    due_at: Timestamp,
    expires_at: Option<Timestamp>,
    order_key: Option<String>,
    /// Attempts settled so far, and how many of them in earlier rounds.
    n_attempts: u32,
    attempts_before: u32,
    fence: i64,
    leased_until: Option<Timestamp>,
    end: Option<End>,
    /// When; means nothing before that.
    ended_at: Timestamp,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Delivered,
    Failed,
    Expired,
    Cancelled,
    Missed,
}

impl MemoryWebhooks {
    /// An empty keeper.
    pub fn new(clock: &Clock) -> Self {
        Self { state: Arc::default(), clock: clock.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` under the lock when the future is first polled.
    fn locked<'a, T: 'a>(&'a self, work: impl FnOnce(&mut State, Timestamp) -> T + Send + 'a) -> BoxFuture<'a, T> {
        boxed(async move { work(&mut self.lock(), self.clock.now()) })
    }
}

impl fmt::Debug for MemoryWebhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryWebhooks").finish_non_exhaustive()
    }
}

impl WebhookSeams {
    /// All three seams in memory: nothing survives the process.
    pub fn memory(clock: &Clock) -> Self {
        let keeper = Arc::new(MemoryWebhooks::new(clock));
        Self { directory: Arc::clone(&keeper) as _, ledger: Arc::clone(&keeper) as _, log: keeper }
    }
}

fn boxed<'a, T>(future: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
    Box::pin(future)
}

/// A number of rows as a list tells it.
fn counted(n_rows: usize) -> u64 {
    (n_rows as u64).min(DEEPEST_OFFSET)
}
