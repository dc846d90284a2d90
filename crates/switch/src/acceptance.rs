//! One batch on its way: everything its events mean, in an order that a crash cannot turn into a loss.
//!
//! ```text
//! turn of chosen ids ─ room for the store ─ is there room in the hub? ─ ids seen before?
//!   ─ chat sessions ─ messages for absent users ─ ids and deliveries ─ room in the hub ─ live
//!   ─ backlog of who came meanwhile
//! ```
//!
//! Room in the hub is shared with events that need no store, so it is not held while the store is waited for:
//! looked for before, so that a full hub refuses while nothing is written, and taken afterwards, with as much
//! patience as it takes. What touches no store takes it at once.
//!
//! Ids are remembered last of all that is durable: had they been first, a crash behind them would
//! make the publisher's second try a repetition without the effects that were still to come.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hookswitch_hub::{ChatSessionError, EncodedEvent, OfflineMessage, Publication, Reservation, UserKey, UserLocation};
use hookswitch_protocol::{Event, EventId, SessionName, TenantId, Timestamp};

use crate::checked::{CheckedBatch, moves_session};
use crate::context::Context;
use crate::enqueue_steps::{self, Stopped};
use crate::error::AcceptError;
use crate::prepared_batch::{Addressees, PendingEvent, PreparedBatch};
use crate::sessions::{SessionChanges, SessionPlan, Step};

/// Users and sessions that a shared store is asked about at the same time.
const ASKED_AT_ONCE: usize = 32;

/// So many bytes of a payload weigh as much as a small event, where events wait for the store.
const BYTES_OF_ONE: usize = 16 * 1024;

struct Acceptance<'a> {
    context: &'a Context,
    tenant: TenantId,
    now: Timestamp,
    events: Vec<PendingEvent>,
    /// Names of sessions that the shared store could not be asked for, and why.
    unanswered: HashMap<SessionName, ChatSessionError>,
}

impl Context {
    /// Accepts a checked batch in which ids are chosen, as soon as none of these is under way.
    pub(crate) async fn accept_in_turn(
        self: Arc<Self>,
        tenant: TenantId,
        batch: CheckedBatch,
    ) -> Result<Vec<EventId>, AcceptError> {
        let chosen = batch.events.iter().filter_map(|event| event.new.id.clone());
        let _turn = self.in_flight.claim(chosen.map(|id| (tenant.clone(), id)).collect()).await?;
        let prepared = PreparedBatch::new(&self, &tenant, batch);
        Arc::clone(&self).accept(prepared).await
    }

    /// Accepts a prepared batch; gives the ids of the request's events in order.
    pub(crate) async fn accept(self: Arc<Self>, prepared: PreparedBatch) -> Result<Vec<EventId>, AcceptError> {
        let PreparedBatch { tenant, now, events, places } = prepared;
        let mut acceptance = Acceptance { context: &self, tenant, now, events, unanswered: HashMap::new() };
        let addressees = acceptance.addressees().await?;
        // Before any room is taken: a shared store may be slow to answer.
        acceptance.unanswered = acceptance.refresh_sessions().await;
        let ids: Vec<_> = acceptance.events.iter().map(|event| event.event.id.clone()).collect();
        if acceptance.needs_store(&addressees) {
            acceptance.accept_durably().await?;
        } else {
            let events = acceptance.events.iter().map(|event| &event.event);
            let room = self.hub.reserve_for(&acceptance.tenant, events).await.map_err(AcceptError::Hub)?;
            acceptance.plan_sessions()?;
            acceptance.count(false);
            acceptance.publish(Some(room), &addressees).await?;
        }
        Ok(places.into_iter().map(|place| ids[place].clone()).collect())
    }

    /// Delivers to connections, here and on other nodes, and to listeners in the process. Gives the
    /// events for one user that met nobody.
    pub(crate) async fn publish(&self, room: Reservation, publications: &[Publication]) -> Vec<EncodedEvent> {
        for publication in publications {
            self.topics.deliver(publication.event.event());
        }
        self.hub.publish(room, publications).await
    }

    /// Keeps what met nobody, because its user left between the look and the delivery.
    async fn keep_missed(&self, missed: &[EncodedEvent]) -> Result<Vec<UserKey>, AcceptError> {
        let messages: Vec<_> = missed.iter().filter_map(OfflineMessage::of_encoded).collect();
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let users = messages.iter().map(|message| message.user.clone()).collect();
        self.metrics.kept_offline.inc_by(messages.len() as u64);
        let Err(error) = self.hub.keep_offline(messages.clone()).await else { return Ok(users) };
        // The rest of the batch is done and remembered: refused now, a second try would be taken for a
        // repetition, and the message lost. So it is kept as soon as the store takes it.
        if messages.into_iter().all(|message| self.hub.keep_later(message)) {
            Ok(Vec::new())
        } else {
            Err(error.into())
        }
    }

    /// Looks again after a user for whom something was kept, who may have come meanwhile.
    pub(crate) async fn bring_backlog(&self, user: &UserKey) {
        match self.hub.user_location(user).await {
            Ok(UserLocation::Away) => {}
            Ok(UserLocation::Elsewhere(_)) => self.hub.backlog_kept(user).await,
            // Asked even when presence is not known now: a backlog that nobody is there for stays.
            // What is published for this user next must not overtake it.
            Ok(UserLocation::Here) | Err(_) => self.hub.backlog_arrived(user).taken().await,
        }
    }

    /// Room in the hub for what is stored already: it cannot be refused any more. The shards take out what is
    /// in their mailboxes whatever clients do, so this ends.
    async fn live_room(&self, tenant: &TenantId, live: &[Publication]) -> Result<Reservation, AcceptError> {
        let events = live.iter().map(|publication| &**publication.event.event());
        self.hub.reserve_in_turn(tenant, events).await.map_err(AcceptError::Hub)
    }
}

impl Acceptance<'_> {
    /// Stores what must survive, then delivers. On an error in the middle of a large batch, the events before
    /// it are accepted as a whole, and those after it not at all.
    async fn accept_durably(mut self) -> Result<(), AcceptError> {
        let weight = self.events.iter().map(|event| store_weight(&event.event)).sum();
        let _store_room = self.context.store_permits.take(&self.tenant, weight).await?;
        let hub = &self.context.hub;
        let events = self.events.iter().map(|event| &event.event);
        drop(hub.reserve_for(&self.tenant, events).await.map_err(AcceptError::Hub)?);
        self.look_up().await?;
        // It may have taken a while to get here.
        let addressees = self.addressees().await?;
        let steps = self.plan_sessions()?;
        let stored = self.make_durable(&steps, &addressees).await;
        if stored.is_err() && self.events.is_empty() {
            return stored;
        }
        self.count(true);
        let n_events = self.events.len();
        let published = self.publish(None, &addressees).await;
        // What is stored is accepted, whoever is connected may have missed it.
        let partly = |source| AcceptError::Partly { n_stored: n_events, n_events, source: Box::new(source) };
        stored.and(published.map_err(partly))
    }

    /// Where the users addressed are.
    async fn addressees(&self) -> Result<Addressees, AcceptError> {
        let users: HashSet<_> = self.events.iter().filter_map(|event| event.addressee.clone()).collect();
        let hub = &self.context.hub;
        let asked = stream::iter(users).map(|user| async move {
            let place = hub.user_location(&user).await?;
            Ok((user, place))
        });
        asked.buffer_unordered(ASKED_AT_ONCE).try_collect().await
    }

    fn needs_store(&self, addressees: &Addressees) -> bool {
        addressees.values().any(|place| *place == UserLocation::Away)
            || self.events.iter().any(|event| {
                event.is_to_deliver() || (moves_session(&event.event.event_type) && event.names.name().is_some())
            })
    }

    /// Marks what was accepted before.
    async fn look_up(&mut self) -> Result<(), AcceptError> {
        let chosen: Vec<_> = self.events.iter_mut().filter(|event| event.fingerprint.is_some()).collect();
        if chosen.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> =
            chosen.iter().filter_map(|event| Some((event.event.id.clone(), event.fingerprint?))).collect();
        let seen = self.context.webhooks.look_up(&self.tenant, &ids).await?;
        for (event, seen) in chosen.into_iter().zip(seen) {
            event.mark(seen)?;
        }
        Ok(())
    }

    /// Learns what other nodes did to the sessions that the batch names. Gives those of which they did not say.
    async fn refresh_sessions(&self) -> HashMap<SessionName, ChatSessionError> {
        let sessions = self.context.hub.sessions();
        let names: HashSet<_> = self.events.iter().filter_map(|event| event.names.name()).collect();
        let asked = stream::iter(names).map(|name| async move {
            let error = sessions.refresh(&self.tenant, &name).await.err()?;
            sessions.log_unanswered(&error);
            Some((name, error))
        });
        asked.buffer_unordered(ASKED_AT_ONCE).filter_map(std::future::ready).collect().await
    }

    /// Finds each event's session and what the batch does to sessions.
    fn plan_sessions(&mut self) -> Result<Vec<Step>, AcceptError> {
        let unanswered = std::mem::take(&mut self.unanswered);
        let mut plan = SessionPlan::new(self.context.hub.sessions(), &self.tenant, unanswered);
        for event in self.events.iter_mut().filter(|event| !event.is_repeated) {
            event.event.session = plan.take(event.index, &event.event.event_type, &event.names)?;
        }
        Ok(plan.steps)
    }

    /// On an error only those events are left that are stored all the same.
    async fn make_durable(&mut self, steps: &[Step], addressees: &Addressees) -> Result<(), AcceptError> {
        let hub = self.context.hub.clone();
        let tenant = self.tenant.clone();
        let mut changes = SessionChanges::new(hub.sessions(), &tenant);
        let stored = async {
            let none = |error| Stopped { n_stored: 0, error };
            changes.carry_out(steps).await.map_err(none)?;
            self.keep_offline(addressees).await.map_err(none)?;
            enqueue_steps::store(self.context, &mut self.events, self.now).await
        };
        let Err(Stopped { n_stored, error }) = stored.await else { return Ok(()) };
        let n_events = self.events.len();
        let refused = self.events.split_off(n_stored);
        let first_refused = refused.first().map_or(usize::MAX, |event| event.index);
        changes.take_back_from(first_refused).await;
        Err(if n_stored == 0 { error } else { AcceptError::Partly { n_stored, n_events, source: Box::new(error) } })
    }

    async fn keep_offline(&self, addressees: &Addressees) -> Result<(), AcceptError> {
        let waiting = self.events.iter().filter(|event| event.waits(addressees));
        let messages: Vec<_> = waiting.filter_map(|event| OfflineMessage::of(&event.event)).collect();
        let n_messages = messages.len();
        if n_messages > 0 {
            self.context.hub.keep_offline(messages).await?;
            self.context.metrics.kept_offline.inc_by(n_messages as u64);
        }
        Ok(())
    }

    fn count(&self, needs_store: bool) {
        let n_repeated = self.events.iter().filter(|event| event.is_repeated).count();
        let n_new = self.events.len() - n_repeated;
        let metrics = &self.context.metrics;
        metrics.repeated.inc_by(n_repeated as u64);
        metrics.accepted.inc_by(n_new as u64);
        if !needs_store {
            metrics.live_only.inc_by(n_new as u64);
        }
    }

    /// Delivers to who is there, and looks again after who was not.
    async fn publish(self, room: Option<Reservation>, addressees: &Addressees) -> Result<(), AcceptError> {
        let fresh = self.events.into_iter().filter(|event| !event.is_repeated);
        let (mut live, mut users) = (Vec::new(), Vec::new());
        for event in fresh {
            let waits = event.waits(addressees);
            let holders = event.holders(addressees);
            // What was kept has its place among the others, but reaches its user from the store alone, or it would
            // come twice.
            let event_on_its_way = if waits { EncodedEvent::kept(event.event) } else { EncodedEvent::new(event.event) };
            live.push(Publication { event: event_on_its_way, holders, ticket: None });
            users.extend(event.addressee.filter(|_| waits));
        }
        for session in live.iter().filter_map(|publication| publication.event.session.as_ref()) {
            self.context.hub.sessions().seen(session);
        }
        if !live.is_empty() {
            let room = match room {
                Some(room) => room,
                None => self.context.live_room(&self.tenant, &live).await?,
            };
            let missed = self.context.publish(room, &live).await;
            users.extend(self.context.keep_missed(&missed).await?);
        }
        users.sort_unstable();
        users.dedup();
        for user in users {
            self.context.bring_backlog(&user).await;
        }
        Ok(())
    }
}

/// What an event weighs that waits for the store.
fn store_weight(event: &Event) -> u64 {
    1 + (event.payload.as_str().len() / BYTES_OF_ONE) as u64
}
