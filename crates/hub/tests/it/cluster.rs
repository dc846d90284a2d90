//! Two hubs on one bus.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookswitch_hub::memory::MemoryBroker;
use hookswitch_hub::{BoxFuture, Broker, BrokerError, Publication, Seams, UserKey};
use hookswitch_protocol::{TenantId, Timestamp};
use hookswitch_runtime::Clock;
use hookswitch_testkit::{PATIENCE, eventually};
use tokio::time::Instant;

use crate::rig::{Rig, config, event, in_session, tenant, to_user};

async fn pair() -> (Rig, Rig) {
    let bus = MemoryBroker::alone();
    (Rig::on_bus(&bus).await, Rig::on_bus(&bus).await)
}

#[tokio::test]
async fn what_one_node_publishes_arrives_once_at_both_in_order() {
    let (here, there) = pair().await;
    let mut near = here.user("t", 7).await;
    let mut far = there.user("t", 8).await;
    let all: Vec<String> = (0..200).map(|n| format!("e{n}")).collect();
    for ids in all.chunks(3) {
        here.publish(ids.iter().map(|id| event("t", "alert", id))).await;
    }
    assert_eq!(here.ids("t", &mut near).await, all);
    far.until_some("all arrive", |far| {
        let got: Vec<String> = far.ids().into_iter().filter(|id| id.starts_with('e')).collect();
        (got == all).then_some(())
    })
    .await;
}

#[tokio::test]
async fn targets_sessions_and_senders_hold_across_nodes() {
    let (here, there) = pair().await;
    let mut agent = there.user("t", 7).await;
    let mut colleague = there.user("t", 8).await;
    let mut visitor = there.visitor("t", "s1").await;
    let mut sender = here.visitor("t", "s1").await;
    here.publish([to_user(event("t", "alert", "mine"), 7)]).await;
    let typing = std::sync::Arc::new(in_session(event("t", "chat.typing", "typing"), "s1"));
    here.hub.relay(typing, Some(sender.id)).await.expect("there is room");
    here.publish([in_session(event("t", "chat.session.ended", "ended"), "s1")]).await;
    assert_eq!(agent.until("ended").await, ["mine", "typing", "ended"]);
    assert_eq!(colleague.until("ended").await, ["typing", "ended"]);
    assert_eq!(visitor.until("close 4410").await, ["typing", "ended", "close 4410"]);
    assert_eq!(sender.until("close 4410").await, ["ended", "close 4410"]);
}

#[tokio::test]
async fn a_tenant_is_watched_while_it_has_a_connection_and_not_before_or_after() {
    let (here, there) = pair().await;
    here.publish([event("t", "alert", "before")]).await;
    assert_eq!(there.hub.metrics().events.get(), 0);
    let mut first = there.user("t", 7).await;
    let second = there.user("t", 8).await;
    // Two users came, which is told to nobody who asked for it, but told.
    let n_came = 2;
    there.until("that is told", |hub| hub.metrics().events.get() == n_came).await;
    here.publish([event("t", "alert", "first"), event("u", "alert", "unwatched")]).await;
    assert_eq!(there.hub.metrics().events.get(), n_came + 1, "the other tenant's is not received");
    assert_eq!(first.until("first").await, ["first"]);
    first.leave().await;
    there.until("one is gone", |hub| hub.n_tenant_connections(&tenant("t")) == 1).await;
    there.until("and that is told", |hub| hub.metrics().events.get() == n_came + 2).await;
    here.publish([event("t", "alert", "second")]).await;
    assert_eq!(there.hub.metrics().events.get(), n_came + 3, "still watched for the other connection");
    second.leave().await;
    eventually("it is not watched any more", PATIENCE, async || {
        let n_before = there.hub.metrics().events.get();
        here.publish([event("t", "alert", "after")]).await;
        there.hub.metrics().events.get() == n_before
    })
    .await;
    let mut third = there.user("t", 9).await;
    here.publish([event("t", "alert", "third")]).await;
    assert_eq!(third.until("third").await, ["third"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_several_publish_at_once_arrives_at_all_nodes_in_one_order() {
    let (here, there) = pair().await;
    let mut near = here.user("t", 7).await;
    let mut far = there.user("t", 8).await;
    let publisher = |by: usize| {
        let hub = here.hub.clone();
        async move {
            for n in 0..200 {
                let event = std::sync::Arc::new(event("t", "alert", &format!("p{by}-{n}")));
                let room = hub.reserve(&tenant("t"), 1).await.expect("there is room");
                hub.publish(room, &[hookswitch_hub::Publication::new(event)]).await;
            }
        }
    };
    let mut publishers = tokio::task::JoinSet::new();
    (0..4).for_each(|by| _ = publishers.spawn(publisher(by)));
    publishers.join_all().await;
    here.publish([event("t", "alert", "end")]).await;
    assert_eq!(near.until("end").await, far.until("end").await);
}

/// A broker that takes its time to let a tenant go.
struct SlowBroker {
    memory: MemoryBroker,
    n_unwatched: Arc<AtomicUsize>,
}

/// How long.
const TAKES: Duration = Duration::from_millis(300);

impl Broker for SlowBroker {
    fn watch<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.memory.watch(tenant)
    }

    fn unwatch<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            tokio::time::sleep(TAKES).await;
            self.n_unwatched.fetch_add(1, Ordering::SeqCst);
            self.memory.unwatch(tenant).await
        })
    }

    fn publish<'a>(&'a self, publications: &'a [Publication]) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.memory.publish(publications)
    }

    fn backlog_kept<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.memory.backlog_kept(user)
    }
}

#[tokio::test]
async fn tenants_that_left_do_not_wait_for_each_other_to_be_let_go() {
    const TENANTS: usize = 60;
    let (clock, n_unwatched) = (Clock::manual(Timestamp::from_millis(0)), Arc::<AtomicUsize>::default());
    let broker = SlowBroker { memory: MemoryBroker::alone(), n_unwatched: Arc::clone(&n_unwatched) };
    let seams = Seams { broker: Arc::new(broker), ..Seams::memory(&clock) };
    let rig = Rig::assemble(config(), clock, |_| seams).await;
    let mut clients = Vec::new();
    for n in 0..TENANTS {
        clients.push(rig.user(&format!("t{n}"), 1).await);
    }
    let begun = Instant::now();
    for client in clients {
        client.leave().await;
    }
    let are_let_go = async || n_unwatched.load(Ordering::SeqCst) == TENANTS;
    eventually("all are let go", PATIENCE * 2, are_let_go).await;
    let took = begun.elapsed();
    assert!(took < TAKES * TENANTS as u32 / 3, "not one after the other: {took:?}");
}
