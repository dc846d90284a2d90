//! A node starts, works and ends.

use std::time::Duration;

use hookswitch::payloads::Alert;
use hookswitch::{ErrorCode, Switch, TenantId};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_defaults_works_until_it_is_shut_down() {
    let switch = Switch::builder().start().await.expect("starts");
    let (broadcaster, tenant) = (switch.broadcaster(), TenantId::parse("t").expect("legal"));
    broadcaster.send_alert(&tenant, Alert::new("a", "b")).await.expect("accepted");
    assert!(switch.shut_down(Duration::from_secs(5)).await, "nothing had to be cut off");
    let late = broadcaster.send_alert(&tenant, Alert::new("a", "b")).await.expect_err("too late");
    assert_eq!(late.code(), ErrorCode::Draining);
    assert!(switch.shut_down(Duration::ZERO).await, "a second time does nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_live_in_one_process() {
    let (one, two) =
        (Switch::builder().start().await.expect("starts"), Switch::builder().start().await.expect("starts"));
    assert!(one.shut_down(Duration::from_secs(5)).await);
    let tenant = TenantId::parse("t").expect("legal");
    two.broadcaster().send_alert(&tenant, Alert::new("a", "b")).await.expect("the other one goes on");
    assert!(two.shut_down(Duration::from_secs(5)).await);
}
