//! Clients that come back to another node.

use hookswitch_testkit::{Token, WsClient, WsRequest};
use serde_json::{Value, json};

use super::Cluster;
use crate::stage::{Stage, TENANT};

async fn back(stage: &Stage, user: i64, position: &str) -> WsClient {
    let token = stage.sign(&Token::new(TENANT, user));
    WsRequest::new(stage.addr(), &format!("/ws?resume={position}")).bearer(&token).open().await
}

async fn publish(stage: &Stage, range: std::ops::Range<u64>) {
    for n in range {
        stage.service().publish(json!({"type": "alert", "payload": {"n": n}})).await;
    }
}

fn read(event: &Value) -> (u64, String) {
    (event["payload"]["n"].as_u64().expect("a number"), event["position"].as_str().expect("a position").to_owned())
}

/// Events up to this one; gives its position.
async fn expect_up_to(client: &mut WsClient, range: std::ops::Range<u64>) -> String {
    let mut last = String::new();
    for n in range {
        let (number, position) = read(&client.expect("alert").await);
        assert_eq!(number, n, "in order, none twice");
        last = position;
    }
    last
}

#[tokio::test]
async fn whoever_is_cut_off_and_comes_back_to_another_node_misses_nothing() {
    let cluster = Cluster::start(3).await;
    let [a, b, c] = [0, 1, 2].map(|n| &cluster.nodes[n]);
    let mut client = back(a, 7, "").await;
    client.expect("resumed").await;
    publish(a, 0..2).await;
    publish(b, 2..4).await;
    let position = expect_up_to(&mut client, 0..4).await;
    drop(client);
    publish(c, 4..7).await;
    publish(a, 7..9).await;
    // Nobody of this tenant was there before: what it missed is in Redis.
    let mut client = back(b, 7, &position).await;
    let position = expect_up_to(&mut client, 4..9).await;
    let resumed = client.expect("resumed").await;
    assert_eq!(
        (&resumed["payload"]["recovered"], &resumed["payload"]["replayed"]),
        (&json!(true), &json!(5)),
        "{resumed}"
    );
    publish(c, 9..11).await;
    assert_ne!(expect_up_to(&mut client, 9..11).await, position);
    // And back to the first, again and again, while others publish.
    let mut position = position;
    let mut next = 9;
    for round in 0..6 {
        drop(client);
        publish([a, b, c][round % 3], next + 2..next + 4).await;
        client = back([c, a, b][round % 3], 7, &position).await;
        position = expect_up_to(&mut client, next..next + 4).await;
        next += 4;
        let resumed = client.expect("resumed").await;
        assert_eq!(resumed["payload"]["recovered"], json!(true), "{resumed}");
        publish([b, c, a][round % 3], next..next + 2).await;
    }
}
