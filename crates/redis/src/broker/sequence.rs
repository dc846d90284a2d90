//! Puts the events of each publishing node into its order, once each.
//!
//! Normally they come in order. While a cluster's slots move they may not, and after an outage a node
//! may send some again whose fate it could not know. A number that is missing is waited for a moment;
//! then the gap is told.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use hookswitch_hub::Received;
use hookswitch_protocol::{NodeId, TenantId};
use tokio::time::Instant;

/// How long later events wait for an earlier one.
const PATIENCE: Duration = Duration::from_millis(250);

/// Most events of one node and tenant that wait for an earlier one; then it counts as lost.
const WAITING: usize = 1_024;

/// A number's upper bits are its generation. A node that publishes for very many tenants forgets its counts
/// and goes on in the next generation; that is no gap.
pub(crate) const GENERATION_SHIFT: u32 = 40;

/// Most nodes remembered per tenant; each start of a node is another one.
const NODES: usize = 512;

/// The state of every publishing node, per tenant.
#[derive(Debug, Default)]
pub(crate) struct Sequencer {
    tenants: HashMap<TenantId, HashMap<NodeId, Sequence>>,
    /// How long the first events of a node are collected before the smallest number among them counts
    /// as the beginning. Zero where all of a tenant's events go one way.
    settling: Duration,
    /// Sequences with events that wait.
    n_waiting: usize,
}

/// One node's events of one tenant.
#[derive(Debug)]
struct Sequence {
    /// The next number; smaller ones were here already.
    next: u64,
    waiting: BTreeMap<u64, Received>,
    since: Instant,
    /// Messages were lost by the transport, and everybody was told: the next number may be any.
    is_forgiven: bool,
    /// Until then events are only collected.
    settles_at: Option<Instant>,
}

/// What came out of taking an event in.
#[derive(Debug, Default)]
pub(crate) struct Ordered {
    /// Events whose turn it is.
    pub(crate) ready: Vec<Received>,
    /// How many before them never came.
    pub(crate) n_missed: u64,
}

impl Sequencer {
    /// A sequencer for a transport on which a node's first events may come out of order.
    pub(crate) fn settling_for(settling: Duration) -> Self {
        Self { settling, ..Self::default() }
    }

    /// Takes one event in; gives those whose turn it is.
    pub(crate) fn take(&mut self, tenant: &TenantId, node: NodeId, seq: u64, received: Received) -> Ordered {
        let nodes = match self.tenants.get_mut(tenant) {
            Some(nodes) => nodes,
            None => self.tenants.entry(tenant.clone()).or_default(),
        };
        if nodes.len() >= NODES && !nodes.contains_key(&node) {
            forget_oldest(nodes);
        }
        // What a node published before this one listened is none of its business.
        let sequence = nodes.entry(node).or_insert_with(|| Sequence::starting_at(seq, self.settling));
        let was_waiting = !sequence.waiting.is_empty();
        let ordered = sequence.take(seq, received, self.settling);
        self.n_waiting = self.n_waiting + usize::from(!sequence.waiting.is_empty()) - usize::from(was_waiting);
        ordered
    }

    /// The node says that nothing up to this number is still to come. Where ways differ it may yet.
    pub(crate) fn up_to(&mut self, tenant: &TenantId, node: &NodeId, last: u64) -> Ordered {
        let sequence = self.tenants.get_mut(tenant).and_then(|nodes| nodes.get_mut(node));
        let Some(sequence) =
            sequence.filter(|sequence| self.settling.is_zero() && sequence.next <= last && last < u64::MAX)
        else {
            return Ordered::default();
        };
        let was_waiting = !sequence.waiting.is_empty();
        let ordered = sequence.up_to(last);
        self.n_waiting = self.n_waiting + usize::from(!sequence.waiting.is_empty()) - usize::from(was_waiting);
        ordered
    }

    /// Gives up on numbers that did not come in time.
    pub(crate) fn give_up(&mut self) -> Vec<(TenantId, Ordered)> {
        if self.n_waiting == 0 {
            return Vec::new();
        }
        let mut given_up = Vec::new();
        for (tenant, nodes) in &mut self.tenants {
            for sequence in nodes.values_mut().filter(|sequence| sequence.is_due()) {
                let ordered = sequence.give_up();
                self.n_waiting -= usize::from(sequence.waiting.is_empty());
                given_up.push((tenant.clone(), ordered));
            }
        }
        given_up
    }

    /// Whether anything waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.n_waiting > 0
    }

    /// The transport lost messages, and that was told.
    pub(crate) fn forgive(&mut self) {
        for sequence in self.tenants.values_mut().flat_map(HashMap::values_mut) {
            sequence.is_forgiven = true;
        }
    }

    /// The tenant is not watched any more.
    pub(crate) fn forget(&mut self, tenant: &TenantId) {
        if let Some(nodes) = self.tenants.remove(tenant) {
            self.n_waiting -= nodes.values().filter(|sequence| !sequence.waiting.is_empty()).count();
        }
    }
}

/// Forgets a node that was not heard of for long and leaves nothing waiting.
fn forget_oldest(nodes: &mut HashMap<NodeId, Sequence>) {
    let idle = nodes.iter().filter(|(_, sequence)| sequence.waiting.is_empty());
    if let Some(node) = idle.min_by_key(|(_, sequence)| sequence.since).map(|(node, _)| node.clone()) {
        nodes.remove(&node);
    }
}

impl Sequence {
    fn starting_at(seq: u64, settling: Duration) -> Self {
        let mut sequence =
            Self { next: seq, waiting: BTreeMap::new(), since: Instant::now(), is_forgiven: false, settles_at: None };
        if !settling.is_zero() {
            sequence.next = 0;
            sequence.settles_at = Some(sequence.since + settling);
        }
        sequence
    }

    fn take(&mut self, seq: u64, received: Received, settling: Duration) -> Ordered {
        if seq < self.next {
            return Ordered::default();
        }
        if self.settles_at.is_some() {
            self.waiting.insert(seq, received);
            return if self.is_due() { self.give_up() } else { Ordered::default() };
        }
        if seq == self.next && self.waiting.is_empty() {
            self.next += 1;
            self.is_forgiven = false;
            self.since = Instant::now();
            return Ordered { ready: vec![received], n_missed: 0 };
        }
        let is_new_generation = seq >> GENERATION_SHIFT != self.next >> GENERATION_SHIFT;
        if (std::mem::take(&mut self.is_forgiven) || is_new_generation) && self.waiting.is_empty() {
            if !settling.is_zero() {
                self.settles_at = Some(Instant::now() + settling);
                self.waiting.insert(seq, received);
                return Ordered::default();
            }
            self.next = seq;
        }
        if self.waiting.is_empty() {
            self.since = Instant::now();
        }
        self.waiting.insert(seq, received);
        if self.waiting.len() > WAITING { self.skip() } else { Ordered { ready: self.run(), n_missed: 0 } }
    }

    /// Everything from the next number on that is there without a gap.
    fn run(&mut self) -> Vec<Received> {
        let mut ready = Vec::new();
        while let Some(received) = self.waiting.remove(&self.next) {
            self.next += 1;
            ready.push(received);
        }
        if !ready.is_empty() {
            self.since = Instant::now();
        }
        ready
    }

    fn up_to(&mut self, last: u64) -> Ordered {
        let is_told =
            std::mem::take(&mut self.is_forgiven) || last >> GENERATION_SHIFT != self.next >> GENERATION_SHIFT;
        let later = self.waiting.split_off(&(last + 1));
        let mut ready: Vec<Received> = std::mem::replace(&mut self.waiting, later).into_values().collect();
        let n_missed = if is_told { 0 } else { last + 1 - self.next - ready.len() as u64 };
        self.next = last + 1;
        ready.extend(self.run());
        Ordered { ready, n_missed }
    }

    /// Whether what waits has waited long enough.
    fn is_due(&self) -> bool {
        let is_late = match self.settles_at {
            Some(at) => at <= Instant::now() || self.waiting.len() > WAITING,
            None => self.since.elapsed() >= PATIENCE,
        };
        is_late && !self.waiting.is_empty()
    }

    /// Goes on with what is there.
    fn give_up(&mut self) -> Ordered {
        if self.settles_at.take().is_some()
            && let Some((first, _)) = self.waiting.first_key_value()
        {
            // What came before them is no gap, for nobody listened.
            self.next = *first;
            return Ordered { ready: self.run(), n_missed: 0 };
        }
        self.skip()
    }

    fn skip(&mut self) -> Ordered {
        let Some((first, _)) = self.waiting.first_key_value() else { return Ordered::default() };
        let n_missed = first - self.next;
        self.next = *first;
        Ordered { ready: self.run(), n_missed }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hookswitch_hub::Origin;
    use hookswitch_protocol::{Event, EventId, EventType, Payload, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn tenant() -> TenantId {
        TenantId::parse("t").expect("legal")
    }

    fn node() -> NodeId {
        NodeId::parse("n").expect("legal")
    }

    fn received(number: u64) -> Received {
        let event = Event {
            id: EventId::parse(&format!("e{number}")).expect("legal"),
            event_type: EventType::ALERT,
            tenant: tenant(),
            user: None,
            session: None,
            topic: None,
            payload: Payload::empty(),
            timestamp: Timestamp::from_millis(0),
        };
        Received { event: Arc::new(event), origin: Origin::Node { answerable_with: None } }
    }

    fn take(sequencer: &mut Sequencer, seq: u64) -> Vec<String> {
        ids(&sequencer.take(&tenant(), node(), seq, received(seq)))
    }

    fn ids(ordered: &Ordered) -> Vec<String> {
        ordered.ready.iter().map(|received| received.event.id.to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_twice_or_out_of_order_comes_out_once_and_in_order() {
        let mut sequencer = Sequencer::default();
        assert_eq!(take(&mut sequencer, 5), ["e5"]);
        assert_eq!(take(&mut sequencer, 4), [""; 0], "it was before the first");
        assert_eq!(take(&mut sequencer, 7), [""; 0]);
        assert!(sequencer.is_waiting());
        assert_eq!(take(&mut sequencer, 6), ["e6", "e7"]);
        assert_eq!(take(&mut sequencer, 6), [""; 0]);
        assert!(!sequencer.is_waiting() && sequencer.give_up().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_is_given_up_and_told() {
        let mut sequencer = Sequencer::default();
        take(&mut sequencer, 1);
        take(&mut sequencer, 4);
        assert!(sequencer.give_up().is_empty(), "not yet");
        tokio::time::advance(PATIENCE).await;
        let given_up = sequencer.give_up();
        assert_eq!(given_up.len(), 1);
        assert_eq!((ids(&given_up[0].1), given_up[0].1.n_missed), (vec!["e4".to_owned()], 2));
        assert_eq!(take(&mut sequencer, 3), [""; 0], "too late");
        assert_eq!(take(&mut sequencer, 5), ["e5"]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_loss_that_was_told_any_number_is_the_next() {
        let mut sequencer = Sequencer::default();
        take(&mut sequencer, 1);
        sequencer.forgive();
        assert_eq!(take(&mut sequencer, 9), ["e9"]);
        assert_eq!(take(&mut sequencer, 8), [""; 0], "sent again after all");
        sequencer.forget(&tenant());
        assert_eq!(take(&mut sequencer, 2), ["e2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_ways_differ_the_beginning_is_the_smallest_of_the_first() {
        let settling = Duration::from_millis(50);
        let mut sequencer = Sequencer::settling_for(settling);
        assert_eq!(take(&mut sequencer, 8), [""; 0]);
        assert_eq!(take(&mut sequencer, 7), [""; 0]);
        assert!(sequencer.give_up().is_empty() && sequencer.is_waiting());
        tokio::time::advance(settling).await;
        let given_up = sequencer.give_up();
        assert_eq!((ids(&given_up[0].1), given_up[0].1.n_missed), (vec!["e7".to_owned(), "e8".to_owned()], 0));
        assert_eq!(take(&mut sequencer, 9), ["e9"]);
        sequencer.forgive();
        assert_eq!(take(&mut sequencer, 21), [""; 0]);
        assert_eq!(take(&mut sequencer, 9), [""; 0], "it was here");
        tokio::time::advance(settling).await;
        assert_eq!(take(&mut sequencer, 20), ["e20", "e21"]);
    }

    proptest! {
        /// Whatever order a window of numbers comes in, and however often, it comes out in order.
        #[test]
        fn any_shuffle_comes_out_sorted(seqs in prop::collection::vec(1u64..20, 1..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            let _entered = runtime.enter();
            let mut sequencer = Sequencer::default();
            let mut out = take(&mut sequencer, 0);
            for seq in &seqs {
                out.extend(take(&mut sequencer, *seq));
            }
            let n_run = (1u64..20).take_while(|seq| seqs.contains(seq)).count() as u64;
            let wanted: Vec<String> = (0..=n_run).map(|seq| format!("e{seq}")).collect();
            prop_assert_eq!(out, wanted);
        }
    }
}
