//! `kill -9` at random moments: what was answered with 202 arrives all the same.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookswitch_testkit::{ApiClient, Behaviour, NodeProcess, Receiver, eventually};
use serde_json::json;
use tokio::sync::watch;

use crate::stage::{my_turn, service, spec};

const EVENTS: usize = 5_000;
const KILLS: usize = 20;
const PUBLISHERS: usize = 4;
/// For the stretch between two kills, and for the deliveries after the last.
const DEADLINE: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn twenty_crashes_lose_nothing_that_was_accepted() {
    let _turn = my_turn().await;
    // Slow enough that there are always deliveries under way when the node dies.
    let receiver = Receiver::start([Behaviour::After(Duration::from_millis(10))]).await;
    let node = spec().start().await;
    let webhook = json!({"name": "soak", "url": receiver.url("/"), "events": ["alert"], "retry_count": 10});
    assert_eq!(service(&node).post("/api/v1/webhooks", webhook).await.status, 201);

    let (address, accepted) = (watch::Sender::new(service(&node)), AtomicUsize::new(0));
    let publishing = futures_util::future::join_all((0..PUBLISHERS).map(|first| {
        let numbers = (first..EVENTS).step_by(PUBLISHERS);
        publish(numbers, address.subscribe(), &accepted)
    }));
    let (_, mut node) = tokio::join!(publishing, kill_repeatedly(node, &address, &accepted));

    eventually("every accepted event has arrived", DEADLINE, || async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        arrived(&receiver).len() == EVENTS
    })
    .await;
    node.terminate();
    assert_eq!(node.wait(Duration::from_secs(10)).await.code(), Some(0));
    let states = delivery_states(&node.spec().dir().join("hookswitch.db"));
    let known = ["due", "delivered", "failed", "cancelled"];
    assert!(states.iter().all(|(state, _)| known.contains(&state.as_str())), "neither done nor due: {states:?}");
    assert_eq!(states, [("delivered".to_owned(), EVENTS)], "one delivery each, all done");
}

/// Publishes each number until it is accepted; the id makes a repeated request harmless.
async fn publish(
    numbers: impl Iterator<Item = usize>,
    mut address: watch::Receiver<ApiClient>,
    accepted: &AtomicUsize,
) {
    for n in numbers {
        let body = json!({"type": "alert", "id": format!("soak-{n}"), "payload": {"n": n}}).to_string();
        loop {
            let api = address.borrow_and_update().clone();
            let request = api.try_send("POST".parse().expect("a method"), "/api/v1/events", body.clone().into(), &[]);
            match request.await {
                Ok(answer) if answer.status == 202 => break,
                Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                Err(_) => {
                    let _nobody_waits_for_ever =
                        tokio::time::timeout(Duration::from_millis(200), address.changed()).await;
                }
            }
        }
        accepted.fetch_add(1, Ordering::Relaxed);
    }
}

async fn kill_repeatedly(
    mut node: NodeProcess,
    address: &watch::Sender<ApiClient>,
    accepted: &AtomicUsize,
) -> NodeProcess {
    for kill in 1..=KILLS {
        let due = EVENTS * kill / (KILLS + 1);
        eventually("publishing goes on", DEADLINE, || async { accepted.load(Ordering::Relaxed) >= due }).await;
        // The parity of scheduling noise is random enough, this spreads it over the node's batches.
        tokio::time::sleep(Duration::from_millis((kill as u64 * 7919) % 97)).await;
        node.kill9().await;
        node = node.restart().await;
        address.send_replace(service(&node));
    }
    node
}

fn arrived(receiver: &Receiver) -> HashSet<u64> {
    receiver.map(|request| request.json()["data"]["n"].as_u64().expect("the number published")).into_iter().collect()
}

/// How many deliveries there are in each state.
fn delivery_states(database: &Path) -> Vec<(String, usize)> {
    let query = "SELECT state || ' ' || COUNT(*) FROM webhook_deliveries GROUP BY state ORDER BY state";
    let output = Command::new("sqlite3").arg(database).arg(query).output();
    let output = output.expect("the program sqlite3 is missing: install it (Debian: apt-get install sqlite3)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(state, n)| (state.to_owned(), n.parse().expect("a count"))).collect()
}
