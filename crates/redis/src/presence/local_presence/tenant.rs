//! The users of one tenant, each with what Redis knows of them and what is still to be written.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use hookswitch_protocol::UserId;
use tokio::sync::RwLock;

/// Whether this node's lease for a user is in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Nothing was ever sent.
    Never,
    /// It was sent, and nobody knows what became of it.
    Maybe,
    /// It was there, and the user's coming was announced.
    Yes,
}

/// What has to be sent for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    Nothing,
    /// The lease, also of one who has left meanwhile: a store that came back empty must first know
    /// that he was there, or nobody would hear that he left.
    Lease,
    Departure,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) n_connections: u32,
    pub(crate) is_present: bool,
    pub(crate) stored: Stored,
    pub(crate) pending: Pending,
    /// Of one who has left: so many connections were sent elsewhere and are expected back there.
    pub(crate) n_sent_away: u32,
}

impl Entry {
    pub(crate) fn has_pending_departure(self) -> bool {
        self.pending == Pending::Departure
    }
}

/// A lease to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DueLease {
    pub(crate) user: UserId,
    pub(crate) n_connections: u32,
    pub(crate) is_present: bool,
    /// Whether the user's coming is announced when he is not online yet.
    pub(crate) is_announced: bool,
}

#[derive(Debug, Default)]
pub(crate) struct TenantPresence {
    pub(crate) users: HashMap<UserId, Entry>,
    /// Users left to restoration: no call about them is under way.
    pub(crate) pending_users: BTreeSet<UserId>,
    /// Held shared by a call about one user, alone by restoration: what the two write of the same user
    /// must not overtake each other.
    pub(crate) write_lock: Arc<RwLock<()>>,
    /// Whether Redis knows that this node may hold leases in this tenant.
    pub(crate) is_registered: bool,
    /// Whether this node knows that others took it for lost here.
    pub(crate) knows_it_was_swept: bool,
}

impl TenantPresence {
    pub(crate) fn set_online(&mut self, user: &UserId, n_connections: u32) -> bool {
        let (stored, pending) = (Stored::Never, Pending::Lease);
        let unknown = Entry { n_connections, is_present: true, stored, pending, n_sent_away: 0 };
        let entry = self.users.entry(user.clone()).or_insert(unknown);
        let had_left = !entry.is_present;
        *entry = Entry { stored: entry.stored, ..unknown };
        had_left
    }

    /// Marks a lease as sent; gives it as it is to be sent.
    pub(crate) fn send(&mut self, user: &UserId) -> Option<DueLease> {
        let entry = self.users.get_mut(user).filter(|entry| entry.pending == Pending::Lease)?;
        if entry.stored == Stored::Never {
            entry.stored = Stored::Maybe;
        }
        let Entry { n_connections, is_present, stored, .. } = *entry;
        Some(DueLease { user: user.clone(), n_connections, is_present, is_announced: stored != Stored::Yes })
    }

    pub(crate) fn due_leases(&mut self, limit: usize) -> Vec<DueLease> {
        let pending_users: Vec<UserId> = self.with_pending(Pending::Lease).take(limit).cloned().collect();
        pending_users.iter().filter_map(|user| self.send(user)).collect()
    }

    pub(crate) fn with_pending(&self, pending: Pending) -> impl Iterator<Item = &UserId> {
        self.pending_users
            .iter()
            .filter(move |user| self.users.get(*user).is_some_and(|entry| entry.pending == pending))
    }

    /// Those of these users who have left, each with the number of connections that were sent elsewhere.
    pub(crate) fn departures<'a>(&self, users: impl IntoIterator<Item = &'a UserId>) -> Vec<(UserId, u32)> {
        let left = users.into_iter().filter_map(|user| Some((user, self.users.get(user)?)));
        left.filter(|(_, entry)| !entry.is_present).map(|(user, entry)| (user.clone(), entry.n_sent_away)).collect()
    }

    pub(crate) fn mark_stored(&mut self, user: &UserId) {
        if let Some(entry) = self.users.get_mut(user) {
            entry.stored = Stored::Yes;
        }
    }

    pub(crate) fn mark_settled(&mut self, user: &UserId) {
        let Some(entry) = self.users.get_mut(user).filter(|entry| entry.pending == Pending::Lease) else { return };
        entry.pending = if entry.is_present { Pending::Nothing } else { Pending::Departure };
        if entry.is_present {
            self.pending_users.remove(user);
        }
    }

    /// Whether Redis was in sync about anybody: then it must not know nothing of this node now.
    pub(crate) fn was_in_sync(&self) -> bool {
        self.users.values().any(|entry| entry.stored == Stored::Yes && entry.pending != Pending::Lease)
    }

    /// Everything has to be written again.
    pub(crate) fn doubt(&mut self) {
        self.is_registered = false;
        for (user, entry) in &mut self.users {
            entry.pending = Pending::Lease;
            self.pending_users.insert(user.clone());
        }
    }

    /// Others took this node for lost and have told that its users left: they come anew, and those
    /// who left need not leave again. Gives how many of the latter there were.
    pub(crate) fn swept(&mut self) -> usize {
        self.knows_it_was_swept = true;
        let before = self.users.len();
        self.users.retain(|_, entry| entry.is_present);
        let n_left = before - self.users.len();
        self.pending_users.clear();
        for entry in self.users.values_mut() {
            entry.stored = Stored::Never;
        }
        self.doubt();
        n_left
    }

    /// Compares with what Redis holds; marks what differs. Gives how much that is, and how many of
    /// it are leases that this node does not know.
    pub(crate) fn compare(&mut self, held: &HashMap<UserId, u32>, online: &HashSet<UserId>) -> (usize, usize) {
        let unknown: Vec<&UserId> = held.keys().filter(|user| !self.users.contains_key(*user)).collect();
        for user in &unknown {
            // Whether the others have heard that he left is not known; if they have, nothing is told.
            let (stored, pending) = (Stored::Maybe, Pending::Departure);
            let lease = Entry { n_connections: 1, is_present: false, stored, pending, n_sent_away: 0 };
            self.users.insert((*user).clone(), lease);
            self.pending_users.insert((*user).clone());
        }
        let mut n_differing = unknown.len();
        for (user, entry) in &mut self.users {
            let differs = held.get(user) != Some(&entry.n_connections) || !online.contains(user);
            if entry.pending == Pending::Nothing && differs {
                entry.pending = Pending::Lease;
                self.pending_users.insert(user.clone());
                n_differing += 1;
            }
        }
        (n_differing, unknown.len())
    }
}
