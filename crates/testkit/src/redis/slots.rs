//! Which node of a cluster owns which slots, as one node sees it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// How many slots a cluster has.
pub(super) const SLOTS: usize = 16_384;

/// One node's view of the owners, read from its `CLUSTER NODES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SlotMap {
    /// By the node's port; its slots in order.
    nodes: BTreeMap<u16, Vec<RangeInclusive<u16>>>,
}

impl SlotMap {
    /// # Panics
    /// When this is no answer to `CLUSTER NODES`.
    pub(super) fn parse(answer: &str) -> Self {
        Self { nodes: answer.lines().map(|line| node(line).unwrap_or_else(|| panic!("no node: {line}"))).collect() }
    }

    /// How many nodes are known.
    pub(super) fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How many slots have an owner.
    pub(super) fn n_assigned(&self) -> usize {
        self.nodes.values().flatten().map(RangeInclusive::len).sum()
    }

    /// The port of the owner of a slot.
    pub(super) fn owner(&self, slot: u16) -> Option<u16> {
        let owns = |ranges: &[RangeInclusive<u16>]| ranges.iter().any(|range| range.contains(&slot));
        self.nodes.iter().find(|(_, ranges)| owns(ranges)).map(|(port, _)| *port)
    }
}

/// `<id> <ip>:<port>@<bus port> <flags> <master> <ping> <pong> <epoch> <link> <slots>…`
fn node(line: &str) -> Option<(u16, Vec<RangeInclusive<u16>>)> {
    let mut words = line.split(' ');
    let addr = words.nth(1)?;
    let port = addr.split_once('@')?.0.rsplit_once(':')?.1.parse().ok()?;
    // A slot on its way stands in brackets beside the ranges, which still hold it.
    let slots = words.skip(6).filter(|word| !word.starts_with('['));
    Some((port, slots.map(range).collect::<Option<_>>()?))
}

fn range(word: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_single_slots_and_slots_on_their_way_are_read() {
        let map = SlotMap::parse(
            "07c3 127.0.0.1:30004@31004,host master - 0 1426238317239 4 connected 0-10 12 [12->-67ed]\n\
             67ed 127.0.0.1:30002@31002 myself,master - 0 1426238316232 2 connected",
        );
        assert_eq!((map.n_nodes(), map.n_assigned()), (2, 12));
        assert_eq!([0, 10, 11, 12].map(|slot| map.owner(slot)), [Some(30004), Some(30004), None, Some(30004)]);
    }
}
