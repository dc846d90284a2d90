//! What the load client has seen, over all its connections.

use std::time::Duration;

use tokio::time::Instant;

use super::latencies::{Latencies, Place};
use crate::message::Reader;
use crate::track::{Arrival, Outstanding};

/// Counters of one run.
#[derive(Debug)]
pub(crate) struct Counters {
    started: Instant,
    /// Time of the read that is being taken apart, nanoseconds since `started`.
    read_at: u64,
    pub(crate) reader: Reader,
    pub(crate) outstanding: Outstanding,
    pub(crate) latencies: Latencies,
    pub(crate) upgraded: usize,
    pub(crate) pongs: usize,
    pub(crate) deliveries: u64,
    pub(crate) doubled: u64,
    pub(crate) out_of_order: u64,
    pub(crate) strayed: u64,
    pub(crate) unexpected: u64,
    last_progress: Instant,
}

impl Counters {
    /// Nothing seen yet of what is to arrive.
    pub(crate) fn new(outstanding: Outstanding, latencies: Latencies) -> Self {
        let started = Instant::now();
        Self {
            started,
            read_at: 0,
            reader: Reader::of_envelopes(),
            outstanding,
            latencies,
            upgraded: 0,
            pongs: 0,
            deliveries: 0,
            doubled: 0,
            out_of_order: 0,
            strayed: 0,
            unexpected: 0,
            last_progress: started,
        }
    }

    /// Nanoseconds since the run began: the clock that events carry.
    pub(crate) fn nanos(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// Takes the time once for everything that one read brings.
    pub(crate) fn begin_read(&mut self) {
        let read_at = Instant::now();
        self.read_at = read_at.duration_since(self.started).as_nanos() as u64;
        self.last_progress = read_at;
    }

    /// How long nothing at all has come.
    pub(crate) fn silence(&self) -> Duration {
        self.last_progress.elapsed()
    }

    /// Counts one event at one subscriber.
    pub(crate) fn event(&mut self, place: Place, arrival: Arrival, number: u32, sent_at: u64) {
        match arrival {
            Arrival::Again => {
                self.doubled += 1;
                return;
            }
            Arrival::Late => self.out_of_order += 1,
            Arrival::InOrder => {}
        }
        self.deliveries += 1;
        self.outstanding.arrived(number);
        self.latencies.record(place, number, self.read_at.saturating_sub(sent_at));
    }
}
