//! The scheduler's limits: breakers, rates, caps across the cluster, silence, and what is leased ahead.

use super::*;
use crate::config::BreakerRule;
use crate::dispatcher::breaker::BreakerTransition;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Ends every one of these in the same way.
fn end_all(sim: &mut Simulation, started: &[(i64, u32)], ended: ReceiverOutcome) {
    for one in started {
        sim.end(one.0, one.1, ended);
    }
}

fn transitions(sim: &mut Simulation) -> Vec<(i64, BreakerTransition)> {
    sim.scheduler
        .take_effects()
        .transitions
        .into_iter()
        .map(|(_, webhook, transition)| (webhook.0, transition))
        .collect()
}

#[test]
fn an_open_breaker_leases_nothing_and_one_probe_closes_it() {
    let breaker = BreakerRule { min_attempts: 20, ..BreakerRule::default() };
    let mut sim = Simulation::with(&WebhookConfig { breaker, concurrency: 64, ..WebhookConfig::default() });
    sim.due(1, 100, 0);
    sim.due(2, 100, 0);
    for _ in 0..2 {
        let started = sim.run();
        assert_eq!(count(&started, |one| one.0 == 1), 10);
        let bad: Vec<_> = started.into_iter().filter(|one| one.0 == 1).collect();
        end_all(&mut sim, &bad, ReceiverOutcome::Badly);
    }
    let until = sim.now + secs(30);
    assert_eq!(transitions(&mut sim), [(1, BreakerTransition::Opened { until })]);
    assert_eq!((sim.run(), sim.scheduler.wake_at()), (vec![], Some(until)), "it waits, in no fair queue");
    assert_eq!(sim.ledger[&1].0, 80, "and nothing of it is leased");
    sim.due(1, 1, 1);
    assert_eq!(sim.run(), [], "whatever else comes due");
    sim.pass(secs(30));
    let probe = sim.run();
    assert_eq!(probe.len(), 1, "one probe");
    end_all(&mut sim, &probe, ReceiverOutcome::TimedOut);
    assert_eq!(transitions(&mut sim), [(1, BreakerTransition::StaysOpen { until: sim.now + secs(60) })]);
    sim.pass(secs(60));
    let probe = sim.run();
    assert_eq!(probe.len(), 1);
    end_all(&mut sim, &probe, ReceiverOutcome::Well);
    assert_eq!(transitions(&mut sim), [(1, BreakerTransition::Closed)]);
    assert!(sim.run().len() > 1, "everything flows again");
}

#[test]
fn a_changed_url_starts_with_a_closed_breaker_and_what_the_old_one_says_does_not_count() {
    let breaker = BreakerRule { min_attempts: 10, ..BreakerRule::default() };
    let mut sim = Simulation::with(&WebhookConfig { breaker, ..WebhookConfig::default() });
    let at = |url: &str, version| Webhook {
        url: url.to_owned(),
        receiver_version: version,
        ..(*delivery(1, 1).webhook).clone()
    };
    sim.table.put(&at("", 0));
    sim.due(1, 100, 0);
    let started = sim.run();
    end_all(&mut sim, &started, ReceiverOutcome::Badly);
    assert_eq!(transitions(&mut sim), [(1, BreakerTransition::Opened { until: sim.now + secs(30) })]);
    assert_eq!(sim.run(), []);
    sim.table.put(&at("https://example.com/new", 1));
    sim.signal(Signals { changed: [WebhookId(1)].into(), ..Signals::default() });
    assert_eq!(transitions(&mut sim), [(1, BreakerTransition::Forgotten)]);
    let started = sim.run();
    assert_eq!(started.len(), 10, "the new receiver is asked at once");
    // The simulation's attempts go to the old one.
    end_all(&mut sim, &started, ReceiverOutcome::Badly);
    end_all(&mut sim, &[(1, 1)], ReceiverOutcome::TimedOut);
    assert_eq!(transitions(&mut sim), []);
    assert_eq!(sim.run().len(), 10, "no slot was lost either");
    // Changed by hand, or on another node: with the next look, at the latest with the next signal.
    sim.table.put(&at("https://example.com/newer", 1));
    sim.due(1, 1, 0);
    assert_eq!(transitions(&mut sim), []);
}

#[test]
fn what_is_ready_goes_back_when_the_breaker_opens_or_the_receiver_is_silent() {
    for ended in [ReceiverOutcome::Badly, ReceiverOutcome::TimedOut] {
        let breaker = BreakerRule { min_attempts: 11, failed_percent: 1, ..BreakerRule::default() };
        let mut sim = Simulation::with(&WebhookConfig { breaker, ..WebhookConfig::default() });
        sim.took = Duration::from_millis(1);
        sim.due(1, 1_000, 0);
        let started = sim.run();
        end_all(&mut sim, &started, ReceiverOutcome::Well);
        assert_eq!(sim.run().len(), 10, "never more than its slots, however much is leased ahead");
        let n_ahead = sim.scheduler.n_ready();
        assert_eq!(n_ahead, 200, "ten slots, 1 ms each, 20 ms ahead");
        sim.end(1, 1, ended);
        assert_eq!((sim.scheduler.n_ready(), sim.scheduler.take_effects().recalled.len()), (0, n_ahead), "{ended:?}");
    }
}

#[test]
fn what_is_leased_ahead_goes_back_when_it_is_not_started_soon() {
    let mut sim = Simulation::new(64, 10);
    sim.took = Duration::from_millis(4);
    sim.due(1, 1_000, 0);
    let started = sim.run();
    end_all(&mut sim, &started, ReceiverOutcome::Well);
    sim.run();
    let n_ahead = sim.scheduler.n_ready();
    assert_eq!(n_ahead, 50, "ten slots, 4 ms each, 20 ms ahead");
    sim.pass(READY_FOR);
    assert_eq!(sim.scheduler.n_ready(), n_ahead);
    assert!(sim.scheduler.wake_at().is_some_and(|at| at <= sim.now + TIDYING), "it looks again");
    sim.pass(TIDYING);
    assert_eq!((sim.scheduler.n_ready(), sim.scheduler.take_effects().recalled.len()), (0, n_ahead));
}

#[test]
fn a_webhook_s_own_limit_counts_and_is_shared_by_the_living_nodes() {
    let mut sim = Simulation::new(64, 10);
    sim.options(1, WebhookOptions { max_in_flight: Some(30), ..WebhookOptions::default() });
    sim.options(2, WebhookOptions { max_in_flight: Some(2), ..WebhookOptions::default() });
    sim.n_nodes = 3;
    for (webhook, wanted) in [(1, 10), (2, 1), (3, 3)] {
        sim.due(webhook, 100, 0);
        assert_eq!(sim.run().len(), wanted, "webhook {webhook} of 30, 2 and 10 slots on three nodes");
    }
    sim.n_nodes = 1;
    (1..=3).for_each(|webhook| sim.end(webhook, 1, ReceiverOutcome::Well));
    let started = sim.run();
    let n = |webhook| count(&started, |one| one.0 == webhook);
    assert_eq!((n(1), n(2), n(3)), (21, 2, 8), "the other nodes died");
}

#[test]
fn a_rate_limit_lets_a_second_s_worth_through_and_then_the_rate() {
    let mut sim = Simulation::new(64, 10);
    sim.options(1, WebhookOptions { rate_limit: Some(4), ..WebhookOptions::default() });
    sim.due(1, 100, 0);
    sim.due(2, 100, 0);
    let started = sim.run();
    assert_eq!((count(&started, |one| one.0 == 1), count(&started, |one| one.0 == 2)), (4, 10));
    end_all(&mut sim, &started, ReceiverOutcome::Well);
    assert_eq!(count(&sim.run(), |one| one.0 == 1), 0, "out of tokens, though it has slots");
    assert_eq!(sim.scheduler.wake_at(), Some(sim.now + Duration::from_millis(250)), "and it is looked at in time");
    assert_eq!(sim.scheduler.plan(sim.now), [], "no busy loop meanwhile");
    sim.pass(Duration::from_millis(250));
    assert_eq!(count(&sim.run(), |one| one.0 == 1), 1);
    sim.pass(secs(1));
    assert_eq!(count(&sim.run(), |one| one.0 == 1), 4);
    assert!(sim.scheduler.take_effects().n_rate_limited >= 2);
}

#[test]
fn tokens_for_what_the_ledger_did_not_have_come_back() {
    let mut sim = Simulation::new(64, 10);
    sim.options(1, WebhookOptions { rate_limit: Some(4), ..WebhookOptions::default() });
    sim.due(1, 1, 0);
    assert_eq!(sim.run().len(), 1);
    sim.due(1, 100, 0);
    assert_eq!(sim.run().len(), 3, "three of four tokens were left");
}

#[test]
fn a_tenant_s_rate_is_shared_by_its_webhooks_and_holds_up_nobody_else() {
    let mut sim = Simulation::with(&WebhookConfig {
        tenant_rate_limit: std::num::NonZeroU32::new(8),
        ..WebhookConfig::default()
    });
    (0..4).for_each(|webhook| sim.due(webhook, 100, 0));
    sim.due(100, 100, 0);
    let started = sim.run();
    assert_eq!((count(&started, |one| one.0 < 100), count(&started, |one| one.0 == 100)), (8, 8));
    let mut turns = Vec::new();
    for _ in 0..32 {
        sim.pass(Duration::from_millis(125));
        let started = sim.run();
        end_all(&mut sim, &started, ReceiverOutcome::Well);
        turns.extend(started.into_iter().filter(|one| one.0 < 100));
    }
    assert!((30..=33).contains(&turns.len()), "{} in four seconds at eight a second", turns.len());
    assert!((0..4).all(|webhook| count(&turns, |one| one.0 == webhook) >= 5), "in turns: {turns:?}");
}

#[test]
fn five_silent_receivers_of_twenty_leave_the_others_their_slots() {
    let mut sim = Simulation::new(64, 10);
    (0..20).for_each(|webhook| sim.due(webhook, 10_000, 0));
    let mut n_healthy = 0;
    for _ in 0..100 {
        let started = sim.run();
        let healthy: Vec<_> = started.into_iter().filter(|one| one.0 >= 5).collect();
        n_healthy += healthy.len();
        end_all(&mut sim, &healthy, ReceiverOutcome::Well);
    }
    let held = sim.scheduler.n_running();
    assert!(held <= 48, "the silent five hold {held} of 64 slots, whoever came first");
    assert!(n_healthy >= 100 * 12, "{n_healthy} in a hundred rounds");
    // The time-outs come: what the silent ones get back is one slot each.
    (0..5).for_each(|webhook| (0..10).for_each(|_| sim.end(webhook, 1, ReceiverOutcome::TimedOut)));
    let silent = count(&sim.run(), |one| one.0 < 5);
    assert!(silent <= 5, "{silent}");
}

#[test]
fn receivers_never_heard_of_cannot_fill_the_node() {
    let mut sim = Simulation::new(512, 10);
    (0..90).for_each(|webhook| sim.due(webhook, 1_000, 0));
    let started = sim.run();
    assert_eq!(started.len(), 240, "half of what first attempts may have, taken by ninety that may all be silent");
    sim.due(200, 10, 0);
    assert_eq!(sim.run(), [(200, 1); 10], "a healthy one begins at once");
}

#[test]
fn what_is_told_while_the_ledger_is_asked_is_not_lost() {
    let mut sim = Simulation::new(64, 10);
    sim.due(1, 0, 0);
    sim.signal(Signals { due: fresh_due(1), ..Signals::default() });
    let wishes = sim.scheduler.plan(sim.now);
    // The ledger looked, and only then the next one of the order came due.
    sim.due(1, 1, 0);
    sim.scheduler.granted(&wishes, Vec::new(), sim.now);
    assert_eq!(sim.run(), [(1, 1)]);
}

fn fresh_due(webhook: i64) -> HashMap<WebhookId, DueWebhook> {
    let due = DueWebhook { webhook: WebhookId(webhook), tenant: tenant(webhook), has_fresh: true, has_retry: false };
    HashMap::from([(due.webhook, due)])
}

#[test]
fn without_a_breaker_failures_change_nothing() {
    let breaker = BreakerRule { min_attempts: u32::MAX, ..BreakerRule::default() };
    let mut sim = Simulation::with(&WebhookConfig { breaker, ..WebhookConfig::default() });
    sim.due(1, 100, 0);
    for _ in 0..10 {
        let started = sim.run();
        assert_eq!(started.len(), 10);
        end_all(&mut sim, &started, ReceiverOutcome::Badly);
    }
}

#[test]
fn what_quick_queues_lease_ahead_keeps_no_slot_from_the_others() {
    let mut sim = Simulation::new(512, 10);
    sim.took = Duration::from_millis(1);
    for webhook in 0..3 {
        sim.due(webhook, 10_000, 0);
        let started = sim.run();
        end_all(&mut sim, &started, ReceiverOutcome::Well);
    }
    sim.run();
    assert!(sim.scheduler.n_ready() >= 470, "{} are ready", sim.scheduler.n_ready());
    (10..40).for_each(|webhook| sim.due(webhook, 1, 0));
    let at_once = count(&sim.round(), |one| one.0 >= 10);
    assert!(at_once >= 20, "{at_once} in one call, though each may have asked for ten");
    assert_eq!(at_once + count(&sim.run(), |one| one.0 >= 10), 30);
}
