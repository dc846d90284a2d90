//! One tenant's part of the roll.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use hookswitch_protocol::UserId;
use tokio::sync::RwLock;

/// Whether this node's lease for a user is in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing was ever sent.
    Never,
    /// It was sent, and nobody knows what became of it.
    Maybe,
    /// It was there, and whoever had to hear of the user's coming has heard.
    Yes,
}

/// What has to be sent for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owed {
    Nothing,
    /// The lease, also of one who has left meanwhile: a store that came back empty must first know
    /// that he was there, or nobody would hear that he left.
    Lease,
    Leave,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) n_connections: u32,
    pub(crate) is_present: bool,
    pub(crate) said: Said,
    pub(crate) owed: Owed,
}

impl Entry {
    pub(crate) fn owes_leave(self) -> bool {
        self.owed == Owed::Leave
    }
}

/// A lease to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DueLease {
    pub(crate) user: UserId,
    pub(crate) n_connections: u32,
    pub(crate) is_present: bool,
    /// Whether a coming has to be told when the user is not online yet.
    pub(crate) is_news: bool,
}

#[derive(Debug, Default)]
pub(crate) struct TenantRoll {
    pub(crate) users: HashMap<UserId, Entry>,
    /// Users whose debt is nobody's but the driver's: no call about them is under way.
    pub(crate) owing: BTreeSet<UserId>,
    /// Held shared by a call about one user, alone by the driver: what the two say of the same user
    /// must not overtake each other.
    pub(crate) gate: Arc<RwLock<()>>,
    /// Whether Redis knows that this node may hold leases in this tenant.
    pub(crate) is_registered: bool,
    /// Whether this node knows that others took it for lost here.
    pub(crate) knows_it_was_swept: bool,
}

impl TenantRoll {
    pub(crate) fn come(&mut self, user: &UserId, n_connections: u32) -> bool {
        let unknown = Entry { n_connections, is_present: true, said: Said::Never, owed: Owed::Lease };
        let entry = self.users.entry(user.clone()).or_insert(unknown);
        let had_left = !entry.is_present;
        *entry = Entry { n_connections, is_present: true, owed: Owed::Lease, ..*entry };
        had_left
    }

    /// Marks a lease as sent; gives it with what has to be told.
    pub(crate) fn send(&mut self, user: &UserId) -> Option<DueLease> {
        let entry = self.users.get_mut(user).filter(|entry| entry.owed == Owed::Lease)?;
        if entry.said == Said::Never {
            entry.said = Said::Maybe;
        }
        let Entry { n_connections, is_present, said, .. } = *entry;
        Some(DueLease { user: user.clone(), n_connections, is_present, is_news: said != Said::Yes })
    }

    pub(crate) fn due_leases(&mut self, limit: usize) -> Vec<DueLease> {
        let owing: Vec<UserId> = self.with_owed(Owed::Lease).take(limit).cloned().collect();
        owing.iter().filter_map(|user| self.send(user)).collect()
    }

    pub(crate) fn with_owed(&self, owed: Owed) -> impl Iterator<Item = &UserId> {
        self.owing.iter().filter(move |user| self.users.get(*user).is_some_and(|entry| entry.owed == owed))
    }

    pub(crate) fn said(&mut self, user: &UserId) {
        if let Some(entry) = self.users.get_mut(user) {
            entry.said = Said::Yes;
        }
    }

    pub(crate) fn settled(&mut self, user: &UserId) {
        let Some(entry) = self.users.get_mut(user).filter(|entry| entry.owed == Owed::Lease) else { return };
        entry.owed = if entry.is_present { Owed::Nothing } else { Owed::Leave };
        if entry.is_present {
            self.owing.remove(user);
        }
    }

    /// Whether Redis was in step about anybody: then it must not know nothing of this node now.
    pub(crate) fn is_in_step(&self) -> bool {
        self.users.values().any(|entry| entry.said == Said::Yes && entry.owed != Owed::Lease)
    }

    /// Everything has to be said again.
    pub(crate) fn doubt(&mut self) {
        self.is_registered = false;
        for (user, entry) in &mut self.users {
            entry.owed = Owed::Lease;
            self.owing.insert(user.clone());
        }
    }

    /// Others took this node for lost and have told that its users left: they come anew, and those
    /// who left need not leave again. Gives how many of the latter there were.
    pub(crate) fn swept(&mut self) -> usize {
        self.knows_it_was_swept = true;
        let before = self.users.len();
        self.users.retain(|_, entry| entry.is_present);
        let n_left = before - self.users.len();
        self.owing.clear();
        for entry in self.users.values_mut() {
            entry.said = Said::Never;
        }
        self.doubt();
        n_left
    }

    /// Compares with what Redis holds; marks what differs. Gives how much that is, and how many of
    /// it are leases that this node does not know.
    pub(crate) fn compare(&mut self, held: &HashMap<UserId, u32>, online: &HashSet<UserId>) -> (usize, usize) {
        let strays: Vec<&UserId> = held.keys().filter(|user| !self.users.contains_key(*user)).collect();
        for user in &strays {
            // Whether the others have heard that he left is not known; if they have, nothing is told.
            let stray = Entry { n_connections: 1, is_present: false, said: Said::Maybe, owed: Owed::Leave };
            self.users.insert((*user).clone(), stray);
            self.owing.insert((*user).clone());
        }
        let mut n_differing = strays.len();
        for (user, entry) in &mut self.users {
            let differs = held.get(user) != Some(&entry.n_connections) || !online.contains(user);
            if entry.owed == Owed::Nothing && differs {
                entry.owed = Owed::Lease;
                self.owing.insert(user.clone());
                n_differing += 1;
            }
        }
        (n_differing, strays.len())
    }
}
