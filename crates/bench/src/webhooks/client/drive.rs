//! Warm-up, measured part, filling; and what is measured meanwhile.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

use super::{Client, TIMER};
use crate::spec::{Pace, Phases};
use crate::subject::cpu_times;
use crate::ticker::Ticker;
use crate::webhooks::spec::{Delivered, Filled, Shape};

/// When nothing has arrived for this long although something is outstanding, it counts as lost.
const GIVE_UP: Duration = Duration::from_secs(15);
/// Longest wait until a backlog is filled.
const FILL_DEADLINE: Duration = Duration::from_mins(20);
/// After the last expected delivery: time for what should not come.
const SETTLE: Duration = Duration::from_millis(300);

/// Where counters and clocks stood.
struct Mark {
    at: Instant,
    cpu: Vec<Duration>,
    published: u32,
    received: u64,
}

impl Client {
    /// Warm-up, then the measured part. Both end when every delivery has arrived, so that the processor time read at
    /// their ends belongs to exactly the deliveries counted between them.
    pub(super) fn deliver(&mut self, shape: Shape, phases: Phases) -> Result<Delivered> {
        let complete = self.phase(Duration::from_millis(phases.warm_up_ms))?;
        self.answers.reset();
        self.progress.mark()?;
        let mark = self.mark()?;
        if complete && self.phase(Duration::from_millis(phases.measured_ms))? {
            // Read before what settles: afterwards the processes are at rest.
            let outcome = self.since(&mark)?;
            self.settle()?;
            return self.judged(outcome, shape);
        }
        let outcome = self.since(&mark)?;
        self.judged(outcome, shape)
    }

    /// Publishes so many events, without waiting for any delivery.
    pub(super) fn fill(&mut self, events: u32) -> Result<Filled> {
        let (mark, step) = (self.mark()?, (events / 10).max(1));
        let mut next = step;
        while self.published < events || self.unanswered() > 0 {
            while self.published < events && self.publish(true)? {}
            self.pump()?;
            if self.published >= next {
                eprintln!("  backlog: {} of {events} events after {:.1?}", self.published, mark.at.elapsed());
                next += step;
            }
            if mark.at.elapsed() > FILL_DEADLINE {
                bail!("only {} of {events} events were accepted in {FILL_DEADLINE:?}", self.published);
            }
        }
        let Delivered { events, seconds, cpu_seconds, .. } = self.since(&mark)?;
        Ok(Filled { events, seconds, cpu_seconds })
    }

    fn mark(&self) -> Result<Mark> {
        let (cpu, published, received) = (cpu_times(&self.orders.pids)?, self.published, self.progress.received()?);
        Ok(Mark { at: Instant::now(), cpu, published, received })
    }

    fn since(&self, mark: &Mark) -> Result<Delivered> {
        let seconds = mark.at.elapsed().as_secs_f64();
        let spent = cpu_times(&self.orders.pids)?.into_iter().zip(&mark.cpu);
        Ok(Delivered {
            events: u64::from(self.published - mark.published),
            deliveries: self.progress.received()? - mark.received,
            seconds,
            cpu_seconds: spent.map(|(now, then)| now.saturating_sub(*then).as_secs_f64()).collect(),
            answer: (&self.answers).into(),
            ..Delivered::default()
        })
    }

    fn judged(&mut self, outcome: Delivered, shape: Shape) -> Result<Delivered> {
        let (arrived, published) = (self.progress.report()?, self.first + self.published);
        Ok(Delivered { delay: arrived.delay, wrongs: arrived.wrongs(shape, published), published, ..outcome })
    }

    /// Publishes for `length`, then waits until everything has arrived; false when something is missing for good.
    fn phase(&mut self, length: Duration) -> Result<bool> {
        let (first, started) = (self.published, Instant::now());
        let (mut least, mut progressed) = (u64::MAX, started);
        if let Pace::Fixed { events_per_second } = self.publishing.pace {
            self.timer = Some(Ticker::start(self.poll.registry(), TIMER, events_per_second)?);
        }
        let complete = loop {
            let (elapsed, outstanding) = (started.elapsed(), self.outstanding()?);
            if elapsed < length {
                self.publish_due(first, elapsed)?;
                progressed = Instant::now();
            } else if outstanding == 0 && self.unanswered() == 0 {
                break true;
            } else if outstanding < least {
                (least, progressed) = (outstanding, Instant::now());
            } else if progressed.elapsed() > GIVE_UP {
                break false;
            }
            self.pump()?;
        };
        if let Some(timer) = self.timer.take() {
            timer.stop(self.poll.registry())?;
        }
        Ok(complete)
    }

    /// Publishes what the window has room for, or what is due by the clock.
    fn publish_due(&mut self, first: u32, elapsed: Duration) -> Result<()> {
        loop {
            let is_due = match self.publishing.pace {
                Pace::Full => {
                    let more = self.publishing.batch as u64 * self.per_event;
                    self.outstanding()? + more <= self.publishing.window as u64
                }
                Pace::Fixed { events_per_second } => {
                    let due = elapsed.as_secs_f64() * f64::from(events_per_second);
                    f64::from(self.published - first) <= due
                }
            };
            if !is_due || !self.publish(self.publishing.pace == Pace::Full)? {
                return Ok(());
            }
        }
    }

    fn settle(&mut self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < SETTLE {
            self.pump()?;
        }
        Ok(())
    }
}
