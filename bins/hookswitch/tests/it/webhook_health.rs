//! A receiver that is gone: its webhook is switched off, the tenant's administrators hear of it, and
//! what was missed is delivered when it is switched on again.

use hookswitch_testkit::{ApiClient, Behaviour, NodeProcess, Receiver, Token, WsClient, WsRequest, eventually};
use serde_json::{Value, json};

use crate::stage::{TENANT, spec};

async fn listener(node: &NodeProcess, role: &str, user: i64) -> WsClient {
    let token = Token::new(TENANT, user).role(role).sign(node.secret());
    let mut client = WsRequest::new(node.addr(), "/ws").bearer(&token).open().await;
    client.subscribe(&["webhook.disabled", "marker"]).await;
    client.sync().await;
    client
}

fn service(node: &NodeProcess) -> ApiClient {
    node.api().with_token(Token::service(TENANT).sign(node.secret()))
}

async fn look(node: &NodeProcess, id: &Value) -> Value {
    service(node).get(&format!("/api/v1/webhooks/{id}")).await.json()["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_is_told_to_administrators_and_made_up_for_later() {
    let node = spec().start().await;
    let api = service(&node);
    let receiver = Receiver::start([Behaviour::status(410)]).await;
    let webhook = json!({"name": "CRM", "url": receiver.url("/"), "events": ["call.ended"]});
    let made = api.post("/api/v1/webhooks", webhook).await.json()["data"].clone();
    let (mut admin, mut agent) = (listener(&node, "admin", 1).await, listener(&node, "agent", 2).await);

    api.publish(json!({"type": "call.ended", "payload": {"n": 1}})).await;
    let told = admin.expect("webhook.disabled").await;
    assert_eq!(told["payload"]["webhook_id"], made["id"]);
    assert_eq!((&told["payload"]["reason"], &told["payload"]["name"]), (&json!("gone"), &json!("CRM")));
    let off = look(&node, &made["id"]).await;
    assert_eq!((&off["is_active"], &off["health"]["disabled_reason"]), (&json!(false), &json!("gone")));

    api.publish(json!({"events": [{"type": "call.ended", "payload": {"n": 2}}, {"type": "marker"}]})).await;
    agent.expect("marker").await;
    receiver.now([Behaviour::status(200)]);
    let path = format!("/api/v1/webhooks/{}/enable", made["id"]);
    let enabled = api.post(&path, json!({"deliver_missed_since": off["created_at"]})).await;
    assert_eq!(enabled.status, 200, "{}", enabled.text());
    let bodies = || receiver.map(|request| request.json()["data"]["n"].clone());
    eventually("what was missed arrives", hookswitch_testkit::PATIENCE, || async { bodies().contains(&json!(2)) })
        .await;
    let on = look(&node, &made["id"]).await;
    assert_eq!((&on["is_active"], &on["health"]["disabled_reason"]), (&json!(true), &Value::Null));
}
