//! How many deliveries came, and how often.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use serde::Serialize;

use super::delivery::{Delivery, SignatureCheck};

/// Counts by delivery id. Ids are kept as hashes, 12 bytes each, so that a long run stays small; that
/// two of ten million share one has odds of one in hundreds of thousands.
#[derive(Debug, Default)]
pub(super) struct SeenDeliveries {
    seen: HashMap<u64, u32>,
    hasher: RandomState,
    summary: Summary,
}

/// The figures at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// Everything that arrived.
    pub(super) requests: u64,
    /// Distinct delivery ids.
    pub(super) deliveries: u64,
    /// Requests whose delivery id had come before.
    pub(super) repeats: u64,
    /// Requests without a delivery id, counted in neither of the two.
    pub(super) without_id: u64,
    /// Requests with a signature that is wrong.
    pub(super) bad_signatures: u64,
}

impl SeenDeliveries {
    /// Counts a request; returns how often its delivery has come by now, this time included.
    pub(super) fn count(&mut self, delivery: &Delivery<'_>) -> u32 {
        self.summary.requests += 1;
        if delivery.hex == SignatureCheck::Bad || delivery.standard == SignatureCheck::Bad {
            self.summary.bad_signatures += 1;
        }
        if delivery.delivery == "-" {
            self.summary.without_id += 1;
            return 1;
        }
        let times = self.seen.entry(self.hasher.hash_one(delivery.delivery)).or_default();
        *times = times.saturating_add(1);
        if *times == 1 {
            self.summary.deliveries += 1;
        } else {
            self.summary.repeats += 1;
        }
        *times
    }

    pub(super) fn summary(&self) -> Summary {
        self.summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str, verdict: SignatureCheck) -> Delivery<'_> {
        Delivery {
            event: "call.incoming",
            attempt: "1",
            delivery: id,
            webhook: "42",
            hex: verdict,
            standard: verdict,
            body_bytes: 2,
        }
    }

    #[test]
    fn repeats_are_told_from_deliveries() {
        let mut seen = SeenDeliveries::default();
        let times: Vec<u32> = ["a", "b", "a", "-", "a", "-"]
            .iter()
            .map(|id| seen.count(&request(id, if *id == "b" { SignatureCheck::Bad } else { SignatureCheck::Good })))
            .collect();
        assert_eq!(times, [1, 1, 2, 1, 3, 1]);
        let wanted = Summary { requests: 6, deliveries: 2, repeats: 2, without_id: 2, bad_signatures: 1 };
        assert_eq!(seen.summary(), wanted);
    }
}
