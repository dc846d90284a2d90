//! Which other nodes live: when each last sent another heartbeat, by the clock of the one who looks.

use std::collections::HashMap;
use std::time::Duration;

use hookswitch_protocol::Timestamp;

use crate::backlog::PeerNodes;

/// What one node has observed of the others.
///
/// Clocks differ. One node whose clock is half a minute behind must not look dead to all others, who
/// would make its deliveries again; so nobody goes by the time that another node writes, only by whether
/// it writes another one.
#[derive(Debug, Default)]
pub(crate) struct ObservedNodes(HashMap<String, ObservedNode>);

#[derive(Debug)]
struct ObservedNode {
    heartbeat: i64,
    /// When this heartbeat was first seen.
    since: Timestamp,
    /// Whether another heartbeat was ever seen.
    has_changed: bool,
}

impl ObservedNodes {
    /// Takes in the heartbeats read at `now`, and judges the nodes by them. One that is seen for the first time is
    /// judged by its own time, and taken for dead by nobody.
    pub(crate) fn judge(&mut self, heartbeats: &[(String, i64)], now: Timestamp, dead_after: Duration) -> PeerNodes {
        let silent = now.before(dead_after);
        self.0.retain(|node, _| heartbeats.iter().any(|(known, _)| known == node));
        let mut nodes = PeerNodes::default();
        for (node, heartbeat) in heartbeats {
            let new = ObservedNode { heartbeat: *heartbeat, since: now, has_changed: false };
            let seen = self.0.entry(node.clone()).or_insert(new);
            if seen.heartbeat != *heartbeat {
                *seen = ObservedNode { heartbeat: *heartbeat, since: now, has_changed: true };
            }
            if seen.since < silent {
                nodes.dead.push(node.clone());
            } else if seen.has_changed || *heartbeat >= silent.as_millis() {
                nodes.alive.push(node.clone());
            }
        }
        nodes
    }

    /// Who looks was away itself: everybody has the time to say something that they would have had.
    pub(crate) fn begin_anew(&mut self, now: Timestamp) {
        self.0.values_mut().for_each(|seen| seen.since = now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(seen: &mut ObservedNodes, said: &[(&str, i64)], now_secs: i64) -> (Vec<String>, Vec<String>) {
        let said: Vec<_> = said.iter().map(|(node, secs)| ((*node).to_owned(), secs * 1_000)).collect();
        let nodes = seen.judge(&said, Timestamp::from_millis(now_secs * 1_000), Duration::from_secs(20));
        (nodes.alive, nodes.dead)
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_whose_clock_is_wrong_lives_as_long_as_it_says_something_new() {
        let mut seen = ObservedNodes::default();
        for secs in (1_000..1_100).step_by(5) {
            let (alive, dead) = judge(&mut seen, &[("behind", secs - 60), ("ahead", secs + 60)], secs);
            let wanted: &[&str] = if secs == 1_000 { &["ahead"] } else { &["behind", "ahead"] };
            assert_eq!((alive, dead), (names(wanted), vec![]), "at {secs}");
        }
        let last = [("behind", 1_035), ("ahead", 1_155)];
        assert_eq!(judge(&mut seen, &last, 1_115).0, names(&["behind", "ahead"]), "silent, but not for long enough");
        assert_eq!(judge(&mut seen, &last, 1_116).1, names(&["behind", "ahead"]));
    }

    #[test]
    fn what_is_left_of_former_nodes_is_neither_counted_nor_dead_at_once() {
        let mut seen = ObservedNodes::default();
        assert_eq!(judge(&mut seen, &[("former", 0)], 1_000), (vec![], vec![]));
        seen.begin_anew(Timestamp::from_millis(1_010_000));
        assert_eq!(judge(&mut seen, &[("former", 0)], 1_030), (vec![], vec![]));
        assert_eq!(judge(&mut seen, &[("former", 0)], 1_031), (vec![], names(&["former"])));
    }
}
