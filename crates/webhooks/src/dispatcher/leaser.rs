//! Leases what is due and has room, and starts the attempts.

use std::sync::Arc;

use hookswitch_protocol::Chain;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::scheduler::{Scheduler, SchedulerEffects};
use super::settler::Unsettled;
use super::{attempt, effects};
use crate::context::Context;
use crate::seams::ledger::{LeaseRequest, LeaseWish, LeasedDelivery, LedgerError};
use hookswitch_runtime::BoxFuture;

/// So many queues take a moment to look at.
const MANY: usize = 64;

/// What the ledger answered to these wishes.
type Answer = (Vec<LeaseWish>, Result<Vec<LeasedDelivery>, LedgerError>);

/// The one task that plans.
struct Leaser {
    context: Arc<Context>,
    scheduler: Scheduler,
    ended: mpsc::Sender<Unsettled>,
    /// The question under way. It is never dropped: a lease that was granted to a dropped future would
    /// be lost until it runs out.
    asking: Option<BoxFuture<'static, Answer>>,
    /// The next question may be asked then.
    may_ask_at: Instant,
    /// The last plan found nothing to ask for, and no signal came since.
    has_planned_in_vain: bool,
    is_away: bool,
}

/// Runs until the soft token, then gives back what has not started and waits for the running attempts:
/// by themselves within the grace, cut off after it.
pub(super) async fn run(context: Arc<Context>, ended: mpsc::Sender<Unsettled>) {
    let scheduler = Scheduler::new(&context.config, Arc::clone(&context.table));
    let may_ask_at = Instant::now();
    let mut leaser =
        Leaser { context, scheduler, ended, asking: None, may_ask_at, has_planned_in_vain: false, is_away: false };
    let soft = leaser.context.scope.soft().clone();
    while !soft.is_cancelled() {
        leaser.step().await;
        tokio::select! {
            () = leaser.rest() => {}
            () = soft.cancelled() => break,
        }
    }
    leaser.wind_down().await;
}

impl Leaser {
    /// Takes in the signals, starts what may start, and asks for more.
    async fn step(&mut self) {
        let now = Instant::now();
        self.scheduler.absorb(self.context.inbox.take(), now);
        for delivery in self.scheduler.start(now) {
            attempt::start(&self.context, delivery, self.ended.clone());
        }
        self.apply_effects().await;
        if self.asking.is_none() && now >= self.may_ask_at && self.scheduler.may_ask() {
            let wishes = self.scheduler.plan(now);
            self.has_planned_in_vain = wishes.is_empty();
            // In vain too, where many ask: a tenant that has all its slots would have all its queues looked at
            // with each one that comes free.
            if !wishes.is_empty() || self.scheduler.n_asking() > MANY {
                self.may_ask_at = now + self.context.config.lease_pause;
            }
            if !wishes.is_empty() {
                self.asking = Some(ask(Arc::clone(&self.context), wishes, self.scheduler.lease_bytes()));
            }
        }
        self.context.metrics.ready.set(self.scheduler.n_ready() as u64);
        self.context.metrics.body_bytes.set(self.scheduler.n_bytes() as u64);
    }

    /// Waits until there is something to do. Cancel safe: an answer is taken in at once.
    async fn rest(&mut self) {
        let wants_to_ask = self.asking.is_none() && !self.has_planned_in_vain && self.scheduler.may_ask();
        let wakes = [self.scheduler.wake_at(), wants_to_ask.then_some(self.may_ask_at)];
        let wake = wakes.into_iter().flatten().min();
        tokio::select! {
            answer = answer_of(&mut self.asking) => self.take_in(answer),
            // What else is ready runs first, so that one look takes in many signals.
            () = self.context.inbox.arrived.notified() => tokio::task::yield_now().await,
            () = sleep_until(wake) => {}
        }
        self.has_planned_in_vain = false;
    }

    fn take_in(&mut self, (wishes, answer): Answer) {
        let now = Instant::now();
        self.asking = None;
        match answer {
            Ok(leased) => {
                self.is_away = false;
                self.scheduler.granted(&wishes, leased, now);
            }
            Err(error) => {
                if !self.is_away {
                    tracing::warn!(error = %Chain(&error), "webhook deliveries wait for the ledger");
                }
                self.is_away = true;
                self.scheduler.refused(&wishes);
                self.may_ask_at = now + error.wait(self.context.config.poll_interval);
            }
        }
    }

    /// Carries out what follows from the scheduler's decisions.
    async fn apply_effects(&mut self) {
        let SchedulerEffects { transitions, recalled, n_rate_limited } = self.scheduler.take_effects();
        self.context.metrics.counters.rate_limited.inc_by(n_rate_limited);
        for (tenant, webhook, transition) in transitions {
            effects::record_transition(&self.context, &tenant, webhook, transition);
        }
        for delivery in recalled {
            // Waits when the database is away; then nothing new can be leased either.
            self.give_back(delivery).await;
        }
    }

    async fn give_back(&mut self, delivery: LeasedDelivery) {
        let unsettled = Unsettled::GivenBack(attempt::given_back(&delivery));
        self.context.metrics.unsettled.add(1);
        if self.ended.send(unsettled).await.is_err() {
            self.context.metrics.unsettled.sub(1);
        }
    }

    async fn wind_down(mut self) {
        let grace = Instant::now() + self.context.config.stop_grace;
        if self.asking.is_some()
            && let Ok(answer) = tokio::time::timeout_at(grace, answer_of(&mut self.asking)).await
        {
            self.take_in(answer);
        }
        self.scheduler.recall_all();
        self.apply_effects().await;
        let context = Arc::clone(&self.context);
        let all_ended = async {
            loop {
                self.scheduler.absorb(context.inbox.take(), Instant::now());
                if self.scheduler.n_running() == 0 {
                    return;
                }
                context.inbox.arrived.notified().await;
            }
        };
        if tokio::time::timeout_at(grace, all_ended).await.is_err() {
            tracing::info!(n_deliveries = self.scheduler.n_running(), "running webhook deliveries are given back");
            context.cut.cancel();
        }
    }
}

fn ask(context: Arc<Context>, wishes: Vec<LeaseWish>, n_bytes: usize) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = LeaseRequest {
            by: context.node.clone(),
            now: context.clock.now(),
            hold: context.config.lease_hold,
            n_bytes,
            wishes: wishes.clone(),
        };
        let answer = context.seams.ledger.lease(request).await;
        (wishes, answer)
    })
}

/// The answer, when something was asked; for ever otherwise.
async fn answer_of(asking: &mut Option<BoxFuture<'static, Answer>>) -> Answer {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
