//! What has arrived, by webhook, each event once.

use hdrhistogram::Histogram;

use crate::message::Reader;
use crate::spec::latencies;
use crate::webhooks::spec::{Arrived, Shape};

/// The events that one webhook has heard of.
#[derive(Clone, Debug, Default)]
struct Seen {
    bits: Vec<u64>,
    count: u32,
}

impl Seen {
    /// Whether this is its first arrival; `place` counts the events of the webhook's topic.
    fn note(&mut self, place: u32) -> bool {
        let (word, bit) = ((place / u64::BITS) as usize, 1 << (place % u64::BITS));
        if word >= self.bits.len() {
            self.bits.resize((word + 1).next_power_of_two(), 0);
        }
        let is_first = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        self.count += u32::from(is_first);
        is_first
    }
}

/// Counters of a receiver.
#[derive(Debug)]
pub(super) struct Counters {
    shape: Shape,
    reader: Reader,
    seen: Vec<Seen>,
    requests: u64,
    received: u64,
    doubled: u64,
    strayed: u64,
    delay: Histogram<u64>,
}

impl Counters {
    /// Nothing has arrived.
    pub(super) fn new(shape: Shape) -> Self {
        let seen = vec![Seen::default(); shape.webhooks() as usize];
        let (reader, delay) = (Reader::of_deliveries(), latencies());
        Self { shape, reader, seen, requests: 0, received: 0, doubled: 0, strayed: 0, delay }
    }

    /// A body has come to a webhook.
    pub(super) fn note(&mut self, webhook: u32, body: &[u8], read_at: u64) {
        self.requests += 1;
        let topics = self.shape.topics;
        let event = self.reader.read(body).filter(|(number, _)| number % topics == webhook % topics);
        let (Some((number, sent_at)), Some(seen)) = (event, self.seen.get_mut(webhook as usize)) else {
            self.strayed += 1;
            return;
        };
        if seen.note(number / topics) {
            self.received += 1;
            self.delay.saturating_record(read_at.saturating_sub(sent_at) * 1_000);
        } else {
            self.doubled += 1;
        }
    }

    /// Deliveries so far, each once.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Bodies so far, whatever was in them.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// Forgets the delays so far.
    pub(super) fn mark(&mut self) -> String {
        self.delay.reset();
        String::new()
    }

    /// Everything.
    pub(super) fn report(&self) -> Arrived {
        Arrived {
            received: self.seen.iter().map(|seen| seen.count).collect(),
            doubled: self.doubled,
            strayed: self.strayed,
            delay: (&self.delay).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Request;
    use hookswitch_receiver::Head;

    fn note(counters: &mut Counters, webhook: u32, number: u32) {
        let mut bytes = Vec::new();
        Request::delivery("a", "/", "", "bench.00").push(&mut bytes, 1_000, || number);
        let body = Head::parse(&bytes).unwrap().bytes;
        counters.note(webhook, &bytes[body..], 3_000);
    }

    #[test]
    fn doubles_and_strays_are_told_apart() {
        let mut counters = Counters::new(Shape { topics: 2, per_topic: 2 });
        for (webhook, number) in [(0, 0), (2, 0), (0, 200), (0, 0), (1, 1), (1, 2), (7, 1)] {
            note(&mut counters, webhook, number);
        }
        counters.note(0, b"{}", 0);
        let arrived = counters.report();
        assert_eq!((arrived.received.as_slice(), arrived.doubled, arrived.strayed), ([2, 1, 1, 0].as_slice(), 1, 3));
        assert_eq!(counters.received(), 4);
        assert!((2.0..2.1).contains(&arrived.delay.p99_ms), "{arrived:?}");
        counters.mark();
        assert!(counters.report().delay.p99_ms < f64::EPSILON);
    }
}
