//! Public chat sessions are known to every node.

use hookswitch_testkit::{WsRequest, eventually};
use serde_json::json;

use super::{Cluster, NOTICED};
use crate::stage::{OTHER, expect_exactly};

#[tokio::test]
async fn a_session_started_at_one_node_is_known_at_the_others() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    here.start_chat("s-1").await;
    let mut visitor = there.visitor("s-1").await;
    // Published where the session was not started, named by the tenant's own id.
    there.service().publish(json!({"type": "chat.message", "payload": {"session_id": "s-1"}})).await;
    here.service().publish(json!({"type": "chat.message.new", "session_id": "s-1"})).await;
    expect_exactly(&mut visitor, &["chat.message", "chat.message.new"]).await;
    there.service().publish(json!({"type": "chat.session.ended", "payload": {"session_id": "s-1"}})).await;
    visitor.expect("chat.session.ended").await;
    assert_eq!(visitor.close_code().await, 4410);
    for node in [here, there] {
        let refused = WsRequest::new(node.addr(), "/ws/public/s-1").connect().await;
        assert_eq!(refused.expect_err("it has ended").status, 404);
    }
}

#[tokio::test]
async fn typing_goes_from_an_agent_here_to_a_visitor_there_and_back() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    here.start_chat("s-1").await;
    let (mut agent, mut visitor) = (there.agent(7).await, here.visitor("s-1").await);
    let typing =
        json!({"type": "chat.typing", "payload": {"session_id": "s-1", "sender_type": "agent", "is_typing": true}});
    agent.send_json(typing.clone()).await;
    assert_eq!(visitor.expect("chat.typing").await["payload"]["sender_type"], "agent");
    visitor.send_json(typing).await;
    assert_eq!(agent.expect("chat.typing").await["payload"]["sender_type"], "visitor");
    agent.expect_silence().await;
    visitor.expect_silence().await;
}

#[tokio::test]
async fn the_first_tenant_to_start_a_key_has_it_at_every_node() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    here.start_chat("s-1").await;
    let start = json!({"type": "chat.session.started", "payload": {"session_id": "s-1"}});
    let refused = there.service_of(OTHER).try_publish(start.clone()).await;
    refused.expect_error(409, "conflict");
    here.service().publish(json!({"type": "chat.session.ended", "payload": {"session_id": "s-1"}})).await;
    eventually("the key is free", NOTICED, async || {
        there.service_of(OTHER).try_publish(start.clone()).await.status == 202
    })
    .await;
}
