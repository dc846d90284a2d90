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

/// Most bytes of their payloads.
const WAITING_BYTES: usize = 8 * 1024 * 1024;

/// Numbers so far below what is expected are none that a node sends again: those lie within a batch. When they
/// go on one behind the other, the expectation was wrong: somebody published an envelope of the node with a
/// number that the node never gave.
const FAR_BELOW: u64 = 4_096;

/// Most bytes of an event that is held until it is known which number was wrong; a larger one counts as missed. One
/// of every node may be held for as long as the node says nothing more.
const HELD_BELOW_BYTES: usize = 16 * 1024;

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
    waiting: Waiting,
    since: Instant,
    /// Messages were lost by the transport, and everybody was told: the next number may be any.
    is_forgiven: bool,
    /// Until then events are only collected.
    settles_at: Option<Instant>,
    /// An event far below what is expected, with its number: held until the next one shows what it is. Not one that is
    /// large.
    below: Option<(u64, Option<Received>)>,
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

    /// The transport lost messages of one tenant, and that was told.
    pub(crate) fn forgive_tenant(&mut self, tenant: &TenantId) {
        for sequence in self.tenants.get_mut(tenant).into_iter().flat_map(HashMap::values_mut) {
            sequence.is_forgiven = true;
        }
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

/// Events that wait for an earlier one, by their numbers.
#[derive(Debug, Default)]
struct Waiting {
    events: BTreeMap<u64, Received>,
    n_bytes: usize,
}

impl Waiting {
    fn insert(&mut self, seq: u64, received: Received) {
        self.n_bytes += bytes(&received);
        if let Some(before) = self.events.insert(seq, received) {
            self.n_bytes -= bytes(&before);
        }
    }

    fn remove(&mut self, seq: u64) -> Option<Received> {
        let received = self.events.remove(&seq)?;
        self.n_bytes -= bytes(&received);
        Some(received)
    }

    fn take_up_to(&mut self, last: u64) -> Vec<Received> {
        let later = self.events.split_off(&(last + 1));
        let taken: Vec<Received> = std::mem::replace(&mut self.events, later).into_values().collect();
        self.n_bytes -= taken.iter().map(bytes).sum::<usize>();
        taken
    }

    fn first(&self) -> Option<u64> {
        self.events.first_key_value().map(|(seq, _)| *seq)
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    fn is_full(&self) -> bool {
        self.events.len() > WAITING || self.n_bytes > WAITING_BYTES
    }
}

fn bytes(received: &Received) -> usize {
    received.event.payload.as_str().len()
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
        let mut sequence = Self {
            next: seq,
            waiting: Waiting::default(),
            since: Instant::now(),
            is_forgiven: false,
            settles_at: None,
            below: None,
        };
        if !settling.is_zero() {
            sequence.next = 0;
            sequence.settles_at = Some(sequence.since + settling);
        }
        sequence
    }

    fn take(&mut self, seq: u64, received: Received, settling: Duration) -> Ordered {
        if seq < self.next {
            return self.take_below(seq, received);
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
        if self.waiting.is_full() { self.skip() } else { Ordered { ready: self.run(), n_missed: 0 } }
    }

    /// What is below the expected number was here already, unless two far below it show that the number was never
    /// this node's: then these two are the next, and what waits behind the wrong number counts as missed.
    fn take_below(&mut self, seq: u64, received: Received) -> Ordered {
        if self.next - seq <= FAR_BELOW {
            return Ordered::default();
        }
        let Some((_, before)) = self.below.take_if(|(before, _)| *before + 1 == seq) else {
            self.below = Some((seq, Some(received).filter(|received| bytes(received) <= HELD_BELOW_BYTES)));
            return Ordered::default();
        };
        tracing::warn!(
            expected = self.next,
            seq,
            "a node's events go on far below what was expected: somebody published one of its envelopes with another number"
        );
        let waiting = std::mem::take(&mut self.waiting);
        self.next = seq + 1;
        let n_missed = waiting.events.len() as u64 + u64::from(before.is_none());
        Ordered { ready: before.into_iter().chain([received]).collect(), n_missed }
    }

    /// Everything from the next number on that is there without a gap.
    fn run(&mut self) -> Vec<Received> {
        let mut ready = Vec::new();
        while let Some(received) = self.waiting.remove(self.next) {
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
        let mut ready = self.waiting.take_up_to(last);
        let n_missed = if is_told { 0 } else { last + 1 - self.next - ready.len() as u64 };
        self.next = last + 1;
        ready.extend(self.run());
        Ordered { ready, n_missed }
    }

    /// Whether what waits has waited long enough.
    fn is_due(&self) -> bool {
        let is_late = match self.settles_at {
            Some(at) => at <= Instant::now() || self.waiting.is_full(),
            None => self.since.elapsed() >= PATIENCE,
        };
        is_late && !self.waiting.is_empty()
    }

    /// Goes on with what is there.
    fn give_up(&mut self) -> Ordered {
        if self.settles_at.take().is_some()
            && let Some(first) = self.waiting.first()
        {
            // What came before them is no gap, for nobody listened.
            self.next = first;
            return Ordered { ready: self.run(), n_missed: 0 };
        }
        self.skip()
    }

    fn skip(&mut self) -> Ordered {
        let Some(first) = self.waiting.first() else { return Ordered::default() };
        let n_missed = first.saturating_sub(self.next);
        self.next = first;
        Ordered { ready: self.run(), n_missed }
    }
}

#[cfg(test)]
mod tests;
