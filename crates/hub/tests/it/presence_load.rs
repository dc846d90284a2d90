//! Who comes and goes while a tenant publishes more than can be delivered.

use std::time::Duration;

use hookswitch_hub::{HubConfig, PresenceState};
use hookswitch_testkit::{PATIENCE, eventually};
use tokio::time::Instant;

use crate::rig::{Client, Rig, config, tenant, user};

/// How long each of so many users of the tenant takes to come, the shortest first.
async fn come(rig: &Rig, of: &str, numbers: std::ops::Range<i64>) -> (Vec<Client>, Vec<Duration>) {
    let (mut clients, mut took) = (Vec::new(), Vec::new());
    for number in numbers {
        let started = Instant::now();
        clients.push(rig.user(of, number).await);
        took.push(started.elapsed());
    }
    took.sort_unstable();
    (clients, took)
}

#[tokio::test]
async fn a_tenant_without_room_delays_nobody_and_loses_no_change() {
    let rig = Rig::with(HubConfig { publish_deadline: Duration::from_secs(5), ..config() }).await;
    let (_before, without) = come(&rig, "quiet", 0..50).await;
    let mut supervisor = rig.user("busy", 1).await;
    supervisor.subscribe(&["presence.changed"]).await;
    rig.until("its own coming is told", |hub| hub.metrics().events.get() == 51).await;
    supervisor.frames();
    let all_of_it = rig.hub.reserve(&tenant("busy"), 2_048).await.expect("its whole share");
    let (busy, with_load) = come(&rig, "busy", 100..150).await;
    let (_quiet, beside) = come(&rig, "quiet", 50..100).await;
    // One of them is gone again, and one comes, goes and comes.
    busy[0].leave().await;
    busy[1].leave().await;
    rig.until("both are gone", |hub| hub.n_tenant_connections(&tenant("busy")) == 49).await;
    // Not the connection alone: who is back before that was noticed was never gone.
    let gone = user("busy", 101);
    eventually("it is known that one has gone", PATIENCE, async || {
        rig.hub.presence(&gone).await.is_ok_and(|presence| presence.state == PresenceState::Offline)
    })
    .await;
    let _again = rig.user("busy", 101).await;
    let floor = Duration::from_millis(20);
    for (name, took) in [("its own users", &with_load), ("other tenants' users", &beside)] {
        let (median, before) = (took[took.len() / 2], without[without.len() / 2]);
        assert!(median <= before.mul_f64(1.5).max(floor), "{name}: {median:?}, {before:?} without");
        assert!(took[took.len() - 1] < Duration::from_secs(2), "{name}: {took:?}");
    }
    assert!(supervisor.changes().is_empty(), "there was no room to tell anything");
    drop(all_of_it);
    let mut told = Vec::new();
    supervisor
        .until_some("every change is told", |client| {
            told.extend(client.changes());
            (told.len() >= 51).then_some(())
        })
        .await;
    let came = |number: i64| format!("{number} online connected");
    let mut wanted = vec![came(100)];
    wanted.extend((102..150).map(came));
    wanted.push("100 offline disconnected".to_owned());
    wanted.push(came(101));
    assert_eq!(told, wanted, "in their order; of who came, went and came, the last coming");
    assert_eq!(rig.hub.metrics().presence_left_out.get(), 2);
    assert_eq!(rig.hub.metrics().events_overflowed.get(), 0);
}
