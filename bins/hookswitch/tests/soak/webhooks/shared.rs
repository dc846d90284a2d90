//! Three nodes on one MariaDB, killed at random: nothing is lost, and what is sent twice was under way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookswitch_testkit::{ApiClient, Behaviour, MariaDb, MariaDbServer, NodeProcess, Receiver, eventually};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{on_database, register, try_publish};
use crate::stage::{my_turn, service};

const EVENTS: usize = 20_000;
const WEBHOOKS: usize = 20;
const NODES: usize = 3;
const KILLS: usize = 20;
const PUBLISHERS: usize = 6;
const BATCH: usize = 20;
/// For the stretch between two kills, and for the deliveries after the last.
const DEADLINE: Duration = Duration::from_mins(5);

type Addresses = watch::Sender<Vec<ApiClient>>;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_among_three_nodes_lose_nothing() {
    let _turn = my_turn().await;
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    // Slow enough that there are always deliveries under way when a node dies.
    let receiver = Receiver::start([Behaviour::After(Duration::from_millis(5))]).await;
    let mut nodes = vec![on_database(&database).start().await];
    for n in 0..WEBHOOKS {
        let event = format!("soak.{n}");
        register(&service(&nodes[0]), &receiver.url(&format!("/{n}")), &[&event], json!({"retry_count": 10})).await;
    }
    // Later ones know the webhooks from the start; one that runs already hears of them within a second.
    while nodes.len() < NODES {
        nodes.push(on_database(&database).start().await);
    }
    let addresses = watch::Sender::new(nodes.iter().map(service).collect());
    let accepted = AtomicUsize::new(0);
    let publishing = (0..PUBLISHERS).map(|first| publish(first, addresses.subscribe(), &accepted));
    let publishing = futures_util::future::join_all(publishing);
    let (_, n_under_way) = tokio::join!(publishing, kill_repeatedly(&mut nodes, &database, &addresses, &accepted));

    eventually("every delivery has ended", DEADLINE, || async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        database.sql("SELECT COUNT(*) FROM webhook_deliveries WHERE state <> 'delivered'").await.trim() == "0"
    })
    .await;
    let arrived = arrivals(&receiver);
    assert_eq!(arrived.len(), EVENTS, "each event arrived at its webhook");
    let n_extra = arrived.values().sum::<usize>() - EVENTS;
    println!("{n_extra} sent twice, {n_under_way} were under way at the {KILLS} kills");
    assert!(n_extra <= n_under_way, "{n_extra} sent twice, {n_under_way} were under way at kills");
    let logged = database.sql("SELECT COUNT(DISTINCT delivery_id) FROM webhook_logs").await;
    assert_eq!(logged.trim(), EVENTS.to_string(), "each delivery has its rows");
}

/// Publishes its share in batches until each is accepted; the ids make a repeated request harmless.
async fn publish(first: usize, addresses: watch::Receiver<Vec<ApiClient>>, accepted: &AtomicUsize) {
    for batch in (first * BATCH..EVENTS).step_by(PUBLISHERS * BATCH) {
        let events: Vec<Value> = (batch..(batch + BATCH).min(EVENTS)).map(event).collect();
        let mut node = batch;
        loop {
            let api = addresses.borrow().get(node % NODES).cloned().expect("a node");
            match try_publish(&api, &events).await {
                Some(202) => break,
                Some(status) => assert_eq!(status, 503, "a refusal says when to try again"),
                None => {}
            }
            node += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        accepted.fetch_add(events.len(), Ordering::Relaxed);
    }
}

fn event(n: usize) -> Value {
    json!({"type": format!("soak.{}", n % WEBHOOKS), "id": format!("soak-{n}"), "payload": {"n": n}})
}

/// Kills one node after the other while events are published; gives how many deliveries were under
/// way at the kills.
async fn kill_repeatedly(
    nodes: &mut Vec<NodeProcess>,
    database: &MariaDb,
    addresses: &Addresses,
    accepted: &AtomicUsize,
) -> usize {
    let mut n_under_way = 0;
    for kill in 1..=KILLS {
        let due = EVENTS * kill / (KILLS + 1);
        eventually("publishing goes on", DEADLINE, || async { accepted.load(Ordering::Relaxed) >= due }).await;
        // The parity of scheduling noise is random enough, this spreads it over the node's batches.
        tokio::time::sleep(Duration::from_millis((kill as u64 * 7919) % 197)).await;
        let mut node = nodes.remove((kill * 7) % NODES);
        node.suspend();
        n_under_way += leased_by(&node, database).await;
        node.kill9().await;
        nodes.push(node.restart().await);
        addresses.send_replace(nodes.iter().map(service).collect());
    }
    n_under_way
}

/// Deliveries that this node holds a lease on: sent, about to be sent, or waiting to be settled.
async fn leased_by(node: &NodeProcess, database: &MariaDb) -> usize {
    let log = node.logged(" node=").await;
    let name = log.rsplit_once(" node=").and_then(|(_, rest)| rest.split_whitespace().next()).expect("its name");
    let count = "SELECT COUNT(*) FROM webhook_deliveries WHERE state = 'leased' AND lease_owner =";
    database.sql(&format!("{count} '{name}'")).await.trim().parse().expect("a count")
}

/// How often each event arrived at its webhook.
fn arrivals(receiver: &Receiver) -> HashMap<u64, usize> {
    let mut arrived = HashMap::new();
    for (path, n) in receiver.map(|r| (r.path.clone(), r.json()["data"]["n"].as_u64().expect("the number"))) {
        assert_eq!(path, format!("/{}", n as usize % WEBHOOKS), "at its own webhook");
        *arrived.entry(n).or_default() += 1;
    }
    arrived
}
