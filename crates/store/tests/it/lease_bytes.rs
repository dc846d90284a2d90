//! Handing out is bounded by bytes: large bodies come a few at a time, and none is left behind.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::NodeId;
use hookswitch_webhooks::{
    DeliveryLedger as _, LEASE_BYTES, LeaseRequest, LeaseWish, NewDeliveries, WebhookDirectory as _,
};

use crate::rig::{Rig, duty, now, tenant, webhook};

#[tokio::test]
async fn large_bodies_are_handed_out_a_few_at_a_time() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = &opened.store;
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    let body = Bytes::from(vec![b' '; 1024 * 1024]);
    for n in 0..40 {
        let large = NewDeliveries { body: body.clone(), ..duty(&format!("e-{n}"), &[id]) };
        store.enqueue(vec![large]).await.expect("enqueue");
    }
    let mut handed_out = HashSet::new();
    for _ in 0..40 {
        let request = LeaseRequest {
            by: NodeId::parse("node-1").expect("legal"),
            now: now(),
            hold: Duration::from_mins(3),
            n_bytes: LEASE_BYTES,
            wishes: vec![LeaseWish { webhook: id, fresh: 40, retries: 0 }],
        };
        let leased = store.lease(request).await.expect("lease");
        let n_bytes: usize = leased.iter().map(|delivery| delivery.body.len()).sum();
        assert!(n_bytes <= 2 * LEASE_BYTES, "{n_bytes} at once");
        assert!(leased.iter().all(|delivery| handed_out.insert(delivery.lease.number)), "none twice");
        if leased.is_empty() {
            break;
        }
    }
    assert_eq!(handed_out.len(), 40, "all in the end");
    opened.close().await;
}
