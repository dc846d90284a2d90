//! Publishing at a pace, and what is measured meanwhile.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use mio::Interest;
use mio::unix::SourceFd;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::publisher::Publisher;
use super::{Client, PUBLISHER, TICK, TIMER};
use crate::bench::histogram::Histogram;
use crate::bench::procfs::cpu_time;
use crate::bench::spec::{Fanout, MAX_UNANSWERED, Pace, window};
use crate::bench::token::mint;
use crate::clock::now;

/// When nothing has come for this long although something is outstanding, it counts as lost.
const GIVE_UP: Duration = Duration::from_secs(5);

/// How a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Everything published has been answered and has arrived everywhere.
    Complete,
    /// Something is missing for good.
    Stalled,
}

impl Client {
    /// Warm-up, then the measured phase. Both end when every event has arrived, so that the processor time read at
    /// their ends belongs to exactly the deliveries counted between them.
    pub(super) fn fan_out(&mut self, pace: Pace, warm_up: Duration, measured: Duration) -> Result<Fanout> {
        let mut publisher = Publisher::open(self.spec.address, &mint(&self.spec.secret, usize::MAX >> 1, "service"))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut publisher.stream, PUBLISHER, interest)?;
        self.publisher = Some(publisher);

        let mut ending = self.phase(pace, warm_up)?;
        self.tally.latency = Histogram::new();
        let (events, deliveries) = (self.tally.outstanding.published(), self.tally.deliveries);
        let (cpu, started) = (cpu_time(self.spec.pid)?, now());
        if ending == Ending::Complete {
            ending = self.phase(pace, measured)?;
        }
        let seconds = started.elapsed().as_secs_f64();
        let cpu_seconds = cpu_time(self.spec.pid)?.saturating_sub(cpu).as_secs_f64();
        if ending == Ending::Complete {
            self.settle()?;
        }
        let published = self.tally.outstanding.published();
        let lost = self.subscribers[..self.listening].iter().map(|one| one.sequence.lost(published)).sum();
        let ms = |share: f64| self.tally.latency.quantile(share).as_secs_f64() * 1e3;
        Ok(Fanout {
            events: u64::from(published - events),
            deliveries: self.tally.deliveries - deliveries,
            seconds,
            cpu_seconds,
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            lost,
            doubled: self.tally.doubled,
            out_of_order: self.tally.out_of_order,
            strayed: self.tally.strayed,
            unexpected: self.tally.unexpected,
        })
    }

    /// Publishes for `length`, then waits until everything has arrived.
    fn phase(&mut self, pace: Pace, length: Duration) -> Result<Ending> {
        let (first, started) = (self.tally.outstanding.published(), now());
        self.timer = self.start_timer(pace)?;
        let ending = loop {
            let elapsed = started.elapsed();
            if elapsed < length {
                self.publish(pace, first, elapsed)?;
            } else if self.tally.outstanding.count() == 0 && self.unanswered() == 0 {
                break Ending::Complete;
            }
            self.pump(TICK)?;
            if self.tally.silence() > GIVE_UP {
                break Ending::Stalled;
            }
        };
        if let Some(timer) = self.timer.take() {
            self.poll.registry().deregister(&mut SourceFd(&timer.as_fd().as_raw_fd()))?;
        }
        Ok(ending)
    }

    /// Publishes what is due at full speed or by the clock.
    fn publish(&mut self, pace: Pace, first: u32, elapsed: Duration) -> Result<()> {
        let Some(publisher) = &mut self.publisher else { return Ok(()) };
        let window = window(self.listening);
        loop {
            let outstanding = &mut self.tally.outstanding;
            let is_due = match pace {
                Pace::Full => publisher.unanswered < MAX_UNANSWERED && outstanding.count() < window,
                Pace::Fixed { events_per_second } => {
                    let due = elapsed.as_secs_f64() * f64::from(events_per_second);
                    f64::from(outstanding.published() - first) <= due
                }
            };
            if !is_due {
                return publisher.flush();
            }
            let number = outstanding.publish();
            publisher.queue(number, self.tally.nanos());
        }
    }

    fn unanswered(&self) -> usize {
        self.publisher.as_ref().map_or(0, |publisher| publisher.unanswered)
    }

    /// A clock with finer ticks than a poll's timeout has: at 1,000 events a second whole milliseconds are too coarse.
    fn start_timer(&self, pace: Pace) -> Result<Option<TimerFd>> {
        let Pace::Fixed { events_per_second } = pace else { return Ok(None) };
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK).context("cannot make a timer")?;
        let interval = Duration::from_secs(1) / events_per_second;
        timer.set(Expiration::Interval(interval.into()), TimerSetTimeFlags::empty())?;
        self.poll.registry().register(&mut SourceFd(&timer.as_fd().as_raw_fd()), TIMER, Interest::READABLE)?;
        Ok(Some(timer))
    }
}
