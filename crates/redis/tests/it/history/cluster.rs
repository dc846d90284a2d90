//! In a cluster a tenant's history is where its presence is.

use futures_util::future::join_all;
use hookswitch_protocol::TenantId;
use hookswitch_redis::history::{AppendEvent, AppendRequest, PageBounds, StreamLimits};
use hookswitch_testkit::{PATIENCE, RedisCluster, eventually_some};

use super::rig::{HEAD, HistoryNode, STREAM, config, id_of, ordinary, read_all};
use crate::rig::tenant;

const SHARD_CHANNEL: &str = "callcenter:tenant:{callcenter:online:t}";

#[tokio::test]
async fn keys_and_shard_channel_share_the_slot_of_presence() {
    let cluster = RedisCluster::start(3).await;
    let slot = cluster.slot_of("callcenter:online:t").await;
    for name in [HEAD, STREAM, SHARD_CHANNEL] {
        assert_eq!(cluster.slot_of(name).await, slot, "{name}");
    }
    let mut config = config(&cluster.url());
    config.sharded_pubsub = true;
    let node = HistoryNode::with(config, StreamLimits::default()).await;
    let shard = |id: &str| AppendEvent { channel: Some(SHARD_CHANNEL.into()), ..ordinary("t", id) };
    let batch = node.history.batch(vec![shard("a"), shard("b")]);
    let appended = node.send(&batch).await.expect("appended");
    assert_eq!(appended.unpublished, None, "a channel in the script's slot");
    let home = &cluster.nodes()[cluster.owner_of(slot).await];
    assert_eq!(home.cli(&["EXISTS", HEAD, STREAM]).await, "2");
}

#[tokio::test]
async fn tenants_of_all_masters_are_appended_together_and_a_slot_that_moves_is_followed() {
    let cluster = RedisCluster::start(3).await;
    let node = HistoryNode::start(&cluster.url()).await;
    let tenants: Vec<TenantId> = (0..30).map(|n| tenant(&format!("t{n}"))).collect();
    let batches: Vec<_> = tenants.iter().map(|of| node.history.batch(vec![ordinary(of.as_str(), "a")])).collect();
    let pairs = tenants.iter().zip(&batches);
    let requests: Vec<_> = pairs.map(|(tenant, batch)| AppendRequest { tenant, seen: None, batch }).collect();
    let answers = node.history.append_all(&requests).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let bounds = PageBounds { events: 10, bytes: 1 << 20 };
    for held in join_all(tenants.iter().map(|of| read_all(&node.history, of, bounds))).await {
        assert_eq!(held.iter().map(id_of).collect::<Vec<_>>(), ["a"]);
    }
    let before = node.append(&["b"]).await;
    let slot = cluster.slot_of(HEAD).await;
    cluster.migrate_slot(slot, (cluster.owner_of(slot).await + 1) % 3).await;
    let batch = node.batch(&["c"]);
    let after = eventually_some("its new owner takes it", PATIENCE, async || node.send(&batch).await.ok()).await;
    assert!(after.epoch > before.epoch, "another server");
    assert_eq!(node.ids().await, ["c"]);
}
