//! The plan's limits: breakers, rates, caps across the cluster, silence, and what is leased ahead.

use super::*;
use crate::dispatcher::breaker::{BreakerRule, Turn};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Ends every one of these in the same way.
fn end_all(play: &mut Play, started: &[(i64, u32)], ended: Ended) {
    for one in started {
        play.end(one.0, one.1, ended);
    }
}

fn turns(play: &mut Play) -> Vec<(i64, Turn)> {
    play.lanes.take_told().turns.into_iter().map(|(_, webhook, turn)| (webhook.0, turn)).collect()
}

#[test]
fn an_open_breaker_leases_nothing_and_one_probe_closes_it() {
    let breaker = BreakerRule { min_attempts: 20, ..BreakerRule::default() };
    let mut play = Play::with(&WebhookConfig { breaker, concurrency: 64, ..WebhookConfig::default() });
    play.due(1, 100, 0);
    play.due(2, 100, 0);
    for _ in 0..2 {
        let started = play.run();
        assert_eq!(count(&started, |one| one.0 == 1), 10);
        let bad: Vec<_> = started.into_iter().filter(|one| one.0 == 1).collect();
        end_all(&mut play, &bad, Ended::Badly);
    }
    let until = play.now + secs(30);
    assert_eq!(turns(&mut play), [(1, Turn::Opened { until })]);
    assert_eq!((play.run(), play.lanes.wake_at()), (vec![], Some(until)), "it waits, out of all lines");
    assert_eq!(play.ledger[&1].0, 80, "and nothing of it is leased");
    play.due(1, 1, 1);
    assert_eq!(play.run(), [], "whatever else comes due");
    play.pass(secs(30));
    let probe = play.run();
    assert_eq!(probe.len(), 1, "one probe");
    end_all(&mut play, &probe, Ended::TimedOut);
    assert_eq!(turns(&mut play), [(1, Turn::StaysOpen { until: play.now + secs(60) })]);
    play.pass(secs(60));
    let probe = play.run();
    assert_eq!(probe.len(), 1);
    end_all(&mut play, &probe, Ended::Well);
    assert_eq!(turns(&mut play), [(1, Turn::Closed)]);
    assert!(play.run().len() > 1, "everything flows again");
}

#[test]
fn what_is_ready_goes_back_when_the_breaker_opens_or_the_receiver_is_silent() {
    for ended in [Ended::Badly, Ended::TimedOut] {
        let breaker = BreakerRule { min_attempts: 11, failed_percent: 1, ..BreakerRule::default() };
        let mut play = Play::with(&WebhookConfig { breaker, ..WebhookConfig::default() });
        play.took = Duration::from_millis(1);
        play.due(1, 1_000, 0);
        let started = play.run();
        end_all(&mut play, &started, Ended::Well);
        assert_eq!(play.run().len(), 10, "never more than its slots, however much is leased ahead");
        let n_ahead = play.lanes.n_ready();
        assert_eq!(n_ahead, 200, "ten slots, 1 ms each, 20 ms ahead");
        play.end(1, 1, ended);
        assert_eq!((play.lanes.n_ready(), play.lanes.take_told().recalled.len()), (0, n_ahead), "{ended:?}");
    }
}

#[test]
fn what_is_leased_ahead_goes_back_when_it_is_not_started_soon() {
    let mut play = Play::new(64, 10);
    play.took = Duration::from_millis(4);
    play.due(1, 1_000, 0);
    let started = play.run();
    end_all(&mut play, &started, Ended::Well);
    play.run();
    let n_ahead = play.lanes.n_ready();
    assert_eq!(n_ahead, 50, "ten slots, 4 ms each, 20 ms ahead");
    play.pass(READY_FOR);
    assert_eq!(play.lanes.n_ready(), n_ahead);
    assert!(play.lanes.wake_at().is_some_and(|at| at <= play.now + TIDYING), "it looks again");
    play.pass(TIDYING);
    assert_eq!((play.lanes.n_ready(), play.lanes.take_told().recalled.len()), (0, n_ahead));
}

#[test]
fn a_webhook_s_own_limit_counts_and_is_shared_by_the_living_nodes() {
    let mut play = Play::new(64, 10);
    play.options(1, WebhookOptions { max_in_flight: Some(30), ..WebhookOptions::default() });
    play.options(2, WebhookOptions { max_in_flight: Some(2), ..WebhookOptions::default() });
    play.n_nodes = 3;
    for (webhook, wanted) in [(1, 10), (2, 1), (3, 3)] {
        play.due(webhook, 100, 0);
        assert_eq!(play.run().len(), wanted, "webhook {webhook} of 30, 2 and 10 slots on three nodes");
    }
    play.n_nodes = 1;
    (1..=3).for_each(|webhook| play.end(webhook, 1, Ended::Well));
    let started = play.run();
    let n = |webhook| count(&started, |one| one.0 == webhook);
    assert_eq!((n(1), n(2), n(3)), (21, 2, 8), "the other nodes died");
}

#[test]
fn a_rate_limit_lets_a_second_s_worth_through_and_then_the_rate() {
    let mut play = Play::new(64, 10);
    play.options(1, WebhookOptions { rate_limit: Some(4), ..WebhookOptions::default() });
    play.due(1, 100, 0);
    play.due(2, 100, 0);
    let started = play.run();
    assert_eq!((count(&started, |one| one.0 == 1), count(&started, |one| one.0 == 2)), (4, 10));
    end_all(&mut play, &started, Ended::Well);
    assert_eq!(count(&play.run(), |one| one.0 == 1), 0, "out of tokens, though it has slots");
    assert_eq!(play.lanes.wake_at(), Some(play.now + Duration::from_millis(250)), "and it is looked at in time");
    assert_eq!(play.lanes.plan(play.now), [], "no busy loop meanwhile");
    play.pass(Duration::from_millis(250));
    assert_eq!(count(&play.run(), |one| one.0 == 1), 1);
    play.pass(secs(1));
    assert_eq!(count(&play.run(), |one| one.0 == 1), 4);
    assert!(play.lanes.take_told().n_rate_limited >= 2);
}

#[test]
fn tokens_for_what_the_ledger_did_not_have_come_back() {
    let mut play = Play::new(64, 10);
    play.options(1, WebhookOptions { rate_limit: Some(4), ..WebhookOptions::default() });
    play.due(1, 1, 0);
    assert_eq!(play.run().len(), 1);
    play.due(1, 100, 0);
    assert_eq!(play.run().len(), 3, "three of four tokens were left");
}

#[test]
fn a_tenant_s_rate_is_shared_by_its_webhooks_and_holds_up_nobody_else() {
    let mut play =
        Play::with(&WebhookConfig { tenant_rate_limit: std::num::NonZeroU32::new(8), ..WebhookConfig::default() });
    (0..4).for_each(|webhook| play.due(webhook, 100, 0));
    play.due(100, 100, 0);
    let started = play.run();
    assert_eq!((count(&started, |one| one.0 < 100), count(&started, |one| one.0 == 100)), (8, 8));
    let mut turns = Vec::new();
    for _ in 0..32 {
        play.pass(Duration::from_millis(125));
        let started = play.run();
        end_all(&mut play, &started, Ended::Well);
        turns.extend(started.into_iter().filter(|one| one.0 < 100));
    }
    assert!((30..=33).contains(&turns.len()), "{} in four seconds at eight a second", turns.len());
    assert!((0..4).all(|webhook| count(&turns, |one| one.0 == webhook) >= 5), "in turns: {turns:?}");
}

#[test]
fn five_silent_receivers_of_twenty_leave_the_others_their_slots() {
    let mut play = Play::new(64, 10);
    (0..20).for_each(|webhook| play.due(webhook, 10_000, 0));
    let mut n_healthy = 0;
    for _ in 0..100 {
        let started = play.run();
        let healthy: Vec<_> = started.into_iter().filter(|one| one.0 >= 5).collect();
        n_healthy += healthy.len();
        end_all(&mut play, &healthy, Ended::Well);
    }
    let held = play.lanes.n_busy();
    assert!(held <= 48, "the silent five hold {held} of 64 slots, whoever came first");
    assert!(n_healthy >= 100 * 12, "{n_healthy} in a hundred rounds");
    // The time-outs come: what the silent ones get back is one slot each.
    (0..5).for_each(|webhook| (0..10).for_each(|_| play.end(webhook, 1, Ended::TimedOut)));
    let silent = count(&play.run(), |one| one.0 < 5);
    assert!(silent <= 5, "{silent}");
}

#[test]
fn receivers_never_heard_of_cannot_fill_the_node() {
    let mut play = Play::new(512, 10);
    (0..90).for_each(|webhook| play.due(webhook, 1_000, 0));
    let started = play.run();
    assert!(started.len() <= 512 * 3 / 4 + 10, "{} slots taken by ninety that may all be silent", started.len());
    play.due(200, 10, 0);
    assert_eq!(play.run(), [(200, 1)], "a healthy one begins at once");
    play.end(200, 1, Ended::Well);
    assert_eq!(play.run().len(), 2);
}

#[test]
fn what_is_told_while_the_ledger_is_asked_is_not_lost() {
    let mut play = Play::new(64, 10);
    play.due(1, 0, 0);
    play.tell(Letters { due: fresh_due(1), ..Letters::default() });
    let wishes = play.lanes.plan(play.now);
    // The ledger looked, and only then the next one of the order came due.
    play.due(1, 1, 0);
    play.lanes.granted(&wishes, Vec::new(), play.now);
    assert_eq!(play.run(), [(1, 1)]);
}

fn fresh_due(webhook: i64) -> HashMap<WebhookId, DueWebhook> {
    let due = DueWebhook { webhook: WebhookId(webhook), tenant: tenant(webhook), has_fresh: true, has_retry: false };
    HashMap::from([(due.webhook, due)])
}

#[test]
fn without_a_breaker_failures_change_nothing() {
    let breaker = BreakerRule { min_attempts: u32::MAX, ..BreakerRule::default() };
    let mut play = Play::with(&WebhookConfig { breaker, ..WebhookConfig::default() });
    play.due(1, 100, 0);
    for _ in 0..10 {
        let started = play.run();
        assert_eq!(started.len(), 10);
        end_all(&mut play, &started, Ended::Badly);
    }
}

#[test]
fn what_quick_lanes_lease_ahead_keeps_no_slot_from_the_others() {
    let mut play = Play::new(512, 10);
    play.took = Duration::from_millis(1);
    for webhook in 0..3 {
        play.due(webhook, 10_000, 0);
        let started = play.run();
        end_all(&mut play, &started, Ended::Well);
    }
    play.run();
    assert!(play.lanes.n_ready() >= 500, "{} are ready", play.lanes.n_ready());
    (10..40).for_each(|webhook| play.due(webhook, 1, 0));
    assert_eq!(count(&play.turn(), |one| one.0 >= 10), 30, "all in one call");
}
