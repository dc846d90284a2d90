//! Events that do not come: whoever may miss them is told, and nobody waits for them for long.

use hookswitch_hub::GapScope;
use hookswitch_testkit::RedisSpec;

use crate::rig::{Node, event, tenant};

#[tokio::test]
async fn a_missing_number_is_given_up_in_the_midst_of_traffic() {
    let redis = RedisSpec::new().start().await;
    let (here, there) = (Node::start(&redis.url()).await, Node::start(&redis.url()).await);
    there.watch("t").await;
    there.watch("busy").await;
    for seq in [0, 2] {
        let forged = format!(r#"{{"type":"alert","id":"a{seq}","hookswitch":{{"node":"x","seq":{seq}}}}}"#);
        redis.cli(&["PUBLISH", "callcenter:tenant:t", &forged]).await;
    }
    let traffic = async {
        loop {
            here.publish([event("busy", "alert", "more")]).await;
        }
    };
    tokio::select! {
        _heard = there.heard.until("a2") => {}
        () = traffic => {}
    }
    assert_eq!(there.heard.gaps(), [(GapScope::Tenant(tenant("t")), Some(1))]);
}
