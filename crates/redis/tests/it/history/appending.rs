//! One order for all nodes, and no event twice.

use futures_util::future::join_all;
use hookswitch_protocol::TenantId;
use hookswitch_redis::history::{
    AppendEvent, AppendRequest, AppendWay, HistoryError, HistoryRead, Marks, PageBounds, Position, StreamLimits,
};
use hookswitch_testkit::RedisSpec;

use super::rig::{HEAD, HistoryNode, STREAM, config, id_of, ordinary, page, read_all};
use crate::rig::{Node, event, tenant};

#[tokio::test]
async fn channels_have_the_order_of_the_stream_and_offsets_are_dense() {
    let redis = RedisSpec::new().start().await;
    let url = redis.url();
    let nodes = join_all((0..3).map(|_| HistoryNode::start(&url))).await;
    let listener = Node::with(config(&url)).await;
    listener.watch("t").await;
    let publish = nodes.iter().enumerate().map(|(name, node)| async move {
        for round in 0..40 {
            let event = |n: usize| {
                let (kind, channel) = if n == 1 { ("call.incoming", "calls") } else { ("alert", "tenant") };
                let envelope = event("t", kind, &format!("{name}-{round}-{n}")).encode().into();
                let channel = Some(format!("callcenter:{channel}:t").into());
                AppendEvent { envelope, channel, marks: Marks::default() }
            };
            let batch = node.history.batch((0..=round % 3).map(event).collect());
            let appended = node.send(&batch).await.expect("appended");
            assert_eq!(appended.offsets.count(), batch.events().len());
        }
    });
    join_all(publish).await;
    let held = read_all(&nodes[0].history, &tenant("t"), PageBounds { events: 7, bytes: 1 << 20 }).await;
    let offsets: Vec<u64> = held.iter().map(|event| event.offset).collect();
    assert_eq!(offsets, (1..=offsets.len() as u64).collect::<Vec<_>>());
    assert_eq!(offsets.len(), 3 * 79);
    let ids: Vec<String> = held.iter().map(id_of).collect();
    assert_eq!(listener.heard.until(ids.last().expect("some")).await, ids);
    for node in &nodes {
        let of_node = held.iter().filter(|event| event.node == node.node.name);
        let sequences: Vec<u64> = of_node.map(|event| event.sequence).collect();
        assert!(sequences.is_sorted(), "in the order in which the node made them: {sequences:?}");
    }
}

#[tokio::test]
async fn an_envelope_ends_with_its_position_whoever_wrote_it() {
    let redis = RedisSpec::new().start().await;
    let node = HistoryNode::start(&redis.url()).await;
    let (joined, ready) = (node.append(&["a", "b"]).await, node.append(&["c", "d"]).await);
    assert_eq!((joined.way, ready.way), (AppendWay::Joined, AppendWay::Ready));
    assert_eq!((joined.epoch, joined.offsets, ready.epoch, ready.offsets), (ready.epoch, 1..=2, joined.epoch, 3..=4));
    for (event, id) in node.page_after(0).await.events.iter().zip(["a", "b", "c", "d"]) {
        let mut wanted = ordinary("t", id).envelope.to_vec();
        wanted.pop();
        // Its time is that of when it was made.
        let tail = format!(",\"position\":\"{}:{}\"}}", joined.epoch, event.offset);
        assert!(event.envelope.ends_with(tail.as_bytes()), "{:?}", event.envelope);
        assert_eq!(event.envelope.len(), wanted.len() + tail.len());
        assert_eq!(id_of(event), id);
    }
}

#[tokio::test]
async fn a_node_that_others_overtook_tries_again_and_then_leaves_the_numbering_to_the_script() {
    let redis = RedisSpec::new().start().await;
    let (here, there) = (HistoryNode::start(&redis.url()).await, HistoryNode::start(&redis.url()).await);
    here.append(&["a"]).await;
    let unaware = there.append(&["b"]).await;
    assert_eq!((unaware.way, unaware.offsets), (AppendWay::Joined, 2..=2));
    let overtaken = here.append(&["c"]).await;
    assert_eq!((overtaken.way, overtaken.offsets), (AppendWay::Ready, 3..=3), "with the head that it was told");
}

#[tokio::test]
async fn a_batch_that_is_sent_again_gets_the_offsets_that_it_has() {
    let redis = RedisSpec::new().start().await;
    let bounds = StreamLimits { events: 4, ..StreamLimits::default() };
    let here = HistoryNode::bounded(&redis.url(), bounds).await;
    let there = HistoryNode::bounded(&redis.url(), bounds).await;
    here.append(&["a"]).await;
    let batch = here.batch(&["b", "c"]);
    let first = here.send(&batch).await.expect("appended");
    for id in ["d", "e", "f", "g", "h"] {
        there.append(&[id]).await;
    }
    assert_eq!(here.ids().await, ["e", "f", "g", "h"], "the batch is not held any more");
    let again = here.send(&batch).await.expect("found");
    assert_eq!((again.epoch, again.offsets, again.way), (first.epoch, first.offsets, AppendWay::Again));
    let last = here.append(&["i"]).await;
    assert_eq!(last.offsets, 9..=9);
    let error = here.send(&batch).await.expect_err("it is too late for that");
    assert!(matches!(&error, HistoryError::Past { key, .. } if key == HEAD), "{error}");
    assert_eq!(here.ids().await, ["f", "g", "h", "i"]);
}

#[tokio::test]
async fn marks_are_kept_and_what_has_no_channel_is_published_nowhere() {
    let redis = RedisSpec::new().start().await;
    let node = HistoryNode::start(&redis.url()).await;
    node.node.watch("t").await;
    let marks = |is_kept, is_opt_in| Marks { is_kept, is_opt_in };
    let all = [marks(false, false), marks(true, false), marks(false, true), marks(true, true)];
    let events =
        all.iter().enumerate().map(|(n, marks)| AppendEvent { marks: *marks, ..ordinary("t", &n.to_string()) });
    let mut events: Vec<AppendEvent> = events.collect();
    events[1].channel = None;
    node.send(&node.history.batch(events)).await.expect("appended");
    let held = node.page_after(0).await.events;
    assert_eq!(held.iter().map(|event| event.marks).collect::<Vec<_>>(), all);
    assert_eq!(node.node.heard.until("3").await, ["0", "2", "3"]);
}

#[tokio::test]
async fn one_call_has_the_batches_of_many_tenants_and_one_that_fails_is_alone() {
    let redis = RedisSpec::new().start().await;
    let node = HistoryNode::start(&redis.url()).await;
    let tenants: Vec<TenantId> = (0..100).map(|n| tenant(&format!("t{n}"))).collect();
    redis.cli(&["SET", "callcenter:history-head:{callcenter:online:t7}", "x"]).await;
    let batches: Vec<_> = tenants
        .iter()
        .map(|of| node.history.batch(vec![ordinary(of.as_str(), "a"), ordinary(of.as_str(), "b")]))
        .collect();
    let requests: Vec<_> =
        tenants.iter().zip(&batches).map(|(tenant, batch)| AppendRequest { tenant, seen: None, batch }).collect();
    redis.cli(&["CONFIG", "RESETSTAT"]).await;
    let answers = node.history.append_all(&requests).await;
    let stats = redis.cli(&["INFO", "commandstats"]).await;
    let calls = |line: &&str| line.starts_with("cmdstat_eval");
    let n_calls: Vec<&str> = stats.lines().filter(calls).collect();
    assert!(n_calls.iter().all(|line| line.contains("calls=2,") || line.contains("calls=1,")), "{n_calls:?}");
    let mut epochs = Vec::new();
    for (n, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(appended) => epochs.push((appended.epoch, assert_eq!(appended.offsets, 1..=2)).0),
            Err(error) => assert_eq!(n, 7, "{error}"),
        }
    }
    epochs.sort_unstable();
    epochs.dedup();
    assert_eq!(epochs.len(), 99, "no two tenants have the same epoch");
    let heads = node.history.heads(&tenants).await;
    assert_eq!(heads.iter().filter(|head| matches!(head, Ok(Some(head)) if head.position.offset == 2)).count(), 99);
    assert!(matches!(&heads[7], Err(HistoryError::Refused { key, .. }) if key.contains("online:t7}")));
    assert!(matches!(node.history.heads(&[tenant("nobody")]).await[0], Ok(None)));
}

#[tokio::test]
async fn pages_are_bounded_and_a_position_that_is_not_of_this_history_is_told() {
    let redis = RedisSpec::new().start().await;
    let node = HistoryNode::start(&redis.url()).await;
    let nobody = Position { epoch: 1, offset: 0 };
    let bounds = PageBounds { events: 3, bytes: 1 << 20 };
    let read = async |after| node.history.read_after(&tenant("t"), after, bounds).await.expect("read");
    assert_eq!(read(nobody).await, HistoryRead::Unknown { head: None });
    for n in 0..6 {
        node.append(&[&format!("a{n}"), &format!("b{n}")]).await;
    }
    let head = node.head().await.expect("a head");
    let first = page(read(Position { offset: 1, ..head }).await);
    assert_eq!(first.events.iter().map(id_of).collect::<Vec<_>>(), ["b0"], "the next entry would be one too many");
    assert_eq!((first.through, first.held_from, first.missing.len()), (2, 1, 0));
    assert_eq!((first.head.position, first.head.is_current), (head, true));
    let small = PageBounds { events: 100, bytes: 1 };
    let one = page(node.history.read_after(&tenant("t"), Position { offset: 2, ..head }, small).await.expect("read"));
    assert_eq!(one.through, 4, "one entry comes whatever its size");
    assert_eq!(page(read(head).await).events, []);
    for beyond in [Position { offset: 13, ..head }, nobody] {
        assert!(matches!(read(beyond).await, HistoryRead::Unknown { head: Some(known) } if known.position == head));
    }
    assert!(redis.cli(&["TTL", HEAD]).await.parse::<u64>().expect("seconds") > 80_000);
    assert!(redis.cli(&["PTTL", STREAM]).await.parse::<u64>().expect("ms") <= 600_000);
}
