//! Brings users what they missed: claim a page, send it, wait for proof, confirm.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{Chain, Retry};
use hookswitch_runtime::{Clock, Scope};
use tokio::sync::{mpsc, oneshot};

use crate::backlog_notice::BacklogNotice;
use crate::failed_handovers::FailedHandovers;
use crate::kept_page::{LeftOut, Untold, envelopes, event_id, parted};
use crate::page_permits::PagePermits;
use crate::seams::offline::{Claim, ClaimedMessage, MessageNumber, OfflineError, OfflineStore};
use crate::seams::user_key::UserKey;
use crate::shard::SlotKey;
use crate::shard::catch_up::PageEnd;
use crate::shard::request::Request;
use crate::shared::Shared;

/// Messages claimed and sent at once.
const PAGE_MESSAGES: usize = 200;

/// Bytes that a connection's subscription may leave out of what is kept before the rest is left to the next
/// one: they are read in vain.
const LEFT_OUT_BYTES: usize = 64 * 1024 * 1024;

/// How often a failing claim is tried before it is left to the user's next connection.
const CLAIM_TRIES: u32 = 5;

/// How long a delivery task rests that failed so often and was asked for again.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// At most one delivery task per user, so that pages reach him in order over one connection.
pub(crate) struct OfflineDelivery {
    pub(crate) shared: Arc<Shared>,
    pub(crate) offline: Arc<dyn OfflineStore>,
    pub(crate) shards: Arc<[mpsc::Sender<Request>]>,
    pub(crate) scope: Scope,
    pub(crate) clock: Clock,
    /// What clients did not survive.
    pub(crate) failures: FailedHandovers,
    /// Room for pages on their way, which tenants share.
    pub(crate) page_permits: PagePermits,
    /// Users being served.
    pub(crate) active: Mutex<HashMap<UserKey, Asked>>,
}

/// What was asked of a delivery task on its way.
#[derive(Default)]
pub(crate) struct Asked {
    /// Somebody asked again since the last walk began.
    again: bool,
    /// A page is on its way: newer events are held back, and another claim follows.
    is_paging: bool,
    /// Dropped once newer events are held back and a claim follows.
    waiting: Vec<oneshot::Sender<Infallible>>,
}

/// How a delivery task's walk ended.
enum Walk {
    /// Nothing waits any more, or nobody is there to take it.
    Done,
    /// The connection ended before the page was there; another one may take it.
    Interrupted,
    /// The connection did not want everything; another one may. It counts as served until all are.
    LeftOut,
}

/// What becomes of claimed messages.
#[derive(Debug, Clone, Copy)]
enum Settlement {
    Confirmed,
    GivenBack,
}

impl OfflineDelivery {
    /// Whether anything may wait for this user.
    pub(crate) fn may_have(&self, user: &UserKey) -> bool {
        self.offline.may_have(user)
    }

    /// Starts a delivery task for this user unless one is on its way or nothing waits. Never blocks.
    pub(crate) fn serve(self: &Arc<Self>, user: UserKey) -> BacklogNotice {
        if !self.may_have(&user) {
            return BacklogNotice(None);
        }
        let (waiting, taken) = oneshot::channel();
        let _is_paging = self.start(user, Some(waiting));
        BacklogNotice(Some(taken))
    }

    /// A connection of this user was opened. One that holds events back needs a delivery task in any
    /// case: it is the delivery task that releases them. Where one is bringing a page to another connection, this one
    /// does not wait for its proof.
    pub(crate) async fn greet(self: &Arc<Self>, user: UserKey, holds_back: bool) {
        if !holds_back && !self.may_have(&user) {
            return;
        }
        if self.start(user.clone(), None) && holds_back {
            self.release(&user, true).await;
        }
    }

    /// Lets the user's connections go on, or those only that nobody brings anything.
    pub(crate) async fn release(&self, user: &UserKey, only_unserved: bool) {
        for requests in self.shards.iter() {
            // The shard may be gone with the whole node; then so are its connections.
            let _gone = requests.send(Request::Release { user: user.clone(), only_unserved }).await;
        }
    }

    /// Whether a page is on its way to a connection already.
    fn start(self: &Arc<Self>, user: UserKey, waiting: Option<oneshot::Sender<Infallible>>) -> bool {
        let mut active = self.active();
        if let Some(asked) = active.get_mut(&user) {
            asked.again = true;
            asked.waiting.extend(waiting.filter(|_| !asked.is_paging));
            return asked.is_paging;
        }
        active.insert(user.clone(), Asked { waiting: waiting.into_iter().collect(), ..Asked::default() });
        drop(active);
        let offline_delivery = Arc::clone(self);
        self.scope.spawn_contained("offline delivery", async move {
            let mut round = Round { offline_delivery: &offline_delivery, user: &user, is_over: false };
            round.run().await;
        });
        false
    }

    fn active(&self) -> MutexGuard<'_, HashMap<UserKey, Asked>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One user's delivery task while it is on its way.
struct Round<'a> {
    offline_delivery: &'a OfflineDelivery,
    user: &'a UserKey,
    is_over: bool,
}

impl Round<'_> {
    async fn run(&mut self) {
        let (mut n_failures, mut untold) = (0, Untold::default());
        while !self.is_over {
            self.note(|asked| (asked.again, asked.is_paging) = (false, false));
            match self.walk(&mut untold).await {
                Ok(Walk::Interrupted | Walk::LeftOut) => {}
                Ok(Walk::Done) => {
                    self.release().await;
                    self.end_unless_asked_again();
                }
                Err(error) => {
                    self.release().await;
                    n_failures += 1;
                    self.after_failure(&error, n_failures).await;
                }
            }
        }
    }

    /// Ends the round, unless somebody asked for the delivery task since the last walk began. Both under
    /// one lock, or a request in between would be lost.
    fn end_unless_asked_again(&mut self) {
        let mut active = self.offline_delivery.active();
        if !active.get(self.user).is_some_and(|asked| asked.again) {
            active.remove(self.user);
            self.is_over = true;
        }
    }

    /// Waits before the next try; after a few of them the messages stay for the next connection.
    async fn after_failure(&mut self, error: &OfflineError, n_failures: u32) {
        let user = self.user;
        self.offline_delivery.shared.metrics.keeper_failures.inc();
        tracing::warn!(tenant = %user.tenant, user = %user.user, error = %Chain(error), n_failures, "offline messages could not be fetched");
        match error.retry() {
            Retry::After(pause) if n_failures < CLAIM_TRIES => tokio::time::sleep(pause * n_failures).await,
            Retry::Now if n_failures < CLAIM_TRIES => {}
            Retry::Never | Retry::Now | Retry::After(_) => {
                // Whoever asked meanwhile may hold events back, and nobody else would release them.
                self.end_unless_asked_again();
                if !self.is_over {
                    tokio::time::sleep(FAILURE_PAUSE).await;
                }
            }
        }
    }

    /// Serves one connection of the user, page by page. What is `untold` was not yet told to anybody.
    async fn walk(&self, untold: &mut Untold) -> Result<Walk, OfflineError> {
        let mut left_out = LeftOut::default();
        let walked = self.walk_pages(untold, &mut left_out).await;
        // Claimed until now, so that each claim found the ones behind: kept for a connection that wants them.
        if left_out.numbers.is_empty() {
            return walked;
        }
        self.settle(&left_out.numbers, Settlement::GivenBack).await?;
        Ok(match walked? {
            Walk::Done => Walk::LeftOut,
            other => other,
        })
    }

    /// What the connection's subscription leaves out stays claimed, and is added to `left_out`.
    async fn walk_pages(&self, untold: &mut Untold, left_out: &mut LeftOut) -> Result<Walk, OfflineError> {
        let Some((shard, key)) = self.find().await else {
            self.before_claim();
            return Ok(Walk::Done);
        };
        // No other connection waits for this one's proof.
        self.offline_delivery.release(self.user, true).await;
        loop {
            let (room, tenant) = (&self.offline_delivery.page_permits, &self.user.tenant);
            // Who waits for other clients lets nobody wait for himself.
            let held = room.take(tenant, || self.begin_paging()).await;
            self.before_claim();
            let claim = self.claim(untold).await?;
            let _held = room.exact(tenant, &claim, held);
            if claim.messages.is_empty() && *untold == Untold::default() {
                if self.waited_for_others(&claim).await {
                    continue;
                }
                return Ok(Walk::Done);
            }
            if !self.hand_over(&claim, untold, left_out, (shard, key)).await? {
                return Ok(Walk::Interrupted);
            }
            if left_out.n_bytes > LEFT_OUT_BYTES {
                return Ok(Walk::Done);
            }
        }
    }

    /// The next page, without what the user's clients do not survive. Empty when nothing waits any more.
    async fn claim(&self, untold: &mut Untold) -> Result<Claim, OfflineError> {
        let (offline, failures) = (&self.offline_delivery.offline, &self.offline_delivery.failures);
        loop {
            // After a page that its client did not survive, one by one: each for itself shows which it was.
            let limit = if failures.concern(self.user) { 1 } else { PAGE_MESSAGES };
            let claim = offline.claim(self.user, limit).await?;
            untold.n_dropped += claim.n_dropped;
            let Some(unfit) = claim.messages.first().filter(|first| failures.is_unfit(self.user, &first.envelope))
            else {
                return Ok(claim);
            };
            self.set_aside(unfit, untold).await?;
        }
    }

    async fn set_aside(&self, unfit: &ClaimedMessage, untold: &mut Untold) -> Result<(), OfflineError> {
        let UserKey { tenant, user } = self.user;
        let (event, n_bytes) = (event_id(&unfit.envelope), unfit.envelope.len());
        tracing::warn!(%tenant, %user, event, n_bytes, "a kept message is set aside: its user's client did not survive it twice");
        self.settle(&[unfit.number], Settlement::Confirmed).await?;
        self.offline_delivery.failures.done(self.user, std::slice::from_ref(&unfit.envelope));
        self.offline_delivery.shared.metrics.offline_set_aside.inc();
        untold.n_set_aside += 1;
        Ok(())
    }

    /// Sends a page, with what is to be told before it; whether it arrived. What its connection's subscription leaves
    /// out of it is added to `left_out`.
    async fn hand_over(
        &self,
        claim: &Claim,
        untold: &mut Untold,
        left_out: &mut LeftOut,
        to: (usize, SlotKey),
    ) -> Result<bool, OfflineError> {
        let OfflineDelivery { shared, failures, scope, clock, .. } = self.offline_delivery;
        let notices = untold.notices(clock.now(), &self.user.tenant);
        let (n_notices, page) = (notices.len(), envelopes(claim.messages.iter()));
        let end = self.send_page(to, notices.into_iter().chain(page.iter().cloned()).collect()).await;
        let Some(PageEnd::Arrived { left_out: places }) = end else {
            // A node that ends takes its connections with it.
            if end.is_none() && !page.is_empty() && !scope.soft().is_cancelled() {
                failures.failed(self.user, &page);
            }
            let numbers: Vec<MessageNumber> = claim.messages.iter().map(|message| message.number).collect();
            self.settle(&numbers, Settlement::GivenBack).await?;
            shared.metrics.offline_given_back.inc_by(numbers.len() as u64);
            return Ok(false);
        };
        *untold = Untold::default();
        let (arrived, left) = parted(claim, &places, n_notices);
        left_out.add(left);
        if !arrived.is_empty() {
            failures.done(self.user, &envelopes(arrived.iter().copied()));
            let numbers: Vec<MessageNumber> = arrived.iter().map(|message| message.number).collect();
            self.settle(&numbers, Settlement::Confirmed).await?;
            shared.metrics.offline_delivered.inc_by(numbers.len() as u64);
        }
        Ok(true)
    }

    /// Sends a page and waits for its end; `None` when its client ended with it.
    async fn send_page(&self, (shard, key): (usize, SlotKey), messages: Vec<Bytes>) -> Option<PageEnd> {
        // Whoever asked while the claim was made is in this page or in the claim behind it: not
        // to be kept waiting until the client has proved the page's arrival.
        self.begin_paging();
        let (done, end) = oneshot::channel();
        let sent = self.offline_delivery.shards[shard].send(Request::Backlog { key, messages, done }).await;
        if sent.is_ok() { end.await.ok() } else { Some(PageEnd::Interrupted) }
    }

    /// Waits while another node is bringing the user what was kept, as long as the user is here too;
    /// whether it did. Newer events do not wait for another node's connection.
    async fn waited_for_others(&self, claim: &Claim) -> bool {
        let Some(pause) =
            claim.held_elsewhere.filter(|_| self.offline_delivery.shared.connection_counts.n_user(self.user) > 0)
        else {
            return false;
        };
        self.release().await;
        tokio::time::sleep(pause).await;
        true
    }

    /// Whoever asked before a claim is sure to have it hold what he asked for.
    fn before_claim(&self) {
        self.note(|asked| {
            asked.is_paging = false;
            asked.waiting.clear();
        });
    }

    /// Newer events are held back, and another claim follows.
    fn begin_paging(&self) {
        self.note(|asked| {
            asked.is_paging = true;
            asked.waiting.clear();
        });
    }

    fn note(&self, change: impl FnOnce(&mut Asked)) {
        if let Some(asked) = self.offline_delivery.active().get_mut(self.user) {
            change(asked);
        }
    }

    /// Tells the store what became of the messages, until it has heard: what stays claimed reaches
    /// nobody before the next restart. Ended by the scope's hard token.
    async fn settle(&self, numbers: &[MessageNumber], settlement: Settlement) -> Result<(), OfflineError> {
        let (offline, user) = (&self.offline_delivery.offline, self.user);
        loop {
            let settled = match settlement {
                Settlement::Confirmed => offline.confirm(user, numbers).await,
                Settlement::GivenBack => offline.give_back(user, numbers).await,
            };
            let Err(error) = settled else { return Ok(()) };
            self.offline_delivery.shared.metrics.keeper_failures.inc();
            tracing::warn!(tenant = %user.tenant, user = %user.user, error = %Chain(&error), ?settlement, "offline messages stay claimed");
            match error.retry() {
                // The node ends: the store takes back by itself what a node that is gone has claimed.
                _ if self.offline_delivery.scope.soft().is_cancelled() => return Err(error),
                Retry::Never => return Err(error),
                Retry::Now => tokio::task::yield_now().await,
                Retry::After(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    /// Lets go what the user's connections hold back.
    async fn release(&self) {
        self.offline_delivery.release(self.user, false).await;
    }

    /// A connection to bring the messages to: one that gets everything before one that chose.
    async fn find(&self) -> Option<(usize, SlotKey)> {
        for only_broadcast in [true, false] {
            for (shard, requests) in self.offline_delivery.shards.iter().enumerate() {
                let (user, (reply, key)) = (self.user.clone(), oneshot::channel());
                requests.send(Request::BeginBacklog { user, only_broadcast, reply }).await.ok()?;
                if let Some(key) = key.await.ok()? {
                    return Some((shard, key));
                }
            }
        }
        None
    }
}

impl Drop for Round<'_> {
    /// Takes the user off the list also when the delivery task is ended midway.
    fn drop(&mut self) {
        if !self.is_over {
            self.offline_delivery.active().remove(self.user);
        }
    }
}
