//! The circuit breaker of one webhook, without clocks or I/O.
//!
//! A receiver that only fails is left alone for a while: its deliveries wait without using up their
//! attempts, and it is not flooded when it comes back. Closed, it looks at the attempts that ended
//! within the window; when there are enough of them and too large a part failed in a way the receiver
//! is to blame for (no answer, a time-out, 5xx, 429), it opens. After a while one delivery is tried as
//! a probe: a good answer closes it, a failure opens it again for twice as long. Each node has its
//! own breakers: what one of them learns costs another at most some hundred attempts, see
//! `docs/decisions/0012-breakers-per-node.md`.

use std::collections::VecDeque;
use std::time::Duration;

use hookswitch_protocol::Timestamp;
use tokio::time::Instant;

use crate::config::BreakerRule;

/// The window moves in steps of this part of itself.
const STEPS: u32 = 12;

/// What a webhook's breaker is doing on this node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything is sent.
    #[default]
    Closed,
    /// Nothing is sent until then.
    Open {
        /// The end of the pause.
        until: Timestamp,
    },
    /// One delivery is, or will be, sent as a probe.
    HalfOpen,
}

impl BreakerState {
    /// The label: lower case, stable; stands in answers.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// One breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: State,
    /// Attempts that ended while closed: the start of the step, how many, how many failed.
    steps: VecDeque<Step>,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Closed,
    Open {
        until: Instant,
        pause: Duration,
    },
    HalfOpen {
        pause: Duration,
        is_probing: bool,
    },
}

#[derive(Debug)]
struct Step {
    from: Instant,
    n_ended: u32,
    n_failed: u32,
}

/// What may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    /// Anything.
    Any,
    /// One attempt, when nothing else runs.
    Probe,
    /// Nothing before this moment.
    NotBefore(Instant),
    /// Nothing until the probe has ended.
    ProbeUnderWay,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BreakerTransition {
    /// The receiver only fails.
    Opened { until: Instant },
    /// So does the probe.
    StaysOpen { until: Instant },
    /// The probe succeeded.
    Closed,
    /// Its webhook is gone or switched off, and nothing of it waits any more; or it has another receiver now.
    Forgotten,
}

impl Breaker {
    /// What may be started now.
    pub(super) fn permission(&mut self, now: Instant) -> Permission {
        if let State::Open { until, pause } = self.state {
            if now < until {
                return Permission::NotBefore(until);
            }
            self.state = State::HalfOpen { pause, is_probing: false };
        }
        match self.state {
            State::HalfOpen { is_probing: false, .. } => Permission::Probe,
            State::HalfOpen { is_probing: true, .. } => Permission::ProbeUnderWay,
            State::Closed | State::Open { .. } => Permission::Any,
        }
    }

    /// An attempt starts; half open, it is the probe.
    pub(super) fn started(&mut self) {
        if let State::HalfOpen { is_probing, .. } = &mut self.state {
            *is_probing = true;
        }
    }

    /// An attempt ended; `has_failed` is `None` when its end says nothing about the receiver.
    pub(super) fn ended(
        &mut self,
        has_failed: Option<bool>,
        rule: &BreakerRule,
        now: Instant,
    ) -> Option<BreakerTransition> {
        match self.state {
            State::Closed => {
                self.note(has_failed?, rule, now);
                self.is_hopeless(rule).then(|| {
                    let until = self.open(rule.open_for, now);
                    BreakerTransition::Opened { until }
                })
            }
            State::HalfOpen { pause, is_probing: true } => self.probed(has_failed, pause, rule, now),
            // A straggler from before it opened.
            State::HalfOpen { .. } | State::Open { .. } => None,
        }
    }

    /// Whether everything is sent.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether forgetting it changes nothing.
    pub(super) fn is_blank(&mut self, rule: &BreakerRule, now: Instant) -> bool {
        self.forget(rule, now);
        self.is_closed() && self.steps.iter().all(|step| step.n_failed == 0)
    }

    fn probed(
        &mut self,
        has_failed: Option<bool>,
        pause: Duration,
        rule: &BreakerRule,
        now: Instant,
    ) -> Option<BreakerTransition> {
        match has_failed {
            Some(true) => {
                let pause = (pause * 2).min(rule.open_for_at_most).max(rule.open_for);
                Some(BreakerTransition::StaysOpen { until: self.open(pause, now) })
            }
            Some(false) => {
                *self = Self::default();
                Some(BreakerTransition::Closed)
            }
            None => {
                self.state = State::HalfOpen { pause, is_probing: false };
                None
            }
        }
    }

    fn open(&mut self, pause: Duration, now: Instant) -> Instant {
        self.steps.clear();
        let until = now + pause;
        self.state = State::Open { until, pause };
        until
    }

    fn note(&mut self, has_failed: bool, rule: &BreakerRule, now: Instant) {
        self.forget(rule, now);
        if self.steps.back().is_none_or(|step| step.from + rule.window / STEPS <= now) {
            self.steps.push_back(Step { from: now, n_ended: 0, n_failed: 0 });
        }
        if let Some(step) = self.steps.back_mut() {
            step.n_ended += 1;
            step.n_failed += u32::from(has_failed);
        }
    }

    fn forget(&mut self, rule: &BreakerRule, now: Instant) {
        while self.steps.front().is_some_and(|step| step.from + rule.window <= now) {
            self.steps.pop_front();
        }
    }

    fn is_hopeless(&self, rule: &BreakerRule) -> bool {
        let sum = |of: fn(&Step) -> u32| self.steps.iter().map(|step| u64::from(of(step))).sum::<u64>();
        let (n_ended, n_failed) = (sum(|step| step.n_ended), sum(|step| step.n_failed));
        n_ended >= u64::from(rule.min_attempts.max(1))
            && n_failed * 100 >= n_ended * u64::from(rule.failed_percent.min(100))
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
