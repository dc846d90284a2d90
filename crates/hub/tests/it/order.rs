//! Order within a tenant, separation between tenants, under concurrent publishers.

use std::sync::Arc;

use hookswitch_hub::HubConfig;

use crate::rig::{Client, Rig, config, event};

const N_EVENTS: usize = 300;
const N_CONTENDED: usize = 1_500;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_tenants_events_arrive_in_its_publishers_order_and_nowhere_else() {
    let rig = Arc::new(Rig::new().await);
    let mut clients: Vec<(usize, Client)> = Vec::new();
    for at in 0..24 {
        clients.push((at % 8, rig.user(&format!("t{}", at % 8), at as i64).await));
    }
    let publishers: Vec<_> = (0..8)
        .map(|of| {
            let rig = Arc::clone(&rig);
            let scope = rig.scope.clone();
            scope.spawn("publisher", async move {
                for n in 0..N_EVENTS {
                    rig.publish([event(&format!("t{of}"), "call.incoming", &format!("t{of}-{n}"))]).await;
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.expect("no panic");
    }
    for (of, client) in &mut clients {
        let wanted: Vec<String> = (0..N_EVENTS).map(|n| format!("t{of}-{n}")).collect();
        assert_eq!(client.until(&format!("t{of}-{}", N_EVENTS - 1)).await, wanted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_publishers_of_one_tenant_appear_in_one_order_to_everybody() {
    // Many shards, so that handing a batch to all of them takes long enough to be interrupted.
    let rig = Arc::new(Rig::with(HubConfig { shards: 8, ..config() }).await);
    let mut clients = Vec::new();
    for at in 0..8 {
        clients.push(rig.user("t", at).await);
    }
    let publishers: Vec<_> = (0..4)
        .map(|by| {
            let rig = Arc::clone(&rig);
            let scope = rig.scope.clone();
            scope.spawn("publisher", async move {
                for n in 0..N_CONTENDED {
                    rig.publish([event("t", "alert", &format!("p{by}-{n}"))]).await;
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.expect("no panic");
    }
    rig.publish([event("t", "alert", "end")]).await;
    let first = clients[0].until("end").await;
    assert_eq!(first.len(), 4 * N_CONTENDED + 1);
    for client in &mut clients[1..] {
        assert!(client.until("end").await == first, "connections saw different orders");
    }
    for by in 0..4 {
        let own: Vec<_> = first.iter().filter(|id| id.starts_with(&format!("p{by}-"))).cloned().collect();
        let wanted: Vec<String> = (0..N_CONTENDED).map(|n| format!("p{by}-{n}")).collect();
        assert_eq!(own, wanted, "each publisher's own order");
    }
}

#[tokio::test]
async fn large_and_small_frames_keep_their_order() {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    let mut wanted = Vec::new();
    let mut events = Vec::new();
    for n in 0..200 {
        let id = format!("e{n}");
        let mut event = event("t", "alert", &id);
        if n % 7 == 3 {
            let text = "x".repeat(20_000);
            event.payload = hookswitch_protocol::Payload::parse(&format!("{{\"text\":\"{text}\"}}")).expect("legal");
        }
        events.push(event);
        wanted.push(id);
    }
    rig.publish(events).await;
    assert_eq!(rig.ids("t", &mut client).await, wanted);
}
