//! What a batch means, as far as this node knows without asking anybody.

use std::collections::HashMap;

use hookswitch_hub::{UserKey, UserLocation};
use hookswitch_protocol::{Event, NewEvent, NodeId, SessionNames, TenantId, Timestamp};
use hookswitch_webhooks::{Fingerprint, NewDeliveries, Seen, delivery_body};

use crate::checked::{Checked, CheckedBatch};
use crate::context::Context;
use crate::error::AcceptError;

/// Where each user addressed by the batch is.
pub(crate) type Addressees = HashMap<UserKey, UserLocation>;

/// A legal batch with what each event means to the webhooks.
pub(crate) struct PreparedBatch {
    pub(crate) tenant: TenantId,
    pub(crate) now: Timestamp,
    pub(crate) events: Vec<PendingEvent>,
    pub(crate) places: Vec<usize>,
}

/// One event and what it means.
pub(crate) struct PendingEvent {
    pub(crate) index: usize,
    pub(crate) event: Event,
    pub(crate) names: SessionNames,
    pub(crate) fingerprint: Option<Fingerprint>,
    /// How many webhooks want it, or some more; which, and on which terms, is looked up when it is stored, for
    /// a batch may have many events for many webhooks.
    pub(crate) n_webhooks: usize,
    /// The one user it is for, when it waits for that user.
    pub(crate) addressee: Option<UserKey>,
    /// Accepted before under the same id: nothing is left to do.
    pub(crate) is_repeated: bool,
}

impl PreparedBatch {
    pub(crate) fn new(context: &Context, tenant: &TenantId, batch: CheckedBatch) -> Self {
        let now = context.clock.now();
        let events = batch.events.into_iter().map(|checked| PendingEvent::new(context, tenant, now, checked));
        Self { tenant: tenant.clone(), now, events: events.collect(), places: batch.places }
    }

    /// Whether it is certain that no store and no other node will be asked about anything.
    pub(crate) fn is_live_only(&self) -> bool {
        self.events
            .iter()
            .all(|event| !event.is_to_deliver() && event.addressee.is_none() && event.names.name().is_none())
    }
}

impl Context {
    /// An event as `broadcast` and `save_offline` deliver it.
    pub(crate) async fn live_event(&self, tenant: &TenantId, new: NewEvent) -> Event {
        let now = self.clock.now();
        let session = match &new.session {
            Some(name) => self.hub.sessions().resolve(tenant, name).await,
            None => None,
        };
        Event::new(tenant.clone(), NewEvent { session, ..new }, now)
    }
}

impl PendingEvent {
    fn new(context: &Context, tenant: &TenantId, now: Timestamp, checked: Checked) -> Self {
        let Checked { index, new, names, fingerprint } = checked;
        let n_webhooks = context.webhooks.n_wanting(tenant, &new.event_type);
        // Its session is found once the whole batch is known.
        let event = Event::new(tenant.clone(), NewEvent { session: None, ..new }, now);
        let addressee = UserKey::addressee(&event);
        Self { index, event, names, fingerprint, n_webhooks, addressee, is_repeated: false }
    }

    /// Whether the ledger must know of it.
    pub(crate) fn is_to_deliver(&self) -> bool {
        self.fingerprint.is_some() || self.n_webhooks > 0
    }

    /// Whether it waits for a user who is away.
    pub(crate) fn waits(&self, addressees: &Addressees) -> bool {
        !self.is_repeated
            && self.addressee.as_ref().is_some_and(|user| addressees.get(user) == Some(&UserLocation::Away))
    }

    /// The other nodes at which its user was found.
    pub(crate) fn holders(&self, addressees: &Addressees) -> Vec<NodeId> {
        match self.addressee.as_ref().and_then(|user| addressees.get(user)) {
            Some(UserLocation::Elsewhere(holders)) => holders.clone(),
            Some(UserLocation::Away | UserLocation::Here) | None => Vec::new(),
        }
    }

    pub(crate) fn mark(&mut self, seen: Seen) -> Result<(), AcceptError> {
        match seen {
            Seen::New => Ok(()),
            Seen::Repeated => {
                self.is_repeated = true;
                Ok(())
            }
            Seen::Conflict => Err(AcceptError::IdConflict { index: self.index, id: self.event.id.clone() }),
        }
    }

    /// What the ledger must know of it. Its time is the batch's, its webhooks those of this moment.
    pub(crate) fn deliveries(&self, context: &Context, now: Timestamp) -> NewDeliveries {
        let Event { tenant, event_type, payload, .. } = &self.event;
        NewDeliveries {
            tenant: tenant.clone(),
            event_id: self.event.id.clone(),
            event_type: event_type.clone(),
            body: delivery_body(event_type, now, payload),
            accepted_at: now,
            targets: context.webhooks.targets(tenant, event_type, payload, now),
            fingerprint: self.fingerprint,
        }
    }
}
