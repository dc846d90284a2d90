//! MariaDB away for a minute under load: refused is refused, and accepted arrives.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hookswitch_testkit::{ApiClient, MariaDbServer, Receiver, eventually};
use serde_json::json;

use super::{on_database, register, try_publish};
use crate::stage::{my_turn, service};

const PUBLISHERS: usize = 4;
const BEFORE: Duration = Duration::from_secs(5);
const AWAY: Duration = Duration::from_mins(1);
const AFTER: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_mins(2);

#[derive(Default)]
struct Load {
    is_away: AtomicBool,
    is_over: AtomicBool,
    n_refused: AtomicUsize,
    n_live: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_without_the_database_loses_nothing_that_was_accepted() {
    let _turn = my_turn().await;
    let mut server = MariaDbServer::start().await;
    let database = server.create_database().await;
    let receiver = Receiver::healthy().await;
    let node = on_database(&database).start().await;
    register(&service(&node), &receiver.url("/"), &["soak.durable"], json!({})).await;
    let load = Load::default();
    let publishing = futures_util::future::join_all((0..PUBLISHERS).map(|n| publish(n, service(&node), &load)));
    let outage = async {
        tokio::time::sleep(BEFORE).await;
        server.kill().await;
        load.is_away.store(true, Ordering::SeqCst);
        tokio::time::sleep(AWAY).await;
        let ready = node.api().get("/readyz").await;
        assert_ne!(ready.status, 200, "readiness tells the truth: {}", ready.text());
        // From here on an event may be accepted again.
        load.is_away.store(false, Ordering::SeqCst);
        server.restart().await;
        tokio::time::sleep(AFTER).await;
        load.is_over.store(true, Ordering::SeqCst);
    };
    let (accepted, ()) = tokio::join!(publishing, outage);
    let accepted: HashSet<String> = accepted.into_iter().flatten().collect();
    let (n_refused, n_live) = (load.n_refused.into_inner(), load.n_live.into_inner());
    println!("{} accepted, {n_refused} refused, {n_live} live ones accepted while it was away", accepted.len());
    assert!(n_refused > 0 && n_live > 0, "both kinds were tried while it was away");
    eventually("everything accepted arrives", DEADLINE, || async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        accepted.is_subset(&arrived(&receiver))
    })
    .await;
    eventually("the node is ready again", DEADLINE, || async { node.api().get("/readyz").await.status == 200 }).await;
}

/// Publishes all the time, also what needs no database; gives the ids of what was accepted.
async fn publish(publisher: usize, api: ApiClient, load: &Load) -> Vec<String> {
    let mut accepted = Vec::new();
    for n in 0.. {
        if load.is_over.load(Ordering::SeqCst) {
            break;
        }
        let id = format!("p{publisher}-{n}");
        let was_away = load.is_away.load(Ordering::SeqCst);
        match try_publish(&api, &[json!({"type": "soak.durable", "payload": {"id": id}})]).await {
            Some(202) => {
                // Still away when the answer came: it can't have been stored.
                assert!(!(was_away && load.is_away.load(Ordering::SeqCst)), "accepted what it cannot keep: {id}");
                accepted.push(id);
            }
            Some(503) => _ = load.n_refused.fetch_add(1, Ordering::Relaxed),
            other => panic!("neither accepted nor refused as it should be: {other:?}"),
        }
        if was_away {
            let live = try_publish(&api, &[json!({"type": "soak.live", "payload": {}})]).await;
            assert_eq!(live, Some(202), "what needs no database goes on");
            load.n_live.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    accepted
}

fn arrived(receiver: &Receiver) -> HashSet<String> {
    receiver.map(|request| request.json()["data"]["id"].as_str().expect("an id").to_owned()).into_iter().collect()
}
