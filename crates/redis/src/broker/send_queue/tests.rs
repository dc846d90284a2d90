//! Tenants in turn: what goes first, what waits, what is dropped.

use super::*;

const BOUNDS: Bounds = Bounds { n_messages: 1_000, n_bytes: 10_000_000 };

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("legal")
}

fn message(of: &str, name: &str, n_bytes: usize) -> Outbound {
    let body = Bytes::from(vec![b'x'; n_bytes]);
    Outbound {
        tenant: tenant(of),
        channel: name.to_owned(),
        body,
        is_sharded: false,
        slot: 0,
        settled: None,
        placed: None,
    }
}

fn queue(bounds: Bounds, messages: &[(&str, &str)]) -> SendQueue {
    let mut queue = SendQueue::new(bounds);
    for (of, name) in messages {
        queue.append(message(of, name, 1));
    }
    queue
}

fn names(batch: &Batch) -> Vec<&str> {
    batch.iter().map(|outbound| outbound.channel.as_str()).collect()
}

fn sent(queue: &mut SendQueue, of: TenantId, batch: &Batch) {
    queue.gone(batch);
    queue.settled(&of, false);
    queue.release(of);
}

#[test]
fn a_tenant_that_is_sent_waits_and_the_others_go_on() {
    let mut queue = queue(BOUNDS, &[("a", "a1"), ("b", "b1"), ("a", "a2")]);
    let (of, first) = queue.take().expect("a tenant");
    assert_eq!((&of, names(&first)), (&tenant("a"), vec!["a1", "a2"]));
    queue.append(message("a", "a3", 1));
    assert_eq!(queue.take().map(|(of, batch)| (of, batch.len())), Some((tenant("b"), 1)));
    assert!(queue.take().is_none(), "both are being sent");
    queue.put_back(&of, first);
    queue.settled(&of, true);
    queue.release(of.clone());
    let (_, again) = queue.take().expect("it is free");
    assert_eq!(names(&again), ["a1"], "one is tried first");
    sent(&mut queue, of, &again);
    assert_eq!(names(&queue.take().expect("it is free").1), ["a2", "a3"], "in order");
}

#[test]
fn a_burst_does_not_hold_up_another_tenant() {
    let mut queue = SendQueue::new(Bounds { n_messages: 100_000, n_bytes: 100_000_000 });
    for n in 0..10_000 {
        queue.append(message("loud", &n.to_string(), 1_000));
    }
    let (of, burst) = queue.take().expect("a tenant");
    let n_bytes: usize = burst.iter().map(|outbound| outbound.body.len()).sum();
    assert!(of == tenant("loud") && burst.len() <= SENT_AT_ONCE && n_bytes < BYTES_AT_ONCE + 1_000);
    queue.append(message("quiet", "only", 1));
    assert_eq!(queue.take().expect("at once").0, tenant("quiet"), "though nothing of the burst is answered");
}

#[test]
fn what_is_being_sent_is_bounded_in_messages_and_bytes() {
    let mut queue = SendQueue::new(Bounds { n_messages: 100_000, n_bytes: 1_000_000_000 });
    for n in 0..100 {
        queue.append(message(&format!("t{n}"), "large", 1024 * 1024));
    }
    let taken = std::iter::from_fn(|| queue.take()).count();
    assert_eq!(taken, IN_FLIGHT_BYTES / (1024 * 1024));
}

#[test]
fn those_that_fail_do_not_take_the_room_of_the_others() {
    let mut queue = SendQueue::new(BOUNDS);
    for n in 0..500 {
        queue.append(message(&format!("stuck{n}"), "m", 1));
    }
    for (of, batch) in std::iter::from_fn(|| queue.take()).collect::<Vec<_>>() {
        queue.put_back(&of, batch);
        queue.settled(&of, true);
        queue.release(of);
    }
    queue.append(message("well", "m", 1));
    let taken: Vec<TenantId> = std::iter::from_fn(|| queue.take()).map(|(of, _)| of).collect();
    assert_eq!(taken.len(), RETRIES_AT_ONCE + 1);
    assert!(taken.contains(&tenant("well")));
}

#[test]
fn large_ones_that_fail_do_not_take_the_room_of_the_others_either() {
    let mut queue = SendQueue::new(Bounds { n_messages: 1_000, n_bytes: 1_000_000_000 });
    for n in 0..50 {
        queue.append(message(&format!("stuck{n}"), "large", 1024 * 1024));
    }
    for _ in 0..50 {
        for (of, batch) in std::iter::from_fn(|| queue.take()).collect::<Vec<_>>() {
            queue.put_back(&of, batch);
            queue.settled(&of, true);
            queue.release(of);
        }
    }
    queue.append(message("well", "m", 1));
    let taken: Vec<TenantId> = std::iter::from_fn(|| queue.take()).map(|(of, _)| of).collect();
    assert_eq!(taken.len(), IN_FLIGHT_BYTES / (1024 * 1024) + 1);
    assert!(taken.contains(&tenant("well")));
}

#[test]
fn the_tenant_that_fills_the_queue_loses_its_own_oldest() {
    let bounds = Bounds { n_messages: 4, n_bytes: 1_000 };
    let mut queue = queue(bounds, &[("quiet", "q1"), ("loud", "l1"), ("loud", "l2"), ("loud", "l3"), ("loud", "l4")]);
    queue.append(message("quiet", "q2", 1));
    let dropped: Vec<String> = std::iter::from_fn(|| queue.drop_over()).map(|outbound| outbound.channel).collect();
    assert_eq!(dropped, ["l1", "l2"]);
    assert!(queue.take_dropped().is_none(), "there is no room yet");
    let (of, batch) = queue.take().expect("a tenant");
    assert_eq!(names(&batch), ["q1", "q2"], "nothing of the quiet one is lost");
    sent(&mut queue, of, &batch);
    let told = queue.take_dropped().expect("there is room");
    assert_eq!((told.n_messages, told.tenants.len()), (2, 1));
    assert!(!queue.is_dropping() && queue.take_dropped().is_none());
}

#[test]
fn few_large_messages_are_dropped_before_many_small_ones() {
    let mut queue = SendQueue::new(Bounds { n_messages: 100, n_bytes: 10_000 });
    for n in 0..40 {
        queue.append(message("small", &format!("s{n}"), 10));
    }
    for n in 0..3 {
        queue.append(message("large", &format!("l{n}"), 4_000));
    }
    let dropped: Vec<String> = std::iter::from_fn(|| queue.drop_over()).map(|outbound| outbound.channel).collect();
    assert_eq!(dropped, ["l0"]);
}
