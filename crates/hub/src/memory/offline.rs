//! Offline messages that end with the process.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hookswitch_protocol::EventId;
use hookswitch_runtime::Clock;

use crate::seams::offline::{
    Claim, ClaimedMessage, MessageNumber, OFFLINE_PAGE_BYTES, OfflineError, OfflineLimits, OfflineMessage, OfflineStore,
};
use crate::seams::user_key::UserKey;
use hookswitch_runtime::BoxFuture;

/// Keeps messages in a queue per user.
#[derive(Debug)]
pub struct MemoryOffline {
    limits: OfflineLimits,
    clock: Clock,
    users: Mutex<HashMap<UserKey, Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Oldest first; a claimed message stays in its place until it is confirmed.
    messages: VecDeque<Kept>,
    next_number: i64,
    /// Of the envelopes of all of them.
    n_bytes: usize,
    n_dropped: u64,
}

#[derive(Debug)]
struct Kept {
    number: MessageNumber,
    message: OfflineMessage,
    is_claimed: bool,
}

impl MemoryOffline {
    /// An empty keeper.
    pub fn new(limits: OfflineLimits, clock: Clock) -> Self {
        Self { limits, clock, users: Mutex::default() }
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserKey, Waiting>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn holds(&self, event: &EventId) -> bool {
        self.messages.iter().any(|kept| kept.message.event_id == *event)
    }

    fn put(&mut self, message: OfflineMessage, limits: &OfflineLimits) {
        if self.holds(&message.event_id) {
            return;
        }
        self.next_number += 1;
        let number = MessageNumber(self.next_number);
        self.n_bytes += message.envelope.len();
        self.messages.push_back(Kept { number, message, is_claimed: false });
        while self.is_over(limits)
            && let Some(at) = self.messages.iter().position(|kept| !kept.is_claimed)
        {
            let dropped = self.messages.remove(at);
            self.n_bytes -= dropped.map_or(0, |kept| kept.message.envelope.len());
            self.n_dropped += 1;
        }
    }

    fn is_over(&self, limits: &OfflineLimits) -> bool {
        let n_messages = self.messages.len();
        n_messages > limits.per_user || (self.n_bytes > limits.per_user_bytes && n_messages > 1)
    }

    fn retain(&mut self, stays: impl Fn(&Kept) -> bool) {
        self.messages.retain(stays);
        self.n_bytes = self.messages.iter().map(|kept| kept.message.envelope.len()).sum();
    }

    fn expire(&mut self, oldest: hookswitch_protocol::Timestamp) {
        let n_before = self.messages.len();
        self.retain(|kept| kept.is_claimed || kept.message.at >= oldest);
        self.n_dropped += (n_before - self.messages.len()) as u64;
    }
}

impl OfflineStore for MemoryOffline {
    fn put(&self, messages: Vec<OfflineMessage>) -> BoxFuture<'_, Result<(), OfflineError>> {
        let mut users = self.users();
        for message in messages {
            users.entry(message.user.clone()).or_default().put(message, &self.limits);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn claim<'a>(&'a self, user: &'a UserKey, limit: usize) -> BoxFuture<'a, Result<Claim, OfflineError>> {
        let oldest = self.clock.now().before(self.limits.max_age);
        let mut claim = Claim::default();
        if let Some(waiting) = self.users().get_mut(user) {
            waiting.expire(oldest);
            claim.n_dropped = std::mem::take(&mut waiting.n_dropped);
            let mut n_bytes = 0;
            for kept in waiting.messages.iter_mut().filter(|kept| !kept.is_claimed).take(limit) {
                let envelope = kept.message.envelope.clone();
                n_bytes += envelope.len();
                if n_bytes > OFFLINE_PAGE_BYTES && !claim.messages.is_empty() {
                    break;
                }
                kept.is_claimed = true;
                claim.messages.push(ClaimedMessage { number: kept.number, envelope });
            }
        }
        Box::pin(std::future::ready(Ok(claim)))
    }

    fn confirm<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        let confirmed: HashSet<&MessageNumber> = messages.iter().collect();
        let mut users = self.users();
        if let Some(waiting) = users.get_mut(user) {
            waiting.retain(|kept| !(kept.is_claimed && confirmed.contains(&kept.number)));
            if waiting.messages.is_empty() && waiting.n_dropped == 0 {
                users.remove(user);
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn give_back<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        let given_back: HashSet<&MessageNumber> = messages.iter().collect();
        if let Some(waiting) = self.users().get_mut(user) {
            for kept in waiting.messages.iter_mut().filter(|kept| given_back.contains(&kept.number)) {
                kept.is_claimed = false;
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn may_have(&self, user: &UserKey) -> bool {
        self.users().contains_key(user)
    }
}
