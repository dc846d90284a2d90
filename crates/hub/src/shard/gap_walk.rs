//! Gaps that connections are being told of, a few hundred at a time: whoever has none to be told of is not to
//! wait while a hundred thousand others are.

use std::collections::{HashMap, VecDeque};

use hookswitch_protocol::TenantId;

/// Gaps that connections are being told of, by tenant, or for everybody.
#[derive(Debug, Default)]
pub(crate) struct GapWalks {
    by_tenant: HashMap<Option<TenantId>, GapWalk>,
    /// Each of these once: one slice each, in turn.
    turns: VecDeque<Option<TenantId>>,
}

/// One gap, as far as it is told.
#[derive(Debug)]
pub(super) struct GapWalk {
    /// How many events, where that is known.
    pub(super) n_missed: Option<u64>,
    pub(super) left: Left,
}

/// Who was not told yet.
#[derive(Debug)]
pub(super) enum Left {
    /// Those in these slots. Who has one by now that another had is told in vain.
    Slots(Vec<u32>),
    /// All from this slot on.
    From(usize),
}

impl GapWalks {
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// A gap that comes while another is being told is told with it, from the start.
    pub(super) fn begin(&mut self, tenant: Option<TenantId>, n_missed: Option<u64>, left: Left) {
        if let Some(walk) = self.by_tenant.get_mut(&tenant) {
            walk.n_missed = walk.n_missed.zip(n_missed).map(|(a, b)| a + b);
            walk.left = left;
            return;
        }
        self.by_tenant.insert(tenant.clone(), GapWalk { n_missed, left });
        self.turns.push_back(tenant);
    }

    /// The walk whose turn it is, to be given back unless it is through.
    pub(super) fn take_next(&mut self) -> Option<(Option<TenantId>, GapWalk)> {
        let tenant = self.turns.pop_front()?;
        let walk = self.by_tenant.remove(&tenant)?;
        Some((tenant, walk))
    }

    pub(super) fn give_back(&mut self, tenant: Option<TenantId>, walk: GapWalk) {
        self.by_tenant.insert(tenant.clone(), walk);
        self.turns.push_back(tenant);
    }
}
