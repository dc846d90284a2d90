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
    /// One that came meanwhile, to be told when this one is through.
    next: Option<Box<GapWalk>>,
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

    /// A gap that comes while another is being told is told behind it, together with others that come meanwhile.
    /// Beginning anew each time, a row of gaps would reach the first connections only.
    pub(super) fn begin(&mut self, tenant: Option<TenantId>, n_missed: Option<u64>, left: Left) {
        if let Some(walk) = self.by_tenant.get_mut(&tenant) {
            let before = walk.next.take().map_or(Some(0), |next| next.n_missed);
            let n_missed = before.zip(n_missed).map(|(a, b)| a + b);
            walk.next = Some(Box::new(GapWalk { n_missed, left, next: None }));
            return;
        }
        self.by_tenant.insert(tenant.clone(), GapWalk { n_missed, left, next: None });
        self.turns.push_back(tenant);
    }

    /// The walk whose turn it is, to be given back unless it is through.
    pub(super) fn take_next(&mut self) -> Option<(Option<TenantId>, GapWalk)> {
        let tenant = self.turns.pop_front()?;
        let walk = self.by_tenant.remove(&tenant)?;
        Some((tenant, walk))
    }

    /// The walk is through; the gap that came meanwhile is next.
    pub(super) fn finish(&mut self, tenant: Option<TenantId>, walk: GapWalk) {
        if let Some(next) = walk.next {
            self.give_back(tenant, *next);
        }
    }

    pub(super) fn give_back(&mut self, tenant: Option<TenantId>, walk: GapWalk) {
        self.by_tenant.insert(tenant.clone(), walk);
        self.turns.push_back(tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_that_come_meanwhile_are_told_behind_the_first_and_together() {
        let mut walks = GapWalks::default();
        for n in [1, 2, 3] {
            walks.begin(None, Some(n), Left::From(0));
        }
        let (tenant, first) = walks.take_next().expect("begun");
        assert_eq!(first.n_missed, Some(1), "goes on where it was");
        walks.finish(tenant, first);
        let (tenant, second) = walks.take_next().expect("the rest");
        assert_eq!(second.n_missed, Some(5));
        walks.finish(tenant, second);
        assert!(walks.is_empty());
    }
}
