//! A quarter of the receivers never answers: the others do not notice.
//!
//! Both runs take place in turn on the same node, so that the machine's noise concerns both alike.

use std::time::Duration;

use hookswitch_testkit::{ApiClient, Behaviour, Receiver, eventually};
use serde_json::json;
use tokio::time::Instant;

use super::{register, try_publish};
use crate::stage::{my_turn, service, spec};

const WEBHOOKS: usize = 20;
const SILENT: usize = 5;
const ROUNDS: usize = 3;
const EVENTS: usize = 300;
const PACE: Duration = Duration::from_millis(10);
const DEADLINE: Duration = Duration::from_mins(1);
/// Both runs may be this fast without the ratio meaning anything.
const FINEST: Duration = Duration::from_millis(5);

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_never_answer_do_not_delay_the_others() {
    let _turn = my_turn().await;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let (all_well, some_silent) = (p99(0).await, p99(SILENT).await);
        println!("p99 first attempt: {all_well:?} with all healthy, {some_silent:?} with {SILENT} silent");
        ratios.push(some_silent.max(FINEST).as_secs_f64() / all_well.max(FINEST).as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    assert!(ratios[ROUNDS / 2] <= 1.5, "the median of {ratios:?} is more than 1.5");
}

/// The 99th percentile of the delay from publishing to arrival at the healthy receivers.
async fn p99(n_silent: usize) -> Duration {
    let node = spec().start().await;
    let api = service(&node);
    let (healthy, silent) = (Receiver::healthy().await, Receiver::start([Behaviour::Hang]).await);
    for n in 0..WEBHOOKS {
        let receiver = if n < n_silent { &silent } else { &healthy };
        register(&api, &receiver.url(&format!("/{n}")), &["soak.paced"], json!({"timeout": 5})).await;
    }
    let sent = publish(&api).await;
    let n_wanted = EVENTS * (WEBHOOKS - n_silent);
    eventually("all healthy ones have heard", DEADLINE, || async { healthy.count() >= n_wanted }).await;
    let mut delays = healthy.map(|request| {
        let n = request.json()["data"]["n"].as_u64().expect("the number") as usize;
        request.at.saturating_duration_since(sent[n])
    });
    delays.sort_unstable();
    delays[delays.len() * 99 / 100]
}

/// One event after the other at an even pace; when each was sent.
async fn publish(api: &ApiClient) -> Vec<Instant> {
    let mut ticks = tokio::time::interval(PACE);
    let mut sent = Vec::with_capacity(EVENTS);
    for n in 0..EVENTS {
        ticks.tick().await;
        sent.push(Instant::now());
        let event = json!({"type": "soak.paced", "payload": {"n": n}});
        assert_eq!(try_publish(api, &[event]).await, Some(202));
    }
    sent
}
