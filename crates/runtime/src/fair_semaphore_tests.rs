//! Who gets what, and when.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::*;

const SHARING: Sharing = Sharing { alpha: 1, waiting: 10 };

/// Takes as much as there is to have, one by one.
fn greedy(semaphore: &FairSemaphore<&'static str>, key: &'static str) -> Vec<FairPermit<&'static str>> {
    std::iter::from_fn(|| semaphore.try_acquire(&key, 1)).collect()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn something_is_left_for_whoever_has_nothing() {
    for (alpha, first) in [(1, 50), (3, 75), (9, 90)] {
        let semaphore = FairSemaphore::new(100, Sharing { alpha, waiting: 10 });
        let held = greedy(&semaphore, "first");
        assert_eq!(held.len(), first, "alpha {alpha}");
        let second = greedy(&semaphore, "second");
        assert!(!second.is_empty() && semaphore.used() < 100, "alpha {alpha}");
        assert!(semaphore.try_acquire(&"third", 1).is_some(), "alpha {alpha}");
    }
}

#[test]
fn waiting_keys_take_turns_whoever_came_first() {
    let semaphore = FairSemaphore::new(1, SHARING);
    let held = semaphore.try_acquire(&"a", 1).expect("all is free");
    let mut waiting: Vec<_> = ["a", "a", "a", "b"].map(|key| (key, Box::pin(acquire(&semaphore, key, 1)))).into();
    assert!(waiting.iter_mut().all(|(_, future)| poll(future.as_mut()).is_pending()));
    assert_eq!(semaphore.n_waiting(), 4);
    let mut order = Vec::new();
    let mut permit = Some(held);
    while permit.take().is_some() {
        let next = waiting.iter_mut().position(|(_, future)| match poll(future.as_mut()) {
            Poll::Ready(granted) => {
                permit = granted.ok();
                true
            }
            Poll::Pending => false,
        });
        order.extend(next.map(|at| waiting.remove(at).0));
    }
    assert_eq!(order, ["a", "b", "a", "a"]);
    assert!(semaphore.0.lock().keys.is_empty(), "nobody is remembered");
}

async fn acquire(
    semaphore: &FairSemaphore<&'static str>,
    key: &'static str,
    weight: u64,
) -> Result<FairPermit<&'static str>, QueueFull> {
    semaphore.acquire(&key, weight).await
}

#[test]
fn small_ones_do_not_overtake_a_large_one_for_ever() {
    let semaphore = FairSemaphore::new(4, SHARING);
    let small = semaphore.try_acquire(&"small", 1).expect("all is free");
    let mut large = pin!(acquire(&semaphore, "large", 9));
    assert!(poll(large.as_mut()).is_pending(), "all of it is not free");
    assert!(semaphore.try_acquire(&"other", 1).is_none(), "not before the one that waits with nothing");
    drop(small);
    let Poll::Ready(Ok(permit)) = poll(large.as_mut()) else { panic!("its turn") };
    assert_eq!(semaphore.used(), 4, "more than everything is everything");
    drop(permit);
    assert!(semaphore.try_acquire(&"other", 1).is_some());
}

#[test]
fn whoever_stops_waiting_is_in_nobodys_way() {
    let semaphore = FairSemaphore::new(1, SHARING);
    let held = semaphore.try_acquire(&"a", 1).expect("all is free");
    let mut gone = Box::pin(acquire(&semaphore, "b", 1));
    assert!(poll(gone.as_mut()).is_pending());
    let mut stays = pin!(acquire(&semaphore, "c", 1));
    assert!(poll(stays.as_mut()).is_pending());
    drop(gone);
    drop(held);
    assert!(poll(stays.as_mut()).is_ready());
}

#[test]
fn what_was_granted_to_somebody_who_left_goes_on_to_the_next() {
    let semaphore = FairSemaphore::new(1, SHARING);
    let held = semaphore.try_acquire(&"a", 1).expect("all is free");
    let mut granted = Box::pin(acquire(&semaphore, "b", 1));
    assert!(poll(granted.as_mut()).is_pending());
    let mut next = pin!(acquire(&semaphore, "c", 1));
    assert!(poll(next.as_mut()).is_pending());
    drop(held);
    drop(granted);
    assert!(poll(next.as_mut()).is_ready());
}

#[test]
fn a_key_waits_with_so_much_and_no_more() {
    let semaphore = FairSemaphore::new(1, SHARING);
    let _held = semaphore.try_acquire(&"a", 1).expect("all is free");
    let mut waiting: Vec<_> = (0..10).map(|_| Box::pin(acquire(&semaphore, "b", 1))).collect();
    assert!(waiting.iter_mut().all(|future| poll(future.as_mut()).is_pending()));
    assert!(matches!(poll(pin!(acquire(&semaphore, "b", 1))), Poll::Ready(Err(QueueFull))));
    assert!(poll(pin!(acquire(&semaphore, "c", 1))).is_pending(), "others have queues of their own");
    waiting.pop();
    assert!(poll(pin!(acquire(&semaphore, "b", 1))).is_pending(), "one that left makes room");
}
