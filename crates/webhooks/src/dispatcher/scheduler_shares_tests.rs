//! Tenants' shares of the node's slots.

use super::*;
use crate::seams::ledger::LEASE_BYTES;

/// Every one of these attempts ends well.
fn answer_all(sim: &mut Simulation, started: &[(i64, u32)]) {
    for one in started {
        sim.end(one.0, one.1, ReceiverOutcome::Well);
    }
}

fn of_tenant(started: &[(i64, u32)], tenant: i64) -> usize {
    count(started, |one| one.0 / 100 == tenant)
}

#[test]
fn silent_receivers_of_one_tenant_hold_half_of_the_node_and_the_neighbour_starts_at_once() {
    let mut sim = Simulation::new(512, 10);
    (0..100).for_each(|webhook| sim.due(webhook, 1_000, 0));
    assert_eq!(sim.run().len(), 240, "of 480 for first attempts");
    sim.due(100, 10, 0);
    assert_eq!(sim.round(), [(100, 1); 10]);
    // The retries of what timed out are the tenant's own as well.
    (0..100).for_each(|webhook| sim.due(webhook, 0, 1_000));
    let n_retries = sim.run().len();
    assert!((50..=131).contains(&n_retries), "{n_retries} of the 262 that were free");
    sim.due(200, 1, 0);
    assert_eq!(sim.run(), [(200, 1)], "and a third tenant starts at once");
}

#[test]
fn each_of_many_silent_tenants_leaves_something_to_the_next() {
    let mut sim = Simulation::new(512, 10);
    let mut held = Vec::new();
    for tenant in 0..8 {
        (0..100).for_each(|webhook| sim.due(tenant * 100 + webhook, 100, 0));
        held.push(of_tenant(&sim.run(), tenant));
    }
    assert_eq!(held[..4], [240, 120, 60, 30], "each has half of what is free");
    assert!(held.iter().all(|held| *held > 0), "{held:?}");
}

#[test]
fn one_tenant_whose_receivers_answer_has_nearly_all_and_the_next_one_still_starts_at_once() {
    let mut sim = Simulation::new(512, 10);
    (0..100).for_each(|webhook| sim.due(webhook, 10_000, 0));
    for _ in 0..20 {
        let started = sim.run();
        answer_all(&mut sim, &started);
    }
    sim.run();
    let held = sim.scheduler.n_running();
    assert!(held >= 512 * 7 / 8, "{held} of 512");
    sim.due(100, 100, 0);
    assert_eq!(of_tenant(&sim.round(), 1), 1, "a receiver that was never heard of");
    sim.end(100, 1, ReceiverOutcome::Well);
    assert_eq!(of_tenant(&sim.run(), 1), 2, "and more once it answers, though the node is full");
}

#[test]
fn receivers_that_fall_silent_get_no_more_slots_and_a_new_one_of_their_tenant_is_tried_all_the_same() {
    let mut sim = Simulation::new(512, 10);
    (0..100).for_each(|webhook| sim.due(webhook, 10_000, 0));
    for _ in 0..20 {
        let started = sim.run();
        answer_all(&mut sim, &started);
    }
    let started = sim.run();
    sim.pass(Duration::from_secs(5));
    (0..64).for_each(|at| sim.end(started[at].0, 1, ReceiverOutcome::TimedOut));
    let silent: Vec<i64> = started.iter().map(|one| one.0).collect();
    let again = sim.run();
    assert_eq!(count(&again, |one| silent.contains(&one.0)), 0, "they get nothing back, others have it: {again:?}");
    sim.due(99 + 100, 1, 0);
    assert_eq!(sim.run(), [(199, 1)], "another tenant begins");
}

#[test]
fn a_tenant_s_new_receiver_is_tried_beside_its_busy_ones() {
    let mut sim = Simulation::new(64, 10);
    (0..20).for_each(|webhook| sim.due(webhook, 10_000, 0));
    for _ in 0..20 {
        let started = sim.run();
        answer_all(&mut sim, &started);
    }
    sim.run();
    sim.due(50, 1, 0);
    let mut started = Vec::new();
    for round in 0..30 {
        sim.end(round % 20, 1, ReceiverOutcome::Well);
        started.extend(sim.run());
    }
    assert_eq!(count(&started, |one| one.0 == 50), 1, "in its turn: {started:?}");
}

#[test]
fn what_quick_queues_of_one_tenant_lease_ahead_leaves_room_for_another_s() {
    let mut sim = Simulation::with(&WebhookConfig { lease_ahead: 64, ..WebhookConfig::default() });
    sim.took = Duration::from_millis(1);
    (0..3).for_each(|webhook| sim.due(webhook, 10_000, 0));
    sim.due(100, 10_000, 0);
    for _ in 0..3 {
        let started = sim.run();
        answer_all(&mut sim, &started);
    }
    let ahead = |sim: &Simulation, tenant: i64| sim.scheduler.shares.of(&super::tenant(tenant * 100)).ahead;
    assert!(ahead(&sim, 1) > 0, "{} and {}", ahead(&sim, 0), ahead(&sim, 1));
    sim.scheduler.recall_all();
    assert_eq!((ahead(&sim, 0), ahead(&sim, 1)), (0, 0));
}

#[test]
fn who_holds_nothing_is_forgotten() {
    let mut sim = Simulation::new(64, 10);
    sim.due(1, 30, 3);
    while sim.scheduler.n_running() > 0 || sim.ledger[&1] != (0, 0) {
        let started = sim.run();
        answer_all(&mut sim, &started);
    }
    assert!(sim.scheduler.shares.is_empty());
}

#[test]
fn what_the_ledger_had_no_room_for_is_asked_for_again() {
    let mut sim = Simulation::new(64, 10);
    sim.due(1, 1, 0);
    sim.due(100, 1, 0);
    let wishes = sim.scheduler.plan(sim.now);
    assert_eq!(wishes.len(), 2);
    // The first body is so large that the call ended there.
    let large = LeasedDelivery { body: Bytes::from(vec![0; LEASE_BYTES]), ..delivery(1, 1) };
    sim.scheduler.granted(&wishes, vec![large], sim.now);
    let again: Vec<WebhookId> = sim.scheduler.plan(sim.now).iter().map(|wish| wish.webhook).collect();
    assert!(again.contains(&WebhookId(100)), "{again:?}");
}

#[test]
fn large_bodies_of_one_tenant_take_half_of_the_bytes_and_the_neighbours_start_at_once() {
    let mut sim = Simulation::new(512, 10);
    sim.body = Bytes::from(vec![0; 1024 * 1024]);
    (0..100).for_each(|webhook| sim.due(webhook, 1_000, 0));
    let first = sim.run();
    assert!((32..=48).contains(&first.len()), "{} MiB of 64", first.len());
    let mut held = vec![first.len()];
    for tenant in 1..4 {
        (0..100).for_each(|webhook| sim.due(tenant * 100 + webhook, 100, 0));
        held.push(of_tenant(&sim.run(), tenant));
    }
    assert!(held.iter().all(|held| *held > 0), "something is left for each: {held:?}");
    assert!(held.iter().sum::<usize>() <= 64, "{held:?}");
    // What ends makes room again, and nothing is forgotten.
    answer_all(&mut sim, &first);
    assert!(!sim.run().is_empty());
}

#[test]
fn small_bodies_are_bounded_by_slots_only_and_a_large_one_passes_in_any_case() {
    let mut sim = Simulation::with(&WebhookConfig { body_bytes: 1_000, ..WebhookConfig::default() });
    sim.body = Bytes::from(vec![0; 5_000]);
    sim.due(1, 2, 0);
    assert_eq!(sim.run(), [(1, 1)], "one at a time");
    assert_eq!((sim.run(), sim.scheduler.n_bytes()), (vec![], 5_000));
    sim.end(1, 1, ReceiverOutcome::Well);
    assert_eq!(sim.run(), [(1, 1)]);
    let mut sim = Simulation::new(512, 10);
    sim.body = Bytes::from(vec![0; 1_000]);
    (0..100).for_each(|webhook| sim.due(webhook, 1_000, 0));
    assert_eq!(sim.run().len(), 240);
}
