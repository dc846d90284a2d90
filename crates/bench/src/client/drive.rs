//! Publishing at a pace, and what is measured meanwhile.

use std::time::Duration;

use anyhow::Result;
use hookswitch_testkit::Token as AccessToken;
use mio::Token;
use tokio::time::Instant;

use super::{Client, PUBLISHERS, TICK, TIMER};
use crate::message::{EVENT_TYPE, TENANT};
use crate::publisher::Publisher;
use crate::spec::{Fanout, MAX_UNANSWERED, Pace, Phases, Publishing};
use crate::subject::cpu_times;
use crate::ticker::Ticker;

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

/// What came out of a run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) fanout: Fanout,
    /// Processor time of each process that was to be measured.
    pub(super) cpu_seconds: Vec<f64>,
}

impl Client {
    /// Warm-up, then the measured phase. Both end when every event has arrived, so that the processor time read at
    /// their ends belongs to exactly the deliveries counted between them.
    pub(super) fn fan_out(&mut self, phases: Phases) -> Result<Run> {
        self.open_publishers()?;
        let mut ending = self.phase(Duration::from_millis(phases.warm_up_ms))?;
        self.counters.latencies.clear();
        let (events, deliveries) = (self.counters.outstanding.published(), self.counters.deliveries);
        let (cpu, started) = (cpu_times(&self.spec.pids)?, Instant::now());
        if ending == Ending::Complete {
            ending = self.phase(Duration::from_millis(phases.measured_ms))?;
        }
        let seconds = started.elapsed().as_secs_f64();
        let spent =
            cpu_times(&self.spec.pids)?.into_iter().zip(cpu).map(|(now, then)| now.saturating_sub(then).as_secs_f64());
        let cpu_seconds: Vec<f64> = spent.collect();
        if ending == Ending::Complete {
            self.settle()?;
        }
        let fanout = Fanout {
            events: u64::from(self.counters.outstanding.published() - events),
            deliveries: self.counters.deliveries - deliveries,
            seconds,
            cpu_seconds: cpu_seconds.first().copied().unwrap_or_default(),
            latency: self.counters.latencies.here(),
            lost: self.lost(),
            doubled: self.counters.doubled,
            out_of_order: self.counters.out_of_order,
            strayed: self.counters.strayed,
            unexpected: self.counters.unexpected,
        };
        Ok(Run { fanout, cpu_seconds })
    }

    fn open_publishers(&mut self) -> Result<()> {
        let Publishing { publishers, batch, .. } = self.crowd.publishing;
        let token = AccessToken::service(TENANT).sign(&self.spec.secret);
        for number in 0..publishers as usize {
            let mut publisher = Publisher::open(self.spec.address, &token, &vec![EVENT_TYPE; batch])?;
            publisher.register(self.poll.registry(), Token(PUBLISHERS + number))?;
            self.publishers.push(publisher);
        }
        Ok(())
    }

    fn lost(&self) -> u64 {
        let listening = self.subscribers.iter().take(self.crowd.listening);
        listening.map(|one| one.sequences.lost(&self.counters.outstanding)).sum()
    }

    /// Publishes for `length`, then waits until everything has arrived.
    fn phase(&mut self, length: Duration) -> Result<Ending> {
        let (first, started) = (self.counters.outstanding.published(), Instant::now());
        self.timer = self.start_timer()?;
        let ending = loop {
            let elapsed = started.elapsed();
            if elapsed < length {
                self.publish(first, elapsed)?;
            } else if self.counters.outstanding.count() == 0 && self.publishers.iter().all(|one| one.unanswered() == 0)
            {
                break Ending::Complete;
            }
            self.pump(TICK)?;
            if self.counters.silence() > GIVE_UP {
                break Ending::Stalled;
            }
        };
        if let Some(timer) = self.timer.take() {
            timer.stop(self.poll.registry())?;
        }
        Ok(ending)
    }

    /// Publishes what is due at full speed or by the clock, each time where the fewest answers are awaited.
    fn publish(&mut self, first: u32, elapsed: Duration) -> Result<()> {
        let Publishing { window, pace, .. } = self.crowd.publishing;
        let Self { publishers, counters, .. } = self;
        while let Some((number, publisher)) = publishers.iter_mut().enumerate().min_by_key(|(_, one)| one.unanswered())
        {
            let is_due = match pace {
                Pace::Full => {
                    publisher.unanswered() < MAX_UNANSWERED
                        && counters.outstanding.count() + publisher.batch() <= window
                }
                Pace::Fixed { events_per_second } => {
                    let due = elapsed.as_secs_f64() * f64::from(events_per_second);
                    f64::from(counters.outstanding.published() - first) <= due
                }
            };
            if !is_due {
                break;
            }
            let nanos = counters.nanos();
            publisher.queue(nanos, || counters.outstanding.publish(number));
        }
        publishers.iter_mut().try_for_each(Publisher::flush)
    }

    fn start_timer(&self) -> Result<Option<Ticker>> {
        let Pace::Fixed { events_per_second } = self.crowd.publishing.pace else { return Ok(None) };
        Ticker::start(self.poll.registry(), TIMER, events_per_second).map(Some)
    }
}
