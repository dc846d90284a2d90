//! What a receiver has, asked again and again beside the loop that publishes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::receiver::{COUNT, MARK, REPORT};
use super::spec::Arrived;
use crate::call::Caller;
use crate::clock::pause;

/// Between two questions: at 10,000 deliveries a second, 50 of them.
const STEP: Duration = Duration::from_millis(5);
/// Said when the receiver does not answer any more.
const GONE: u64 = u64::MAX;

/// A receiver as the load client and the floor see it.
#[derive(Debug)]
pub(super) struct Progress {
    caller: Caller,
    received: Arc<AtomicU64>,
}

impl Progress {
    /// Asks once, and then from a thread of its own until this process ends.
    pub(super) fn watch(receiver: SocketAddr) -> Result<Self> {
        let mut caller = Caller::connect(receiver)?;
        let received = Arc::new(AtomicU64::new(ask(&mut caller)?));
        let (mut asking, told) = (Caller::connect(receiver)?, Arc::clone(&received));
        thread::spawn(move || {
            while let Ok(count) = ask(&mut asking) {
                told.store(count, Ordering::Relaxed);
                pause(STEP);
            }
            told.store(GONE, Ordering::Relaxed);
        });
        Ok(Self { caller, received })
    }

    /// Deliveries it had received a moment ago, each once.
    pub(super) fn received(&self) -> Result<u64> {
        match self.received.load(Ordering::Relaxed) {
            GONE => bail!("the receiver is gone"),
            count => Ok(count),
        }
    }

    /// Lets it forget the delays so far.
    pub(super) fn mark(&mut self) -> Result<()> {
        self.caller.get(MARK).map(drop)
    }

    /// Everything it knows.
    pub(super) fn report(&mut self) -> Result<Arrived> {
        serde_json::from_str(&self.caller.get(REPORT)?.body).context("the receiver's report is not readable")
    }
}

fn ask(caller: &mut Caller) -> Result<u64> {
    caller.get(COUNT)?.body.parse().context("the receiver does not say how much it has")
}
