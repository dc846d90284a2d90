//! Who comes and goes is told to whoever asked for it, each transition once.

use hookswitch_hub::memory::MemoryBroker;

use crate::rig::{Client, Rig};

/// The presence changes that this client was told of, who and what.
async fn told(client: &mut Client, n_changes: usize) -> Vec<String> {
    let mut told = Vec::new();
    client
        .until_some("the changes arrive", |client| {
            told.extend(client.changes());
            (told.len() >= n_changes).then_some(())
        })
        .await;
    told
}

#[tokio::test]
async fn a_user_comes_with_the_first_connection_and_goes_with_the_last() {
    let rig = Rig::new().await;
    let mut supervisor = rig.user("t", 1).await;
    supervisor.subscribe(&["presence.changed"]).await;
    let mut bystander = rig.user("t", 2).await;
    let phone = rig.user("t", 7).await;
    let desktop = rig.user("t", 7).await;
    phone.leave().await;
    desktop.leave().await;
    let wanted = ["2 online connected", "7 online connected", "7 offline disconnected"];
    assert_eq!(told(&mut supervisor, 3).await, wanted);
    rig.settle("t").await;
    assert!(bystander.changes().is_empty(), "it did not ask for it");
}

#[tokio::test]
async fn transitions_reach_subscribers_at_other_nodes() {
    let bus = MemoryBroker::alone();
    let (here, there) = (Rig::on_bus(&bus).await, Rig::on_bus(&bus).await);
    let mut supervisor = there.user("t", 1).await;
    supervisor.subscribe(&["presence.*"]).await;
    let agent = here.user("t", 7).await;
    agent.leave().await;
    let wanted = ["7 online connected", "7 offline disconnected"];
    assert_eq!(told(&mut supervisor, 2).await, wanted);
}
