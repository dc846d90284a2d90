//! Publishers on a shard's thread: where they may be, and what is not done there.

use std::cell::Cell;

use hookswitch_hub::ShardId;
use hookswitch_protocol::{NewEvent, UserId};
use tokio::runtime::Handle;

use crate::stage::{Stage, event, tenant, until, with_id};

/// The shard of tenant `t`'s agents, as soon as it has time: starting may have kept it busy.
async fn shard_of_agents(stage: &Stage) -> ShardId {
    let shard = Cell::new(None);
    until("the shard has time", || {
        shard.set(stage.switch.assign_place(&tenant("t"), &event("alert", "{}"), None));
        shard.get().is_some()
    })
    .await;
    shard.get().expect("just found")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_publishes_what_needs_no_store_belongs_beside_its_only_shard() {
    let stage = Stage::new().await;
    stage.webhook(&["call.ended"]).await;
    let _anna = stage.agent("t", 1).await;
    let shard = shard_of_agents(&stage).await;
    let place = |event: NewEvent| stage.switch.assign_place(&tenant("t"), &event, Some(shard));
    assert_eq!(place(event("call.incoming", "{}")), Some(shard), "a shard that took it in keeps it for a while");
    for (why, event) in [
        ("a webhook wants it", event("call.ended", "{}")),
        ("its id is chosen", with_id("a", event("alert", "{}"))),
        ("its user may be away", event("notification", "{}").to_user(UserId::from(1))),
        ("its session may be elsewhere", event("chat.message", r#"{"session_id":"s"}"#)),
    ] {
        assert_eq!(place(event), None, "{why}");
    }
    let elsewhere = stage.switch.assign_place(&tenant("other"), &event("alert", "{}"), None);
    assert_eq!(elsewhere, None, "nobody of that tenant is here");
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_are_asked_on_the_switchboards_own_runtime() {
    let stage = Stage::new().await;
    stage.webhook(&["call.ended"]).await;
    let mut anna = stage.agent("t", 1).await;
    let shard = shard_of_agents(&stage).await;
    let (switch, beside) = (stage.switch.clone(), stage.hub().runtime_beside(shard).clone());
    let publishing = async move {
        let batches = [
            vec![event("alert", "{}")],
            vec![event("call.ended", "{}")],
            vec![with_id("a", event("call.incoming", "{}"))],
            vec![event("notification", "{}").to_user(UserId::from(2))],
            vec![event("chat.session.started", r#"{"session_id":"s"}"#)],
            vec![event("alert", "{}"), event("chat.session.ended", r#"{"session_id":"s"}"#)],
        ];
        for batch in batches {
            switch.accept(&tenant("t"), batch).await.expect("accepted");
        }
    };
    let published = stage.scope.spawn_contained_on(&beside, "publisher", publishing).await;
    published.expect("no panic").expect("not cut off");
    let types = ["alert", "call.ended", "call.incoming", "chat.session.started", "alert", "chat.session.ended"];
    assert_eq!(anna.types(types.len()).await, types);
    let mut places = stage.script.take_places();
    let (first, at) = places.remove(0);
    assert_eq!((first, at), ("live", beside.id()), "what needs no store is done where it is published");
    let calls: Vec<_> = places.iter().map(|(call, _)| *call).filter(|call| *call != "live").collect();
    let expected = ["ledger.enqueue", "ledger.look_up", "ledger.enqueue", "offline.put", "chat.start", "chat.end"];
    assert_eq!(calls, expected);
    for (call, at) in places {
        assert_eq!(at, Handle::current().id(), "{call}");
    }
}
