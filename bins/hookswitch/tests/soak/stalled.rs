//! Clients that stop reading cost a bounded amount of memory, however much is published.

use hookswitch_testkit::{RawSocket, WsRequest};
use serde_json::json;

use crate::stage::{agent_token, my_turn, service, spec};

const STALLED: usize = 20;
const BATCHES: u64 = 400;
const BATCH: u64 = 20;
const EVENT_BYTES: usize = 32 * 1024;
const ALLOWED_GROWTH: u64 = 96 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_quarter_of_a_gigabyte_passes_twenty_stalled_readers() {
    let _turn = my_turn().await;
    let node = spec().start().await;
    let mut stalled = Vec::new();
    for user in 1..=STALLED {
        let mut socket = RawSocket::connect_narrow(node.addr()).await;
        socket.upgrade("/ws", &agent_token(&node, user)).await;
        stalled.push(socket);
    }
    let token = agent_token(&node, STALLED + 1);
    let mut reader = WsRequest::new(node.addr(), "/ws").bearer(&token).open().await;
    let (service, before) = (service(&node), node.resident_bytes());
    let filler = "x".repeat(EVENT_BYTES);
    for batch in 0..BATCHES {
        let event = |n| json!({"type": "queue.stats", "payload": {"n": n, "filler": filler}});
        let events: Vec<_> = (batch * BATCH..(batch + 1) * BATCH).map(event).collect();
        service.publish(json!({"events": events})).await;
        for n in batch * BATCH..(batch + 1) * BATCH {
            assert_eq!(reader.expect("queue.stats").await["payload"]["n"], n);
        }
        let grown = node.resident_bytes().saturating_sub(before);
        assert!(grown < ALLOWED_GROWTH, "{grown} bytes more after {batch} batches");
    }
}
