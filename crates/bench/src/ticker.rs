//! A clock with finer ticks than a poll's timeout has: at 1,000 events a second whole milliseconds are too coarse.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// Makes a poll loop turn at a fixed rate.
#[derive(Debug)]
pub(crate) struct Ticker(TimerFd);

impl Ticker {
    /// Ticks so many times a second under `token`, from now on.
    pub(crate) fn start(registry: &Registry, token: Token, per_second: u32) -> Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK).context("cannot make a timer")?;
        let interval = Duration::from_secs(1) / per_second;
        timer.set(Expiration::Interval(interval.into()), TimerSetTimeFlags::empty())?;
        registry.register(&mut SourceFd(&timer.as_fd().as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// Takes a tick: an interval timer goes on only once it has been read.
    pub(crate) fn take(&self) -> Result<()> {
        self.0.wait().context("cannot read the timer")
    }

    /// No more ticks.
    pub(crate) fn stop(self, registry: &Registry) -> Result<()> {
        registry.deregister(&mut SourceFd(&self.0.as_fd().as_raw_fd())).context("cannot stop the timer")
    }
}
