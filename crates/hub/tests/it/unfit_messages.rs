//! Kept messages that their user's client does not survive.

use bytes::Bytes;
use hookswitch_protocol::CloseCode;

use crate::backlog::{confirmed, ids, keep, keep_of, left, page};
use crate::rig::Rig;

/// More than what is never to blame.
const LARGE: usize = 100_000;

/// A client that ends its connection as soon as a message with this id reaches it.
async fn fragile(rig: &Rig, deadly: &str) -> Vec<String> {
    let mut client = rig.user("t", 7).await;
    let mut all = Vec::new();
    loop {
        let (got, ping) = page(&mut client).await;
        let is_over = got.iter().any(|id| id == deadly);
        all.extend(got);
        if is_over {
            // As one that finds it too large does.
            client.tell(|handle| handle.close_with(&Bytes::from_static(b"too large"))).await;
            return all;
        }
        client.pong(&ping).await;
        if all.last().is_some_and(|id| id == "m9") {
            return all;
        }
    }
}

#[tokio::test]
async fn what_a_client_does_not_survive_twice_is_set_aside_and_told() {
    let rig = Rig::new().await;
    let kept = [vec!["deadly".to_owned()], ids("m", 0..10)].concat();
    keep_of(&rig, &kept[..1], LARGE).await;
    keep(&rig, &kept[1..]).await;
    let given_back = async |n| {
        rig.until("it is given back", |hub| hub.metrics().offline_given_back.get() == n).await;
    };
    assert_eq!(fragile(&rig, "deadly").await, kept, "nobody knows yet which it will be");
    given_back(11).await;
    for n in [12, 13] {
        assert_eq!(fragile(&rig, "deadly").await, ["deadly"], "one by one");
        given_back(n).await;
    }
    let got = fragile(&rig, "deadly").await;
    assert_eq!(got, [vec!["messages_dropped".to_owned()], ids("m", 0..10)].concat());
    confirmed(&rig, 10).await;
    assert_eq!(rig.hub.metrics().offline_set_aside.get(), 1);
    assert_eq!(left(&rig).await, 0);
}

#[tokio::test]
async fn a_connection_that_we_close_says_nothing_about_its_messages() {
    let rig = Rig::new().await;
    keep_of(&rig, &ids("m", 0..1), LARGE).await;
    for n in 1..=4 {
        let mut client = rig.user("t", 7).await;
        assert_eq!(page(&mut client).await.0, ["m0"]);
        client.tell(|handle| handle.close(CloseCode::Restarting)).await;
        rig.until("it is given back", |hub| hub.metrics().offline_given_back.get() == n).await;
    }
    assert_eq!(rig.hub.metrics().offline_set_aside.get(), 0);
    assert_eq!(left(&rig).await, 1);
}

#[tokio::test]
async fn a_small_message_is_not_to_blame_for_a_tab_that_is_closed() {
    let rig = Rig::new().await;
    keep(&rig, &ids("m", 0..1)).await;
    for n in 1..=4 {
        let mut client = rig.user("t", 7).await;
        assert_eq!(page(&mut client).await.0, ["m0"]);
        client.tell(|handle| handle.close_with(&Bytes::from_static(b"going away"))).await;
        rig.until("it is given back", |hub| hub.metrics().offline_given_back.get() == n).await;
    }
    assert_eq!(rig.hub.metrics().offline_set_aside.get(), 0);
    assert_eq!(left(&rig).await, 1);
}
