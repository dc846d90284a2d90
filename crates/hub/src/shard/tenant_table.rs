//! One tenant on one shard: its connections by every key an event may ask for, and its pending events.

use std::collections::{HashMap, VecDeque};

use hookswitch_protocol::{Event, SessionKey, SubscriptionName, TenantId, UserId};
use smallvec::SmallVec;

use crate::attachment::{Attachment, Clearance, Subject};
use crate::history::place::Place;
use crate::publish::batch::Batch;
use crate::seams::broker::EncodedEvent;
use crate::shard::append_batch::AppendBatch;
use crate::shard::command_share::CommandShare;
use crate::shard::connection::Connection;
use crate::shard::subscription_index::{SlotSet, SubscriptionIndex};
use crate::shard::visibility::is_for_visitors;

/// What a shard knows of one tenant.
#[derive(Debug)]
pub(crate) struct TenantTable {
    pub(crate) tenant: TenantId,
    /// Users' connections that never subscribed: they get everything.
    everything: SlotSet,
    /// Connections that may see what is for administrators only.
    admins: SlotSet,
    pub(crate) interest: SubscriptionIndex,
    users: HashMap<UserId, SmallVec<[u32; 2]>>,
    visitors: HashMap<SessionKey, SmallVec<[u32; 2]>>,
    n_connections: usize,
    /// What its clients may still say.
    pub(crate) commands: CommandShare,
    /// Events waiting for their turn.
    pub(crate) pending: VecDeque<Batch>,
    /// Events no longer pending that are not yet with everybody they are for.
    pub(crate) append_batch: Option<AppendBatch>,
    /// The last event that is with everybody here whom it is for.
    pub(crate) appended: Place,
    /// Connections with something to flush, in the order they got it.
    pub(crate) dirty: VecDeque<u32>,
    /// How many of these must be flushed before more events are appended. Not all: connections that
    /// keep getting answers must not hold up the events.
    pub(crate) n_to_flush: usize,
    /// Whether the tenant stands in the shard's ring.
    pub(crate) is_queued: bool,
}

impl TenantTable {
    pub(crate) fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            everything: SlotSet::default(),
            admins: SlotSet::default(),
            interest: SubscriptionIndex::default(),
            users: HashMap::new(),
            visitors: HashMap::new(),
            n_connections: 0,
            commands: CommandShare::default(),
            pending: VecDeque::new(),
            append_batch: None,
            appended: Place::default(),
            dirty: VecDeque::new(),
            n_to_flush: 0,
            is_queued: false,
        }
    }

    /// Whether nothing refers to the table any more.
    pub(crate) fn is_idle(&self) -> bool {
        self.n_connections == 0 && !self.is_queued && !self.has_work()
    }

    /// Whether anything is to be appended or flushed.
    pub(crate) fn has_work(&self) -> bool {
        !self.pending.is_empty() || self.append_batch.is_some() || !self.dirty.is_empty()
    }

    pub(crate) fn insert(&mut self, slot: u32, who: &Attachment) {
        self.n_connections += 1;
        if who.clearance == Clearance::Admin {
            self.admins.insert(slot);
        }
        match &who.subject {
            Subject::User(user) => {
                self.everything.insert(slot);
                self.users.entry(user.clone()).or_default().push(slot);
            }
            Subject::Visitor(session) => self.visitors.entry(session.clone()).or_default().push(slot),
        }
    }

    /// Takes a connection out; `names` is its subscription, if it ever had one.
    pub(crate) fn remove(&mut self, slot: u32, subject: &Subject, names: Option<&[SubscriptionName]>) {
        self.n_connections -= 1;
        self.admins.swap_remove(&slot);
        match subject {
            Subject::User(user) => {
                take_slot(&mut self.users, user, slot);
                self.everything.swap_remove(&slot);
                for name in names.unwrap_or_default() {
                    self.interest.remove(slot, name, &[]);
                }
            }
            Subject::Visitor(session) => take_slot(&mut self.visitors, session, slot),
        }
    }

    /// The connection subscribed for the first time: from now on only what it names arrives.
    pub(crate) fn leave_everything(&mut self, slot: u32) {
        self.everything.swap_remove(&slot);
    }

    /// The last event that is with everybody here whom it is for, in the batch on its way too.
    pub(crate) fn appended(&self) -> Place {
        self.append_batch.as_ref().and_then(AppendBatch::last_done).unwrap_or(self.appended)
    }

    /// The slots of all its connections.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        self.users.values().chain(self.visitors.values()).flatten().copied()
    }

    pub(crate) fn is_admin(&self, slot: u32) -> bool {
        self.admins.contains(&slot)
    }

    pub(crate) fn user(&self, user: &UserId) -> &[u32] {
        self.users.get(user).map_or(&[], |slots| slots)
    }

    pub(crate) fn visitors(&self, session: &SessionKey) -> &[u32] {
        self.visitors.get(session).map_or(&[], |slots| slots)
    }

    /// Puts into `audience` the slots of every connection the event may concern.
    pub(crate) fn audience(&mut self, event: &EncodedEvent, audience: &mut Audience) {
        audience.slots.clear();
        audience.is_filtered = true;
        if event.is_kept() {
            audience.n_users = 0;
            return;
        }
        if let Some(user) = &event.user {
            audience.slots.extend_from_slice(self.user(user));
            audience.is_filtered = false;
        } else if let Some(topic) = &event.topic {
            audience.slots.extend(self.interest.topic(topic.as_str()).into_iter().flatten());
        } else {
            if !event.event_type.is_opt_in() {
                audience.slots.extend(&self.everything);
            }
            audience.slots.extend(self.interest.audience(&event.event_type).into_iter().flatten());
        }
        if event.event_type.is_for_admins() {
            audience.slots.retain(|slot| self.admins.contains(slot));
        }
        audience.n_users = audience.slots.len();
        if let Some(session) = is_for_visitors(event) {
            audience.slots.extend_from_slice(self.visitors(session));
        }
    }
}

/// The connections one event concerns; the vector is used again for the next event.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    pub(crate) slots: Vec<u32>,
    /// The first so many are users; the rest are visitors, whose subscriptions are not indexed.
    pub(crate) n_users: usize,
    /// Whether the users among them were found by subscription already.
    pub(crate) is_filtered: bool,
}

impl Audience {
    /// Whether the connection at this place of the audience, which is this one, wants the event.
    pub(crate) fn is_wanted(&self, at: usize, connection: &Connection, event: &Event) -> bool {
        (self.is_filtered && at < self.n_users) || connection.wants(event)
    }
}

fn take_slot<K: Eq + std::hash::Hash>(index: &mut HashMap<K, SmallVec<[u32; 2]>>, key: &K, slot: u32) {
    if let Some(slots) = index.get_mut(key) {
        slots.retain(|s| *s != slot);
        if slots.is_empty() {
            index.remove(key);
        }
    }
}
