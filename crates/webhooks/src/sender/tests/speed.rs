//! How fast the sender is by itself. Run with
//! `cargo test --release -p hookswitch-webhooks --lib speed -- --ignored --nocapture`.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{DeliveryId, EventType};
use hookswitch_testkit::{HostileReceiver, Step};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::headers::Extras;
use super::super::{AttemptRequest, build};
use super::{NOW, attempt, sender, webhook_to};

const RUN: Duration = Duration::from_secs(3);
/// As many deliveries at once as many webhooks of one host may have.
const N_WORKERS: usize = 200;

#[test]
#[ignore = "a measurement"]
fn building_and_signing() {
    let webhook = webhook_to("https://hooks.crm.example/services/hookswitch?tenant=1");
    let delivery = DeliveryId::generate(NOW);
    let began = Instant::now();
    let mut n = 0_u32;
    while began.elapsed() < RUN {
        let request = AttemptRequest {
            webhook: &webhook,
            delivery: &delivery,
            event_type: &EventType::CALL_INCOMING,
            attempt: 1,
            body: Bytes::from_static(&[b'x'; 400]),
            now: NOW,
        };
        std::hint::black_box(build(&request, &Extras::of(&webhook)).expect("legal"));
        n += 1;
    }
    println!("building and signing: {:?} per attempt", began.elapsed() / n);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn whole_attempts() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let receiver = HostileReceiver::start([Step::Read, Step::send(answer)]).await;
    let (sender, url) = (sender(), receiver.url("/"));
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..N_WORKERS {
        let (sender, url) = (sender.clone(), url.clone());
        workers.spawn(async move {
            let mut n = 0_u32;
            while began.elapsed() < RUN {
                assert!(attempt(&sender, &url).await.is_success());
                n += 1;
            }
            n
        });
    }
    let n: u32 = workers.join_all().await.into_iter().sum();
    let per_second = f64::from(n) / began.elapsed().as_secs_f64();
    println!("{per_second:.0} attempts/s over {} connections, receiver included", receiver.n_connections());
}
