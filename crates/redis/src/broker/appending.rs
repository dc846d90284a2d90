//! Events on their way into their tenants' streams; and what is done with them where Redis does not take them.

use std::pin::pin;

use futures_util::future::join_all;
use hookswitch_hub::Publication;
use hookswitch_protocol::{Chain, TenantId};

use super::orders::{Orders, locked};
use super::outgoing::{Outgoing, PAUSE};
use super::send_queue::{self, Outbound};
use crate::history::{AppendEvent, AppendRequest, Appended, Batch, HistoryError, Marks};

/// Most messages sent to the others together without their positions.
const SENT_AT_ONCE: usize = 256;

/// A tenant's batch, from when it is taken from the queue until Redis has it, or surely has not.
#[derive(Debug)]
struct Append {
    tenant: TenantId,
    messages: send_queue::Batch,
    batch: Batch,
    /// Redis may have it already: nothing but its answer tells.
    is_doubtful: bool,
}

impl Outgoing {
    /// Appends batches of different tenants together. One whose answer is lost is sent again until there is one; what
    /// Redis does not take waits in the queue again.
    pub(super) async fn append_all(&self, orders: &Orders, taken: Vec<(TenantId, send_queue::Batch)>) {
        let begin = |(tenant, messages)| begin(orders, tenant, messages);
        let mut pending: Vec<Append> = taken.into_iter().map(begin).collect();
        while !pending.is_empty() {
            let answers = self.append_once(orders, &pending).await;
            let (mut doubtful, mut refused) = (Vec::new(), Vec::new());
            for (mut append, answer) in pending.into_iter().zip(answers) {
                match answer {
                    Ok(appended) => self.appended(orders, append, Some(&appended)),
                    Err(HistoryError::Past { .. }) => self.appended(orders, append, None),
                    Err(error) if append.is_doubtful || error.is_doubtful() => {
                        self.degrade(&append.tenant);
                        if !std::mem::replace(&mut append.is_doubtful, true) {
                            self.queue().in_doubt(&append.tenant, &mut append.messages);
                        }
                        doubtful.push(append);
                    }
                    Err(error) => refused.push((self.put_back(orders, append), error)),
                }
            }
            if !(doubtful.is_empty() && refused.is_empty()) {
                self.pause(refused).await;
            }
            pending = doubtful;
        }
    }

    /// One attempt. Whoever waits for longer than a command may take is given what is on its way without positions.
    async fn append_once(&self, orders: &Orders, pending: &[Append]) -> Vec<Result<Appended, HistoryError>> {
        let request = |append: &Append| locked(&orders.of(&append.tenant)).seen();
        let seen: Vec<_> = pending.iter().map(request).collect();
        let requests = pending.iter().zip(seen);
        let requests: Vec<AppendRequest<'_>> = requests
            .map(|(append, seen)| AppendRequest { tenant: &append.tenant, seen, batch: &append.batch })
            .collect();
        let mut appending = pin!(orders.history.append_all(&requests));
        if let Ok(answers) = tokio::time::timeout(self.link.config().command_timeout, &mut appending).await {
            return answers;
        }
        for append in pending {
            self.degrade(&append.tenant);
        }
        appending.await
    }

    /// Redis has these.
    fn appended(&self, orders: &Orders, append: Append, appended: Option<&Appended>) {
        let Append { tenant, messages, .. } = append;
        self.metrics.sent.inc_by(messages.len() as u64);
        match appended {
            Some(appended) => orders.appended(&tenant, appended),
            None => locked(&orders.of(&tenant)).put_back(),
        }
        {
            let mut queue = self.queue();
            queue.gone(&messages);
            queue.settled(&tenant, false);
            queue.release(tenant);
            self.tell_dropped(&mut queue);
            Self::report_dropped(&mut queue);
        }
        // Now their publishers go on: they were given here already.
        drop(messages);
    }

    /// Redis surely has not got these: they are given here without positions, and wait.
    fn put_back(&self, orders: &Orders, append: Append) -> TenantId {
        let Append { tenant, mut messages, .. } = append;
        self.degrade(&tenant);
        locked(&orders.of(&tenant)).put_back();
        for placed in messages.iter_mut().filter_map(|message| message.placed.as_mut()) {
            placed.was_live = true;
        }
        let mut queue = self.queue();
        queue.put_back(&tenant, messages);
        queue.settled(&tenant, true);
        tenant
    }

    /// Before what failed is tried again. What Redis only does not keep is sent to the others as it is.
    async fn pause(&self, refused: Vec<(TenantId, HistoryError)>) {
        let refusals = refused.iter().filter(|(_, error)| matches!(error, HistoryError::Refused { .. }));
        join_all(refusals.map(|(tenant, error)| {
            tracing::debug!(%tenant, error = %Chain(error), "events are sent without positions");
            self.send_unplaced(tenant)
        }))
        .await;
        tokio::time::sleep(PAUSE).await;
        for (tenant, _) in refused {
            self.queue().release(tenant);
        }
    }

    /// Sends what waits of a tenant without positions, each once.
    async fn send_unplaced(&self, tenant: &TenantId) {
        loop {
            let sent: Vec<_> = {
                let mut queue = self.queue();
                let unsent = queue.waiting(tenant).filter_map(|outbound| {
                    let was_sent = std::mem::replace(&mut outbound.placed.as_mut()?.was_sent, true);
                    (!was_sent).then(|| (outbound.channel.clone(), outbound.body.clone(), outbound.slot))
                });
                unsent.take(SENT_AT_ONCE).collect()
            };
            if sent.is_empty() {
                return;
            }
            let sending = sent.iter().map(|(channel, body, slot)| self.send(channel, body, *slot));
            // What fails is counted, and gets to the others with its position.
            let _answers = join_all(sending).await;
        }
    }

    /// Gives a tenant's events here, without positions, as far as nobody was given them.
    pub(super) fn degrade(&self, tenant: &TenantId) {
        let Some(orders) = &self.orders else { return };
        orders.degrade(tenant, || {
            let (mut queue, mut live) = (self.queue(), Vec::<Publication>::new());
            for outbound in queue.waiting(tenant) {
                outbound.settled = None;
                if let Some(placed) = outbound.placed.as_mut().filter(|placed| !placed.was_live) {
                    placed.was_live = true;
                    live.push(placed.publication.clone());
                }
            }
            live
        });
    }

    /// The same at once for events that were just published, where Redis does not take their tenants'.
    pub(super) fn give_where_degraded(&self, publications: &[Publication]) {
        let Some(orders) = &self.orders else { return };
        for part in publications.chunk_by(|a, b| a.event.tenant == b.event.tenant) {
            let tenant = &part[0].event.tenant;
            if !self.is_sending() || locked(&orders.of(tenant)).is_degraded {
                self.degrade(tenant);
            }
        }
    }
}

fn begin(orders: &Orders, tenant: TenantId, messages: send_queue::Batch) -> Append {
    let placed = messages.iter().filter_map(|message| message.placed.as_ref());
    let on_their_way = placed.map(|placed| (placed.seq, placed.publication.clone(), placed.was_live));
    locked(&orders.of(&tenant)).send(on_their_way);
    let batch = orders.history.batch(messages.iter().map(append_event).collect());
    Append { tenant, messages, batch, is_doubtful: false }
}

fn append_event(message: &Outbound) -> AppendEvent {
    let is_opt_in = message.placed.as_ref().is_some_and(|placed| placed.publication.event.event_type.is_opt_in());
    AppendEvent {
        envelope: message.body.clone(),
        channel: Some(message.channel.as_str().into()),
        marks: Marks { is_kept: false, is_opt_in },
    }
}
