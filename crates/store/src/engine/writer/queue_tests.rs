//! Whose calls share the next transaction.

use tokio::sync::oneshot;

use super::*;

fn caller(name: &str) -> Caller {
    Caller::Tenant(TenantId::parse(name).expect("legal"))
}

fn job() -> Job {
    Job::one(|_| Ok(()), |()| (), oneshot::channel().0)
}

fn rows(n_rows: usize) -> Weight {
    Weight::of_rows(n_rows)
}

/// A queue in which these wait, in this order.
async fn queue(waiting: &[(&str, usize)]) -> JobQueue {
    let queue = JobQueue::new(10_000);
    for (name, n_rows) in waiting {
        queue.push(caller(name), rows(*n_rows), job(), Duration::ZERO).await.expect("there is room");
    }
    queue
}

/// The rows of each job of the next groups.
async fn groups(queue: &JobQueue, n: usize) -> Vec<Vec<usize>> {
    let mut groups = Vec::new();
    for _ in 0..n {
        let group = queue.next_group().await.expect("something waits");
        groups.push(group.iter().map(|queued| queued.weight.n_rows).collect());
    }
    groups
}

#[tokio::test(start_paused = true)]
async fn a_single_tenant_shares_transactions_up_to_their_weight() {
    let queue = queue(&[("a", 1_500), ("a", 1_500), ("a", 1_500), ("a", 9_000), ("a", 1)]).await;
    assert_eq!(groups(&queue, 4).await, [vec![1_500, 1_500], vec![1_500], vec![9_000], vec![1]]);
}

#[tokio::test(start_paused = true)]
async fn tenants_take_turns_and_heavy_work_is_nobody_elses() {
    let queue = queue(&[("big", 1_000), ("big", 1_001), ("big", 1_002), ("a", 3), ("b", 4), ("a", 5)]).await;
    assert_eq!(
        groups(&queue, 4).await,
        [vec![1_000], vec![3, 4, 5], vec![1_001], vec![1_002]],
        "light ones wait for one heavy transaction, never in one"
    );
    // A tenant that comes back is not met by a transaction that the other filled meanwhile.
    for _ in 0..4 {
        queue.push(caller("big"), rows(200), job(), Duration::ZERO).await.expect("room");
    }
    assert_eq!(groups(&queue, 4).await, [[200], [200], [200], [200]]);
    tokio::time::advance(SHARED_FOR).await;
    for _ in 0..4 {
        queue.push(caller("big"), rows(200), job(), Duration::ZERO).await.expect("room");
    }
    assert_eq!(groups(&queue, 1).await, [[200; 4]], "alone again, it shares its own");
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_tenants_still_shares_a_commit() {
    let names: Vec<String> = (0..100).map(|n| format!("t{n}")).collect();
    let waiting: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 20)).collect();
    let queue = queue(&waiting).await;
    assert_eq!(groups(&queue, 1).await, [[20; 100]]);
}

#[tokio::test(start_paused = true)]
async fn room_is_shared_and_a_full_queue_is_told_in_time() {
    let queue = JobQueue::new(4);
    let push = async |name: &str| queue.push(caller(name), rows(1), job(), Duration::from_millis(10)).await;
    push("a").await.expect("room");
    push("a").await.expect("room");
    assert!(matches!(push("a").await, Err(Failure::Overloaded)), "half of it is the most for one");
    push("b").await.expect("there is room for whoever has nothing waiting");
    queue.next_group().await.expect("jobs");
    push("a").await.expect("room again");
}

#[tokio::test(start_paused = true)]
async fn a_closed_queue_is_emptied_and_takes_nothing() {
    let queue = queue(&[("a", 1)]).await;
    queue.close();
    let refused = queue.push(caller("a"), rows(1), job(), Duration::ZERO).await;
    assert!(matches!(refused, Err(Failure::Stopped)));
    assert!(queue.next_group().await.is_some() && queue.next_group().await.is_none());
}
