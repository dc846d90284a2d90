//! One claim: a page of messages that can go out.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_hub::{Claim, ClaimedMessage, MessageNumber, OFFLINE_PAGE_BYTES, OfflineError, UserKey};
use hookswitch_protocol::{Chain, Timestamp};

use super::scripts::{ClaimAnswer, PageLimits, Settlement};
use super::{RedisOffline, envelope};

/// When to look again while another node brings the user messages, at the latest.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl RedisOffline {
    /// One page: what cannot go out is dropped from it, and the room used for what waits behind.
    pub(super) async fn claim_page(&self, user: &UserKey, limit: usize) -> Result<Claim, OfflineError> {
        let mut page = Page { store: self, user, firsts: Vec::new(), is_handed_over: false };
        let mut claim = Claim::default();
        while let Some(room) = room_left(&claim, limit) {
            let answer = match page.take(room).await {
                Ok(answer) => answer,
                Err(error) if claim.messages.is_empty() && claim.n_dropped == 0 => return Err(error),
                // The next claim meets the same trouble; what is in hand goes out first.
                Err(_) => break,
            };
            claim.held_elsewhere = answer.held_for.map(|left| left.min(LOOK_AGAIN));
            claim.n_dropped += answer.n_dropped;
            let is_cut = answer.is_cut;
            let has_left_out = page.add_fit(answer, &mut claim).await;
            if !is_cut && !has_left_out {
                break;
            }
        }
        page.is_handed_over = true;
        Ok(claim)
    }
}

/// What more a page may take, of messages and of bytes together.
fn room_left(claim: &Claim, limit: usize) -> Option<PageLimits> {
    let (n_before, n_taken) =
        (claim.messages.len(), claim.messages.iter().map(|message| message.envelope.len()).sum::<usize>());
    let n_bytes = OFFLINE_PAGE_BYTES.saturating_sub(n_taken);
    let is_full = n_before >= limit || n_bytes == 0;
    (!is_full).then(|| PageLimits { n_messages: limit - n_before, n_bytes, n_before })
}

/// A claim on its way. Dropped before it is handed over, nobody has its messages.
struct Page<'a> {
    store: &'a RedisOffline,
    user: &'a UserKey,
    firsts: Vec<i64>,
    is_handed_over: bool,
}

impl Page<'_> {
    async fn take(&mut self, room: PageLimits) -> Result<ClaimAnswer, OfflineError> {
        let store = self.store;
        let start = store.open().begin(self.user, room.n_messages);
        self.firsts.push(start.first);
        let answer = store.scripts.claim(self.user, &start, room, self.oldest()).await;
        // A call that failed may still be carried out; what it claims then is put back by the next.
        let n_messages = answer.as_ref().map_or(0, |answer| answer.messages.len());
        store.open().answered(self.user, start.first, n_messages);
        let answer = answer?;
        store.metrics.dropped.inc_by(answer.n_dropped_now);
        store.metrics.taken_over.inc_by(answer.n_freed);
        Ok(answer)
    }

    fn oldest(&self) -> Timestamp {
        self.store.link.clock().now().before(self.store.limits.max_age)
    }

    /// Adds to the claim what can go out. Whether anything was left out.
    async fn add_fit(&self, answer: ClaimAnswer, claim: &mut Claim) -> bool {
        let mut foreign = Foreign::default();
        for message in answer.messages {
            let (number, envelope) = (message.number, message.envelope);
            let good = if message.is_ours { Some(envelope) } else { foreign.accept(self, number, envelope) };
            claim.messages.extend(good.map(|envelope| ClaimedMessage { number, envelope }));
        }
        claim.n_dropped += self.drop_unfit(&foreign).await;
        if !foreign.filled.is_empty()
            && let Err(error) = self.store.scripts.amend(self.user, std::mem::take(&mut foreign.filled)).await
        {
            // Harmless: given back, they would get another id.
            tracing::debug!(tenant = %self.user.tenant, user = %self.user.user, error = %Chain(&error), "foreign envelopes stay as they came");
        }
        !foreign.unfit.is_empty()
    }

    /// Forgets what cannot go out; how many of these were too old.
    async fn drop_unfit(&self, foreign: &Foreign) -> u64 {
        let (store, user) = (self.store, self.user);
        if foreign.unfit.is_empty() {
            return 0;
        }
        let dropped = store.scripts.settle(Settlement::Confirmed, user, &foreign.unfit).await;
        // If that failed they are nobody's, and looked at again by the next claim.
        store.open().settled(user, &foreign.unfit);
        if let Err(error) = dropped {
            tracing::warn!(tenant = %user.tenant, user = %user.user, error = %Chain(&error), "unfit offline messages could not be dropped");
            return 0;
        }
        store.metrics.dropped.inc_by(foreign.n_too_old);
        store.metrics.refused.inc_by(foreign.unfit.len() as u64 - foreign.n_too_old);
        if let Some(reason) = &foreign.reason {
            let n_refused = foreign.unfit.len() as u64 - foreign.n_too_old;
            tracing::warn!(tenant = %user.tenant, user = %user.user, n_refused, %reason, "offline messages of a foreign program dropped");
        }
        foreign.n_too_old
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        if !self.is_handed_over {
            let mut open = self.store.open();
            for first in &self.firsts {
                open.abandon(self.user, *first);
            }
        }
    }
}

/// The messages of a page that others pushed.
#[derive(Default)]
struct Foreign {
    filled: Vec<(MessageNumber, Bytes)>,
    unfit: Vec<MessageNumber>,
    n_too_old: u64,
    /// Why one of the unfit is.
    reason: Option<envelope::UnfitEnvelope>,
}

impl Foreign {
    fn accept(&mut self, page: &Page<'_>, number: MessageNumber, envelope: Bytes) -> Option<Bytes> {
        match envelope::read(&envelope, page.user, page.store.link.clock().now()) {
            Ok(read) if read.at < page.oldest() => {
                self.unfit.push(number);
                self.n_too_old += 1;
                None
            }
            Ok(read) => {
                self.filled.extend(read.filled.clone().map(|filled| (number, filled)));
                Some(read.filled.unwrap_or(envelope))
            }
            Err(reason) => {
                self.unfit.push(number);
                self.reason = Some(reason);
                None
            }
        }
    }
}
