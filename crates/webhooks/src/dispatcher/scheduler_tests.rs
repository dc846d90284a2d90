//! The scheduler, checked move by move.

use bytes::Bytes;
use hookswitch_protocol::{DeliveryId, EventType, Timestamp};

use super::*;
use crate::options::WebhookOptions;
use crate::receiver_version::ReceiverVersion;
use crate::seams::directory::{NewWebhook, Webhook};
use crate::seams::ledger::{Lease, LeaseWish};

/// A scheduler with a make-believe ledger: how much of each kind is due per webhook.
struct Simulation {
    scheduler: Scheduler,
    ledger: HashMap<i64, (u32, u32)>,
    table: Arc<MatchTable>,
    now: Instant,
    n_nodes: u32,
    /// How long attempts take, as far as the queues know.
    took: Duration,
    /// What every delivery sends.
    body: Bytes,
}

fn tenant(webhook: i64) -> TenantId {
    // Webhooks 0-99 are tenant t0's, 100-199 t1's, and so on.
    TenantId::parse(&format!("t{}", webhook / 100)).expect("legal")
}

impl Simulation {
    fn new(concurrency: usize, per_webhook: usize) -> Self {
        Self::with(&WebhookConfig { concurrency, per_webhook, ..WebhookConfig::default() })
    }

    fn with(config: &WebhookConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let now = runtime.block_on(async { Instant::now() });
        let table = Arc::new(MatchTable::new(config.expiry.clone(), 1_000));
        let scheduler = Scheduler::new(config, Arc::clone(&table));
        Self {
            scheduler,
            ledger: HashMap::new(),
            table,
            now,
            n_nodes: 1,
            took: Duration::from_secs(1),
            body: Bytes::new(),
        }
    }

    /// The webhook's owner sets these options.
    fn options(&mut self, webhook: i64, options: WebhookOptions) {
        self.table.put(&Webhook { options, ..(*delivery(webhook, 1).webhook).clone() });
    }

    fn signal(&mut self, signals: Signals) {
        self.scheduler.absorb(Signals { n_nodes: self.n_nodes, ..signals }, self.now);
    }

    /// So many first attempts and retries of this webhook become due.
    fn due(&mut self, webhook: i64, fresh: u32, retries: u32) {
        let known = self.ledger.entry(webhook).or_default();
        *known = (known.0 + fresh, known.1 + retries);
        let due = DueWebhook {
            webhook: WebhookId(webhook),
            tenant: tenant(webhook),
            has_fresh: fresh > 0,
            has_retry: retries > 0,
        };
        self.signal(Signals { due: HashMap::from([(due.webhook, due)]), ..Signals::default() });
    }

    /// What the make-believe ledger hands out.
    fn lease(&mut self, wishes: &[LeaseWish]) -> Vec<LeasedDelivery> {
        let mut leased = Vec::new();
        let sent = |attempted: LeasedDelivery| LeasedDelivery { body: self.body.clone(), ..attempted };
        // As the real one does: no more once it is enough.
        let most = self.scheduler.lease_bytes().div_ceil(self.body.len().max(1));
        let mut n_left = if self.body.is_empty() { u32::MAX } else { u32::try_from(most).expect("few") };
        for wish in wishes {
            let waiting = self.ledger.entry(wish.webhook.0).or_default();
            let fresh = wish.fresh.min(waiting.0).min(n_left);
            let retries = wish.retries.min(waiting.1).min(n_left - fresh);
            n_left -= fresh + retries;
            *waiting = (waiting.0 - fresh, waiting.1 - retries);
            leased.extend((0..fresh).map(|_| sent(delivery(wish.webhook.0, 1))));
            leased.extend((0..retries).map(|_| sent(delivery(wish.webhook.0, 2))));
        }
        leased
    }

    /// Plans, leases and starts once; what was started, as (webhook, attempt).
    fn round(&mut self) -> Vec<(i64, u32)> {
        let wishes = self.scheduler.plan(self.now);
        let leased = self.lease(&wishes);
        self.scheduler.granted(&wishes, leased, self.now);
        let started = self.scheduler.start(self.now);
        started.iter().map(|delivery| (delivery.webhook.id.0, delivery.attempt)).collect()
    }

    /// Turns until nothing more starts.
    fn run(&mut self) -> Vec<(i64, u32)> {
        let mut started = Vec::new();
        loop {
            let round = self.round();
            if round.is_empty() {
                return started;
            }
            started.extend(round);
        }
    }

    fn end(&mut self, webhook: i64, attempt: u32, ended: ReceiverOutcome) {
        let kind = if attempt == 1 { AttemptKind::Fresh } else { AttemptKind::Retry };
        let receiver = ReceiverVersion::of(&delivery(webhook, 1).webhook);
        let (webhook, took, n_bytes) = (WebhookId(webhook), self.took, self.body.len());
        let freed = vec![FreedSlot { webhook, kind, ended, took, receiver, n_bytes }];
        self.signal(Signals { freed, ..Signals::default() });
    }

    /// Time passes, and the queues look at what was parked.
    fn pass(&mut self, by: Duration) {
        self.now += by;
        self.signal(Signals::default());
    }
}

fn delivery(webhook: i64, attempt: u32) -> LeasedDelivery {
    LeasedDelivery {
        lease: Lease { number: 0, fence: 0 },
        delivery: DeliveryId::parse("d").expect("legal"),
        webhook: Arc::new(Webhook::new(WebhookId(webhook), tenant(webhook), any_webhook(), Timestamp::from_millis(0))),
        event_type: EventType::ALERT,
        body: Bytes::new(),
        attempt,
        attempts_before: 0,
        due_at: Timestamp::from_millis(0),
    }
}

fn any_webhook() -> NewWebhook {
    NewWebhook {
        name: String::new(),
        url: String::new(),
        events: vec!["*".to_owned()],
        secret: None,
        retry_count: 3,
        timeout_secs: 30,
        options: WebhookOptions::default(),
    }
}

fn count(started: &[(i64, u32)], wanted: impl Fn(&(i64, u32)) -> bool) -> usize {
    started.iter().filter(|one| wanted(one)).count()
}

#[test]
fn no_webhook_gets_more_than_its_slots_and_the_node_no_more_than_its_own() {
    let mut sim = Simulation::new(64, 10);
    (0..20).for_each(|webhook| sim.due(webhook, 100, 0));
    let first = sim.run();
    assert_eq!(first.len(), 30, "half of it before anybody has answered");
    for one in &first {
        sim.end(one.0, one.1, ReceiverOutcome::Well);
    }
    let started = sim.run();
    assert_eq!(started.len(), 57, "64 less the sixteenth kept for retries, and a sixteenth for other tenants");
    assert!((0..20).all(|webhook| count(&started, |one| one.0 == webhook) <= 10));
    assert!(sim.scheduler.n_running() == 57 && sim.round().is_empty());
}

#[test]
fn first_attempts_do_not_wait_behind_old_retries() {
    let mut sim = Simulation::new(64, 10);
    (0..20).for_each(|webhook| sim.due(webhook, 0, 1_000));
    assert_eq!(sim.run().len(), 24, "retries get three quarters of the node, those of silent receivers half of that");
    sim.due(5, 1, 0);
    sim.due(30, 1, 0);
    let started = sim.run();
    assert_eq!(count(&started, |one| one.1 == 1), 2, "{started:?}");
}

#[test]
fn a_busy_webhook_still_gets_its_retries_through() {
    let mut sim = Simulation::new(64, 10);
    sim.due(1, 1_000, 5);
    let started = sim.run();
    assert_eq!((count(&started, |one| one.1 == 1), count(&started, |one| one.1 == 2)), (9, 1));
    sim.end(1, 2, ReceiverOutcome::Well);
    assert_eq!(sim.run(), [(1, 2)]);
    sim.end(1, 1, ReceiverOutcome::Well);
    assert_eq!(sim.run(), [(1, 1)]);
}

#[test]
fn tenants_take_turns_whatever_their_size() {
    let mut sim = Simulation::new(16, 2);
    (0..50).for_each(|webhook| sim.due(webhook, 10, 0));
    sim.due(100, 10, 0);
    let started = sim.run();
    assert_eq!(count(&started, |one| one.0 == 100), 2, "the small tenant has its slots: {started:?}");
    // What comes free goes to the tenants in turn: neither waits longer than one turn of the other.
    for _ in 0..3 {
        let mut next = Vec::new();
        for big in started.iter().filter(|one| one.0 < 100).take(2) {
            sim.end(big.0, 1, ReceiverOutcome::Well);
            sim.end(100, 1, ReceiverOutcome::Well);
            next.extend(sim.run());
        }
        assert!((1..=3).contains(&count(&next, |one| one.0 == 100)), "{next:?}");
    }
}

#[test]
fn a_silent_receiver_loses_slots_and_wins_them_back() {
    let mut sim = Simulation::new(64, 10);
    sim.due(1, 100, 0);
    assert_eq!(sim.run().len(), 10);
    (0..10).for_each(|_| sim.end(1, 1, ReceiverOutcome::TimedOut));
    assert_eq!(sim.run().len(), 1, "ten time-outs leave one slot");
    sim.end(1, 1, ReceiverOutcome::Well);
    assert_eq!(sim.run().len(), 2, "an answer adds one");
    sim.end(1, 1, ReceiverOutcome::Unknown);
    assert_eq!(sim.run().len(), 1, "a cut attempt says nothing");
}

#[test]
fn with_a_single_slot_both_kinds_take_turns() {
    let mut sim = Simulation::new(64, 1);
    sim.due(1, 10, 10);
    let mut attempts = Vec::new();
    for _ in 0..4 {
        let started = sim.run();
        assert_eq!(started.len(), 1);
        attempts.push(started[0].1);
        sim.end(1, started[0].1, ReceiverOutcome::Well);
    }
    assert_eq!(attempts, [1, 2, 1, 2]);
}

#[test]
fn a_refused_plan_is_made_again_and_idle_queues_are_forgotten() {
    let mut sim = Simulation::new(64, 10);
    sim.due(1, 2, 0);
    let wishes = sim.scheduler.plan(sim.now);
    assert_eq!(sim.scheduler.plan(sim.now), [], "asked for already");
    sim.scheduler.refused(&wishes);
    assert_eq!(sim.run(), [(1, 1), (1, 1)]);
    assert_eq!(sim.scheduler.queues.len(), 1);
    (0..2).for_each(|_| sim.end(1, 1, ReceiverOutcome::Well));
    sim.pass(TIDYING);
    assert!(sim.scheduler.queues.is_empty() && sim.scheduler.asking.len() + sim.scheduler.starting.len() == 0);
}

#[test]
fn one_slot_on_the_whole_node_still_works() {
    let mut sim = Simulation::new(1, 1);
    sim.due(1, 1, 0);
    sim.due(100, 0, 1);
    assert_eq!(sim.run(), [(1, 1)]);
    sim.end(1, 1, ReceiverOutcome::Well);
    assert_eq!(sim.run(), [(100, 2)]);
}

#[path = "scheduler_limits_tests.rs"]
mod limits;

#[path = "scheduler_shares_tests.rs"]
mod shares;
