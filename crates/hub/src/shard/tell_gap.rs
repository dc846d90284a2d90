//! Tells connections that events of other nodes may be missing.

use std::collections::HashMap;

use bytes::Bytes;
use hookswitch_protocol::TenantId;

use super::{SLOTS_AT_ONCE, Shard, SlotKey};
use crate::notice;
use crate::publish::wire_form::{FormId, encode};
use crate::shard::gap_walk::Left;

/// Connections told before others get a turn.
const TOLD_AT_ONCE: usize = 256;

impl Shard {
    /// Begins to tell connections that events of other nodes may be missing.
    pub(super) fn begin_gap(&mut self, tenant: Option<TenantId>, n_missed: Option<u64>) {
        let left = match &tenant {
            None => Left::From(0),
            Some(tenant) => match self.by_tenant.get(tenant) {
                Some(index) => Left::Slots(self.tenants[*index as usize].slots().collect()),
                None => return,
            },
        };
        self.gap_walks.begin(tenant, n_missed, left);
    }

    /// Tells the next few hundred; gives how many.
    pub(super) fn tell_some_of_gap(&mut self) -> usize {
        let Some((tenant, mut walk)) = self.gap_walks.take_next() else { return 0 };
        let only = tenant.as_ref().and_then(|tenant| self.by_tenant.get(tenant).copied());
        if tenant.is_some() && only.is_none() {
            // All of its connections have gone meanwhile.
            return 0;
        }
        let (keys, is_through) = match &mut walk.left {
            Left::Slots(slots) => {
                let next = slots.split_off(slots.len().saturating_sub(TOLD_AT_ONCE));
                (self.concerned(next.into_iter().map(|slot| slot as usize), only), slots.is_empty())
            }
            Left::From(slot) => {
                let end = (*slot + SLOTS_AT_ONCE).min(self.connections.capacity());
                let mut keys = self.concerned(*slot..end, only);
                keys.truncate(TOLD_AT_ONCE);
                *slot = if keys.len() < TOLD_AT_ONCE { end } else { keys[TOLD_AT_ONCE - 1].slot as usize + 1 };
                (keys, *slot >= self.connections.capacity())
            }
        };
        self.tell_gap(&keys, walk.n_missed);
        if is_through {
            self.gap_walks.finish(tenant, walk);
        } else {
            self.gap_walks.give_back(tenant, walk);
        }
        keys.len()
    }

    /// The connections in these slots; `only` of one tenant.
    fn concerned(&self, slots: impl Iterator<Item = usize>, only: Option<u32>) -> Vec<SlotKey> {
        let found = slots.filter_map(|slot| Some((slot, self.connections.get(slot)?)));
        let concerned = found.filter(|(_, connection)| only.is_none_or(|only| only == connection.tenant));
        concerned.map(|(slot, connection)| SlotKey { slot: slot as u32, id: connection.id }).collect()
    }

    /// Those that are themselves behind learn it with their own notice.
    fn tell_gap(&mut self, keys: &[SlotKey], n_missed: Option<u64>) {
        let now = self.clock.now();
        let text = "events of other nodes may be missing; fetch the present state again";
        self.shared.metrics.gap_notices.inc_by(keys.len() as u64);
        // One notice per tenant and form, made when its first connection is found.
        let mut notices: HashMap<(u32, FormId), Bytes> = HashMap::new();
        for key in keys {
            let connection = &self.connections[key.slot as usize];
            let (index, form) = (connection.tenant, connection.form);
            let tenant = &self.tenants[index as usize].tenant;
            let encoded = || encode(self.forms[form.index()], &notice::missed(text, n_missed, now, tenant));
            let notice = notices.entry((index, form)).or_insert_with(encoded).clone();
            self.send(*key, &notice);
        }
    }
}
