//! Several nodes on one database.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_hub::{OfflineMessage, OfflineStore, UserKey};
use hookswitch_protocol::{EventId, NodeId, UserId, WebhookId};
use hookswitch_runtime::Clock;
use hookswitch_store::MySqlStore;
use hookswitch_testkit::MariaDbServer;
use hookswitch_webhooks::{
    AttemptRow, Attempted, DeliveryLedger as _, DisableRule, Disposition, Fingerprint, Finished, LEASE_BYTES,
    LeaseRequest, LeasedDelivery, NewDeliveries, Seen, Timings, WebhookDirectory as _,
};

use super::rig::{Rig, config, open};
use crate::rig::{duty, now, sweep, tenant, webhook, wish};

fn node(name: &str) -> NodeId {
    NodeId::parse(name).expect("legal")
}

fn attempted(leased: &LeasedDelivery) -> Attempted {
    let row = AttemptRow {
        webhook: leased.webhook.id,
        event_type: leased.event_type.clone(),
        body: leased.body.clone(),
        response_code: Some(200),
        response_body: None,
        error: None,
        duration_ms: 1,
        attempt: leased.attempt,
        delivery: None,
        timings: Timings::default(),
        at: now(),
    };
    Attempted {
        lease: leased.lease.clone(),
        row,
        disposition: Disposition::Delivered,
        judged: Some(leased.webhook.clone()),
    }
}

async fn lease(store: &MySqlStore, by: &str, webhooks: &[WebhookId], n: u32) -> Vec<LeasedDelivery> {
    let wishes = webhooks.iter().flat_map(|id| wish(*id, n).wishes).collect();
    let request = LeaseRequest { by: node(by), now: now(), hold: Duration::from_mins(1), n_bytes: LEASE_BYTES, wishes };
    store.lease(request).await.expect("lease")
}

/// Leases and settles until `enough` are settled by all together; the numbers settled here.
async fn work(store: &MySqlStore, by: &str, webhooks: &[WebhookId]) -> Vec<i64> {
    let mut settled = Vec::new();
    let mut n_empty = 0;
    while n_empty < 20 {
        let leased = lease(store, by, webhooks, 7).await;
        n_empty = if leased.is_empty() { n_empty + 1 } else { 0 };
        settled.extend(leased.iter().map(|one| one.lease.number));
        let answers =
            store.finish(leased.iter().map(attempted).collect(), DisableRule::default()).await.expect("finish");
        assert!(answers.finished.iter().all(|answer| *answer == Finished::Recorded), "{answers:?}");
        if leased.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    settled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_under_load_share_the_work_and_do_none_of_it_twice() {
    let rig = Rig::start().await;
    let other = rig.another().await;
    let mut webhooks = Vec::new();
    for n in 0..4 {
        webhooks.push(rig.store().create(&tenant(), webhook(&format!("w{n}"))).await.expect("create").id);
    }
    let publish = async |store: &MySqlStore, name: &str| {
        for n in 0..60 {
            let batch = (0..5).map(|m| duty(&format!("{name}-{n}-{m}"), &webhooks)).collect();
            store.enqueue(batch).await.expect("enqueue");
        }
    };
    let ((), (), one, two) = tokio::join!(
        publish(rig.store(), "a"),
        publish(&other.store, "b"),
        work(rig.store(), "node-1", &webhooks),
        work(&other.store, "node-2", &webhooks),
    );
    let different: HashSet<i64> = one.iter().chain(&two).copied().collect();
    assert_eq!((one.len() + two.len(), different.len()), (2_400, 2_400), "each delivery once");
    assert!(!one.is_empty() && !two.is_empty(), "both had something to do: {} and {}", one.len(), two.len());
    let delivered = rig.database.sql("SELECT COUNT(*) FROM webhook_deliveries WHERE state = 'delivered'").await;
    assert_eq!(
        (delivered.as_str(), rig.database.sql("SELECT COUNT(*) FROM webhook_logs").await.as_str()),
        ("2400", "2400")
    );
    other.close().await;
    rig.opened.close().await;
}

fn chosen(id: &str, content: u8, webhook: WebhookId) -> NewDeliveries {
    NewDeliveries { fingerprint: Some(Fingerprint([content; 32])), ..duty(id, &[webhook]) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_accept_one_chosen_id_at_once_store_it_once() {
    let rig = Rig::start().await;
    let other = rig.another().await;
    let id = rig.store().create(&tenant(), webhook("x")).await.expect("create").id;
    for n in 0..50_u8 {
        let name = format!("e-{n}");
        let same = rig.store().enqueue(vec![chosen(&name, 1, id)]);
        let content = 1 + n % 2;
        let (one, two) = tokio::join!(same, other.store.enqueue(vec![chosen(&name, content, id)]));
        let mut seen = [one.expect("enqueue")[0], two.expect("enqueue")[0]];
        seen.sort_by_key(|seen| *seen != Seen::New);
        let second = if content == 1 { Seen::Repeated } else { Seen::Conflict };
        assert_eq!(seen, [Seen::New, second], "{name}");
    }
    assert_eq!(rig.database.sql("SELECT COUNT(*) FROM webhook_deliveries").await, "50");
    other.close().await;
    rig.opened.close().await;
}

#[tokio::test]
async fn a_deadlock_is_met_by_trying_again() {
    let rig = Rig::start().await;
    let store = rig.store();
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    store.enqueue(vec![duty("a", &[id]), duty("b", &[id])]).await.expect("enqueue");
    let leased = lease(store, "node-1", &[id], 2).await;
    let (first, second) = (leased[0].lease.number, leased[1].lease.number);
    // Has changed more than the store by then, so that the server ends the store's transaction.
    let crosswise = format!(
        "CREATE TABLE ballast (n INT) SELECT seq AS n FROM seq_1_to_1000;
         BEGIN; UPDATE ballast SET n = n + 1;
         SELECT id FROM webhook_deliveries WHERE id = {second} FOR UPDATE; SELECT SLEEP(1.5);
         SELECT id FROM webhook_deliveries WHERE id = {first} FOR UPDATE; COMMIT"
    );
    let settle = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        store.finish(leased.iter().map(attempted).collect(), DisableRule::default()).await
    };
    let (_, answers) = tokio::join!(rig.database.sql(&crosswise), settle);
    assert_eq!(answers.expect("finish").finished, [Finished::Recorded; 2]);
    assert!(store.metrics().failures.get() >= 1, "the server did end it once");
    assert_eq!(rig.database.sql("SELECT COUNT(*) FROM webhook_logs").await, "2", "logged once each");
    rig.opened.close().await;
}

#[tokio::test]
async fn a_starting_node_takes_back_its_own_leases_only() {
    let rig = Rig::start().await;
    let store = rig.store();
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    store.enqueue((0..5).map(|n| duty(&format!("e-{n}"), &[id])).collect()).await.expect("enqueue");
    assert_eq!(lease(store, "node-1", &[id], 2).await.len(), 2);
    assert_eq!(lease(store, "node-2", &[id], 3).await.len(), 3);
    assert_eq!(store.reclaim(&node("node-1")).await.expect("reclaim"), 2);
    assert_eq!(store.reclaim(&node("node-1")).await.expect("reclaim"), 0);
    assert_eq!(store.sweep(sweep(now().after(Duration::from_mins(2)))).await.expect("sweep").n_leases, 3);
    rig.opened.close().await;
}

#[tokio::test]
async fn one_node_at_a_time_brings_a_user_his_messages() {
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    let clock = Clock::manual(now());
    let one = open(config(&database), clock.clone()).await.expect("opens");
    let two = open(config(&database), clock.clone()).await.expect("opens");
    let agent = UserKey { tenant: tenant(), user: UserId::from(7) };
    let message = |id: &str| OfflineMessage {
        user: agent.clone(),
        event_id: EventId::parse(id).expect("legal"),
        envelope: Bytes::from(id.to_owned()),
        at: clock.now(),
    };
    one.store.put(vec![message("a"), message("b")]).await.expect("put");
    two.store.put(vec![message("b"), message("c")]).await.expect("put");
    let first = one.store.claim(&agent, 2).await.expect("claim");
    assert_eq!(first.messages.len(), 2);
    let refused = two.store.claim(&agent, 9).await.expect("claim");
    assert!(refused.messages.is_empty() && refused.held_elsewhere.is_some(), "{refused:?}");
    one.store.confirm(&agent, &[first.messages[0].number]).await.expect("confirm");
    clock.advance(Duration::from_mins(1));
    let rest = two.store.claim(&agent, 9).await.expect("the other one says nothing any more");
    let envelopes: Vec<&[u8]> = rest.messages.iter().map(|message| &message.envelope[..]).collect();
    assert_eq!(envelopes, [b"b", b"c"]);
    one.store.confirm(&agent, &[first.messages[1].number]).await.expect("too late, and nothing happens");
    let unsent: Vec<_> = rest.messages.iter().map(|message| message.number).collect();
    OfflineStore::give_back(&two.store, &agent, &unsent).await.expect("give back");
    let again = one.store.claim(&agent, 9).await.expect("whoever comes next");
    assert_eq!(again.messages.len(), 2);
    let numbers: Vec<_> = again.messages.iter().map(|message| message.number).collect();
    one.store.confirm(&agent, &numbers).await.expect("confirm");
    assert_eq!(database.sql("SELECT COUNT(*) FROM offline_users").await, "0", "nothing is kept for nobody");
    one.close().await;
    two.close().await;
}
