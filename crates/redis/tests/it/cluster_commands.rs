//! Commands to a cluster's masters: what happens to one's connection is no trouble of the others.

use std::time::Duration;

use hookswitch_hub::{
    ChatSession, ChatSessionStore as _, GapScope, OfflineMessage, OfflineStore as _, SessionStart,
    SharedChatSessions as _,
};
use hookswitch_protocol::{Event, Payload, SessionKey, UserId};
use hookswitch_runtime::Clock;
use hookswitch_testkit::{Fault, FaultProxy, PATIENCE, RedisCluster, eventually};
use tokio::time::Instant;

use crate::cluster_links::listening_at;
use crate::presence::user;
use crate::rig::{Node, event, tenant};

/// A node; a master at which nobody listens; tenants whose messages go through it, and tenants of the other two.
struct Stage {
    cluster: RedisCluster,
    here: Node,
    there: Node,
    victim: usize,
    slow: Vec<String>,
    fast: Vec<String>,
}

impl Stage {
    async fn new() -> Self {
        let cluster = RedisCluster::start(3).await;
        let there = Node::start(&cluster.url()).await;
        let at = listening_at(&cluster, &there).await;
        let here = loop {
            let node = Node::start(&cluster.url()).await;
            // So that one master is left at which neither listens.
            if listening_at(&cluster, &node).await == at {
                break node;
            }
        };
        let victim = (at + 1) % 3;
        let (mut slow, mut fast) = (Vec::new(), Vec::new());
        for name in (0..60).map(|n| format!("t{n}")) {
            let owner = cluster.owner_of(cluster.slot_of(&crate::outage::history_of(&name)).await).await;
            if owner == victim { &mut slow } else { &mut fast }.push(name);
        }
        for name in [&slow[0], &fast[0]] {
            there.watch(name).await;
            here.publish([event(name, "alert", "before")]).await;
        }
        Self { cluster, here, there, victim, slow, fast }
    }

    /// A user whose kept messages lie at a master that is well.
    async fn well_user(&self) -> i64 {
        for n in 1.. {
            let slot = self.cluster.slot_of(&format!("callcenter:offline:t:{n}")).await;
            if self.cluster.owner_of(slot).await != self.victim {
                return n;
            }
        }
        unreachable!("there are more users than slots")
    }

    /// Events go on between tenants of the masters that are well.
    async fn fast_events_arrive(&self, id: &str) {
        self.here.publish([event(&self.fast[0], "alert", id)]).await;
        self.there.heard.until(id).await;
    }
}

fn message(user: i64, n: usize) -> OfflineMessage {
    OfflineMessage::of(&Event { user: Some(UserId::from(user)), ..event("t", "alert", &format!("m{n}")) })
        .expect("it is for one user")
}

/// What is sent to it and not taken fills its connection, and then waits in the client.
#[tokio::test]
async fn a_master_that_takes_nothing_holds_up_no_command_to_the_others() {
    let stage = Stage::new().await;
    let user = stage.well_user().await;
    stage.cluster.nodes()[stage.victim].suspend();
    let payload = Payload::parse(&format!(r#"{{"x":"{}"}}"#, "x".repeat(900_000))).expect("an object");
    let large = |name: &String| Event { payload: payload.clone(), ..event(name, "alert", "large") };
    let (begun, mut n_done, mut took) = (Instant::now(), 0, Vec::new());
    let flood = async {
        while begun.elapsed() < Duration::from_secs(8) {
            stage.here.publish(stage.slow.iter().map(large)).await;
        }
    };
    let commands = async {
        while begun.elapsed() < Duration::from_secs(8) {
            let since = Instant::now();
            let kept = stage.here.keepers.offline.put(vec![message(user, n_done)]).await;
            n_done += 1;
            took.push(if kept.is_ok() { since.elapsed() } else { Duration::MAX });
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::join!(flood, commands);
    took.sort();
    let p90 = took[took.len() * 9 / 10];
    assert!(p90 < Duration::from_millis(500), "nine of ten are quick: {p90:?} of {}", took.len());
    assert!(stage.here.keepers.link.metrics().reconnections.get() > 0, "what waits for it is given up");
    stage.fast_events_arrive("fast").await;
    stage.cluster.nodes()[stage.victim].resume();
    let is_sent = async || stage.here.keepers.broker.n_buffered() == 0;
    eventually("all is sent when it is back", PATIENCE * 2, is_sent).await;
    assert!(stage.there.heard.ids_of(&stage.slow[0]).contains(&"large".to_owned()));
}

#[tokio::test]
async fn a_master_that_is_gone_takes_none_of_the_others_with_it() {
    let mut stage = Stage::new().await;
    let user = stage.well_user().await;
    let victim = stage.victim;
    stage.cluster.nodes_mut()[victim].kill().await;
    for n in 0..20 {
        stage.fast_events_arrive(&format!("fast-{n}")).await;
        stage.here.keepers.offline.put(vec![message(user, n)]).await.expect("kept");
        assert!(stage.here.keepers.link.check().is_ok() && stage.there.keepers.link.check().is_ok());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let port = stage.cluster.nodes()[victim].port().to_string();
    let is_named = async || stage.here.keepers.check_link().await.is_err_and(|problem: String| problem.contains(&port));
    eventually("readiness names it", PATIENCE, is_named).await;
    stage.here.publish([event(&stage.slow[0], "alert", "slow")]).await;
    assert_eq!(stage.here.keepers.broker.n_buffered(), 1);
    stage.cluster.nodes_mut()[victim].restart().await;
    stage.there.heard.until("slow").await;
    eventually("all is well", PATIENCE, async || stage.here.keepers.check_link().await.is_ok()).await;
    // What it held went with it: whoever listens there is told, once, and nobody else.
    let told = (GapScope::Tenant(tenant(&stage.slow[0])), None);
    assert!(stage.there.heard.gaps().iter().all(|gap| *gap == told), "{:?}", stage.there.heard.gaps());
    assert!(stage.there.heard.gaps().len() <= 1);
}

/// Has clients reach this master through a proxy, by the address that the cluster tells.
async fn through_a_proxy(cluster: &RedisCluster, n: usize) -> FaultProxy {
    let proxy = FaultProxy::start(&cluster.nodes()[n].addr()).await;
    let port = proxy.addr().rsplit_once(':').expect("an address").1.to_owned();
    cluster.nodes()[n].cli(&["CONFIG", "SET", "cluster-announce-port", &port]).await;
    eventually("all masters tell that address", PATIENCE, async || {
        for node in cluster.nodes() {
            if !node.cli(&["CLUSTER", "SLOTS"]).await.contains(&port) {
                return false;
            }
        }
        true
    })
    .await;
    proxy
}

#[tokio::test]
async fn a_connection_over_which_nothing_comes_back_is_made_anew_and_the_others_stay() {
    let stage = Stage::new().await;
    let proxy = through_a_proxy(&stage.cluster, stage.victim).await;
    let slow = &stage.slow[0];
    // The node has learnt the new address once the proxy's faults are its own.
    proxy.set(Fault::Cut);
    let is_cut =
        async || stage.here.keepers.check_link().await.is_err_and(|problem: String| problem.contains(proxy.addr()));
    eventually("it is reached through the proxy", PATIENCE, is_cut).await;
    proxy.heal();
    let is_well = async || {
        stage.here.publish([event(slow, "alert", "proxied")]).await;
        stage.there.heard.ids().contains(&"proxied".to_owned()) && stage.here.keepers.check_link().await.is_ok()
    };
    eventually("it is well again", PATIENCE, is_well).await;
    let n_before = stage.here.keepers.link.metrics().reconnections.get();
    proxy.set(Fault::Stall);
    stage.here.publish([event(slow, "alert", "stalled")]).await;
    let is_given_up = async || {
        stage.fast_events_arrive("fast").await;
        stage.here.keepers.link.metrics().reconnections.get() > n_before
    };
    eventually("the connection is given up, while others' events arrive", PATIENCE, is_given_up).await;
    assert!(stage.here.keepers.link.check().is_ok(), "the way is open all the time");
    let problem = stage.here.keepers.check_link().await.expect_err("one master takes nothing");
    assert!(problem.contains(proxy.addr()), "it is named: {problem}");
    proxy.heal();
    stage.there.heard.until("stalled").await;
    let ids = stage.there.heard.ids_of(slow);
    assert_eq!(ids.iter().filter(|id| *id == "stalled").count(), 1, "once: {ids:?}");
    assert!(stage.there.heard.gaps().is_empty(), "{:?}", stage.there.heard.gaps());
    eventually("all is well", PATIENCE, async || stage.here.keepers.check_link().await.is_ok()).await;
}

#[tokio::test]
async fn a_change_of_presence_is_told_once_after_slots_moved() {
    let cluster = RedisCluster::start(3).await;
    let (here, there) = (Node::start(&cluster.url()).await, Node::start(&cluster.url()).await);
    there.watch("t").await;
    let probes = format!("callcenter:probe:{}", there.name);
    // Everything that a client might listen by, and the place of what is told.
    let keys = ["callcenter:online:t", "callcenter:tenant:t", "callcenter:events", &probes, "t"];
    for (n, key) in (1..).zip(keys) {
        let slot = cluster.slot_of(key).await;
        let home = cluster.owner_of(slot).await;
        cluster.migrate_slot(slot, (home + 1) % 3).await;
        here.touch(&user(&n.to_string()), 1).await;
    }
    let n_told = |id: usize| {
        let events = there.heard.events.lock().expect("not poisoned");
        let (named, quoted) = (format!(r#""user_id":{id},"#), "presence.changed");
        let changes = events.iter().filter(|received| received.event.event_type.as_str() == quoted);
        changes.filter(|received| received.event.payload.as_str().contains(&named)).count()
    };
    for id in 1..=keys.len() {
        eventually("his coming is told", PATIENCE, async || n_told(id) > 0).await;
    }
    // Whatever else a master had to tell has come before this.
    for (n, master) in cluster.nodes().iter().enumerate() {
        let mark = format!("mark-{n}");
        master.cli(&["PUBLISH", "callcenter:calls:t", &format!(r#"{{"type":"alert","id":"{mark}"}}"#)]).await;
        there.heard.until(&mark).await;
    }
    let told: Vec<usize> = (1..=keys.len()).map(n_told).collect();
    assert_eq!(told, [1; 5], "once each");
    assert!(there.heard.gaps().is_empty(), "{:?}", there.heard.gaps());
}

/// In the midst of a move, each key of the slot is at one of two masters.
#[tokio::test]
async fn a_key_is_found_while_its_slot_moves() {
    let cluster = RedisCluster::start(3).await;
    let node = Node::start(&cluster.url()).await;
    let key = SessionKey::parse("s").expect("legal");
    let slot = cluster.slot_of("callcenter:chat:s").await;
    let from = cluster.owner_of(slot).await;
    let (source, target) = (&cluster.nodes()[from], &cluster.nodes()[(from + 1) % 3]);
    let (source_id, target_id) = (source.cli(&["CLUSTER", "MYID"]).await, target.cli(&["CLUSTER", "MYID"]).await);
    let slot = slot.to_string();
    target.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]).await;
    source.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]).await;
    let now = Clock::system().now();
    let session = ChatSession { key: key.clone(), tenant: tenant("t"), alias: None, last_active: now };
    let started = node.keepers.chat.start(&session, now.before(Duration::from_hours(1))).await;
    assert_eq!(started.expect("started"), SessionStart::Live);
    assert_eq!(target.cli(&["CLUSTER", "COUNTKEYSINSLOT", &slot]).await, "1", "it was made where the slot goes");
    for owner in [target, source, &cluster.nodes()[(from + 2) % 3]] {
        assert_eq!(node.keepers.chat.find(&key).await.expect("asked").map(|found| found.tenant), Some(tenant("t")));
        owner.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]).await;
    }
    assert!(node.keepers.chat.find(&key).await.expect("asked").is_some(), "and when it is there");
}
