//! Brings users what they missed: claim a page, send it, wait for proof, confirm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hookswitch_protocol::{ErrorCode, error_message};
use hookswitch_runtime::{Clock, Scope};
use tokio::sync::{mpsc, oneshot};

use crate::counters::Counters;
use crate::frame;
use crate::offline::{Claim, MessageNumber, OfflineError, OfflineStore};
use crate::outlet::Outlet;
use crate::seam::UserKey;
use crate::shard::{Key, Request};
use crate::shared::Shared;

/// Messages claimed and sent at once.
const PAGE_MESSAGES: usize = 200;

/// At most one courier per user, so that pages reach him in order over one connection.
pub(crate) struct Couriers<O: Outlet> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) offline: Arc<dyn OfflineStore>,
    pub(crate) shards: Arc<[mpsc::Sender<Request<O>>]>,
    pub(crate) scope: Scope,
    pub(crate) clock: Clock,
    /// Users being served; `true` when somebody asked again meanwhile.
    pub(crate) active: Mutex<HashMap<UserKey, bool>>,
}

/// How a courier's walk ended.
enum Walk {
    /// Nothing waits any more, or nobody is there to take it.
    Done,
    /// The connection ended before the page was there; another one may take it.
    Interrupted,
}

impl<O: Outlet> Couriers<O> {
    /// Starts a courier for this user unless one is on its way or nothing waits. Never blocks.
    pub(crate) fn serve(self: &Arc<Self>, user: UserKey) {
        if !self.offline.may_have(&user) {
            return;
        }
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(again) = active.get_mut(&user) {
            *again = true;
            return;
        }
        active.insert(user.clone(), false);
        drop(active);
        let couriers = Arc::clone(self);
        self.scope.spawn_contained("courier", async move {
            let on_end = OnEnd { couriers: &couriers, user: &user };
            couriers.run(&user).await;
            drop(on_end);
        });
    }

    async fn run(&self, user: &UserKey) {
        loop {
            self.forget_request(user);
            match self.walk(user).await {
                Ok(Walk::Interrupted) => {}
                Ok(Walk::Done) if self.was_asked_again(user) => {}
                Ok(Walk::Done) => return,
                Err(error) => {
                    Counters::add(&self.shared.counters.keeper_failures, 1);
                    tracing::warn!(tenant = %user.tenant, user = %user.user, %error, "offline messages could not be fetched");
                    return;
                }
            }
        }
    }

    fn forget_request(&self, user: &UserKey) {
        if let Some(again) = self.active.lock().unwrap_or_else(PoisonError::into_inner).get_mut(user) {
            *again = false;
        }
    }

    fn was_asked_again(&self, user: &UserKey) -> bool {
        self.active.lock().unwrap_or_else(PoisonError::into_inner).get(user).copied().unwrap_or(false)
    }

    /// Serves one connection of the user, page by page.
    async fn walk(&self, user: &UserKey) -> Result<Walk, OfflineError> {
        let Some((shard, key)) = self.find(user).await else { return Ok(Walk::Done) };
        let ended = self.pages(user, shard, key).await;
        // The shard may be gone with the whole node; then so is the connection.
        let _gone = self.shards[shard].send(Request::EndBacklog { key }).await;
        ended
    }

    async fn find(&self, user: &UserKey) -> Option<(usize, Key)> {
        for (shard, requests) in self.shards.iter().enumerate() {
            let (reply, key) = oneshot::channel();
            requests.send(Request::BeginBacklog { user: user.clone(), reply }).await.ok()?;
            if let Some(key) = key.await.ok()? {
                return Some((shard, key));
            }
        }
        None
    }

    async fn pages(&self, user: &UserKey, shard: usize, key: Key) -> Result<Walk, OfflineError> {
        loop {
            let claim = self.offline.claim(user, PAGE_MESSAGES).await?;
            if claim.messages.is_empty() && claim.n_dropped == 0 {
                return Ok(Walk::Done);
            }
            let numbers: Vec<MessageNumber> = claim.messages.iter().map(|m| m.number).collect();
            let frames = self.frames(user, &claim);
            let (done, arrived) = oneshot::channel();
            let sent = self.shards[shard].send(Request::Backlog { key, frames, done }).await;
            let n_messages = numbers.len() as u64;
            if sent.is_ok() && arrived.await.is_ok() {
                self.offline.confirm(user, &numbers).await?;
                Counters::add(&self.shared.counters.offline_delivered, n_messages);
            } else {
                self.offline.give_back(user, &numbers).await?;
                Counters::add(&self.shared.counters.offline_given_back, n_messages);
                return Ok(Walk::Interrupted);
            }
        }
    }

    fn frames(&self, user: &UserKey, claim: &Claim) -> Vec<Bytes> {
        let mut frames = Vec::with_capacity(claim.messages.len() + 1);
        if claim.n_dropped > 0 {
            let text = format!(
                "{} messages kept for you were dropped because too many waited or they were too old",
                claim.n_dropped
            );
            let notice = error_message(ErrorCode::MessagesDropped, &text, self.clock.now(), Some(&user.tenant));
            frames.push(frame::text_frame(&notice));
        }
        frames.extend(claim.messages.iter().map(|message| frame::text_frame(&message.envelope)));
        frames
    }
}

/// Takes the user off the list of those being served, also when the courier is ended midway.
struct OnEnd<'a, O: Outlet> {
    couriers: &'a Couriers<O>,
    user: &'a UserKey,
}

impl<O: Outlet> Drop for OnEnd<'_, O> {
    fn drop(&mut self) {
        self.couriers.active.lock().unwrap_or_else(PoisonError::into_inner).remove(self.user);
    }
}
