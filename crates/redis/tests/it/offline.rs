//! Offline messages: the promise, the contract's list, and what foreign programs push.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_hub::{Claim, OFFLINE_PAGE_BYTES, OfflineLimits, OfflineMessage, OfflineStore};
use hookswitch_protocol::{Event, EventId, EventType, Payload, Timestamp};
use hookswitch_runtime::Clock;
use hookswitch_testkit::{RedisCluster, RedisServer, RedisSpec, contract};

use crate::stores::{StoresSpec, agent, numbers};

const LIST: &str = "callcenter:offline:tenant-123:456";
const NOW: Timestamp = Timestamp::from_millis(1_761_393_600_000);

async fn keeps_the_promise(url: &str) {
    let open = async |limits, clock| StoresSpec { limits, clock, ..StoresSpec::new(url).apart() }.start().await;
    contract::offline::check(open).await;
    contract::offline::check_bytes(open).await;
}

#[tokio::test]
async fn the_promise_is_kept_on_one_server() {
    let server = RedisSpec::new().start().await;
    keeps_the_promise(&server.url()).await;
}

#[tokio::test]
async fn the_promise_is_kept_in_a_cluster() {
    let cluster = RedisCluster::start(3).await;
    keeps_the_promise(&cluster.url()).await;
}

fn event(id: &str) -> Event {
    Event {
        id: EventId::parse(id).expect("legal"),
        event_type: EventType::NOTIFICATION,
        tenant: agent().tenant,
        user: Some(agent().user),
        session: None,
        topic: None,
        payload: Payload::parse(r#"{"id": 1.50}"#).expect("an object"),
        timestamp: NOW,
    }
}

fn kept(id: &str) -> OfflineMessage {
    OfflineMessage::of(&event(id)).expect("it waits for its user")
}

fn envelopes(claim: &Claim) -> Vec<Bytes> {
    claim.messages.iter().map(|message| message.envelope.clone()).collect()
}

#[tokio::test]
async fn a_list_of_the_wrong_type_costs_no_message_once_it_is_gone() {
    let server = RedisSpec::new().start().await;
    let store = StoresSpec { clock: Clock::manual(NOW), ..StoresSpec::new(&server.url()) }.start().await;
    server.cli(&["SET", LIST, "x"]).await;
    store.put(vec![kept("a")]).await.expect_err("it is no list");
    server.cli(&["DEL", LIST]).await;
    store.put(vec![kept("a")]).await.expect("kept now");
    assert_eq!(store.claim(&agent(), 10).await.expect("claimed").messages.len(), 1);
}

#[tokio::test]
async fn bytes_are_bounded_whoever_pushes_and_takes_out() {
    let server = RedisSpec::new().start().await;
    let limits = OfflineLimits { per_user_bytes: 200_000, ..OfflineLimits::default() };
    let store = StoresSpec { limits, clock: Clock::manual(NOW), ..StoresSpec::new(&server.url()) }.start().await;
    let length = async || server.cli(&["LLEN", LIST]).await.parse::<usize>().expect("a number");
    let text = "x".repeat(20_000);
    let payload = Payload::parse(&format!(r#"{{"x":"{text}"}}"#)).expect("an object");
    let put = async |id: String| {
        let message = OfflineMessage::of(&Event { payload: payload.clone(), ..event(&id) }).expect("it waits");
        store.put(vec![message]).await.expect("kept");
    };
    for n in 0..9 {
        put(format!("a{n}")).await;
    }
    server.cli(&["LTRIM", LIST, "0", "0"]).await;
    for n in 0..5 {
        put(format!("b{n}")).await;
    }
    assert_eq!(length().await, 6, "what was taken out by hand counts no more");
    let foreign = format!(r#"{{"type":"alert","payload":{{"x":"{text}"}}}}"#);
    let mut push = vec!["LPUSH", LIST];
    push.extend(std::iter::repeat_n(foreign.as_str(), 40));
    server.cli(&push).await;
    for n in 0..5 {
        put(format!("c{n}")).await;
    }
    let n_left = length().await;
    assert!((8..=14).contains(&n_left), "what others pushed counts, within what the allocator rounds up: {n_left}");
    let claim = store.claim(&agent(), 100).await.expect("claimed");
    assert_eq!(claim.messages.len() + claim.n_dropped as usize, 6 + 40 + 5, "and what is dropped is told");
}

#[tokio::test]
async fn many_that_are_too_old_are_dropped_in_steps_and_the_rest_comes() {
    let server = RedisSpec::new().start().await;
    let clock = Clock::manual(NOW);
    let store = StoresSpec { clock: clock.clone(), ..StoresSpec::new(&server.url()) }.start().await;
    store.put((0..1_700).map(|n| kept(&format!("old{n}"))).collect()).await.expect("kept");
    clock.advance(Duration::from_hours(8 * 24));
    let fresh = OfflineMessage { at: clock.now(), ..kept("fresh") };
    store.put(vec![fresh]).await.expect("kept");
    let calls = async || {
        let stats = server.cli(&["INFO", "commandstats"]).await;
        let of = |name: &str| stats.lines().find_map(|line| line.strip_prefix(name)?.split(',').next()?.parse().ok());
        of("cmdstat_evalsha:calls=").unwrap_or(0) + of("cmdstat_eval:calls=").unwrap_or(0_u64)
    };
    let before = calls().await;
    let claim = store.claim(&agent(), 10).await.expect("claimed");
    assert_eq!((claim.messages.len(), claim.n_dropped), (1, 1_700));
    assert!(calls().await >= before + 4, "at most 500 at a time, or others wait for all of them");
}

/// Every key but the list, with the programs' view of it.
async fn own_keys(server: &RedisServer) -> Vec<String> {
    let keys = server.cli(&["--raw", "KEYS", "*offline*"]).await;
    let mut keys: Vec<String> = keys.lines().filter(|key| *key != LIST).map(str::to_owned).collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn the_list_shows_what_waits_at_every_step() {
    let server = RedisSpec::new().start().await;
    let node = StoresSpec { clock: Clock::manual(NOW), ..StoresSpec::new(&server.url()) }.start().await;
    let length = async || server.cli(&["LLEN", LIST]).await;
    node.put(vec![kept("a"), kept("b"), kept("c")]).await.expect("put");
    assert_eq!(length().await, "3");
    let newest = server.cli(&["LINDEX", LIST, "0"]).await;
    assert_eq!(newest.as_bytes(), event("c").encode(), "newest first, the envelope as clients get it");
    let ttl: u64 = server.cli(&["TTL", LIST]).await.parse().expect("a number");
    assert!((1..=7 * 24 * 3_600).contains(&ttl), "{ttl}");

    let claim = node.claim(&agent(), 2).await.expect("claim");
    assert_eq!(envelopes(&claim), [event("a").encode(), event("b").encode()]);
    assert_eq!(length().await, "1");
    node.give_back(&agent(), &numbers(&claim)[1..]).await.expect("give back");
    let oldest = server.cli(&["LRANGE", LIST, "-1", "-1"]).await;
    assert_eq!((length().await.as_str(), oldest.as_bytes()), ("2", &*event("b").encode()));
    node.confirm(&agent(), &numbers(&claim)).await.expect("confirm");
    let claim = node.claim(&agent(), 9).await.expect("claim");
    assert_eq!(envelopes(&claim), [event("b").encode(), event("c").encode()]);
    node.confirm(&agent(), &numbers(&claim)).await.expect("confirm");
    assert_eq!((length().await.as_str(), own_keys(&server).await), ("0", vec![]), "nothing stays behind");
    assert_eq!(node.keepers.offline.metrics().kept.get(), 3);
}

#[tokio::test]
async fn every_key_of_ours_ends_by_itself() {
    let server = RedisSpec::new().start().await;
    let limits = OfflineLimits { per_user: 3, ..OfflineLimits::default() };
    let node = StoresSpec { limits, ..StoresSpec::new(&server.url()) }.start().await;
    let opaque = OfflineMessage { envelope: Bytes::from_static(b"opaque"), ..kept("c") };
    let at = Clock::system().now();
    let all = [kept("a"), kept("b"), opaque, kept("d")].map(|message| OfflineMessage { at, ..message });
    node.put(all.into()).await.expect("put");
    let claim = node.claim(&agent(), 3).await.expect("claim");
    assert_eq!((claim.messages.len(), claim.n_dropped), (3, 1));
    node.give_back(&agent(), &numbers(&claim)[..2]).await.expect("give back");
    node.put(vec![OfflineMessage { at, ..kept("e") }]).await.expect("put");
    let keys = own_keys(&server).await;
    assert_eq!(keys.len(), 5, "{keys:?}");
    for key in &keys {
        assert_ne!(server.cli(&["TTL", key]).await, "-1", "{key}");
        assert!(key.ends_with(&format!(":{{{LIST}}}")), "{key} is in the list's slot");
    }
}

#[tokio::test]
async fn foreign_envelopes_come_out_filled_and_in_their_order() {
    let server = RedisSpec::new().start().await;
    let node = StoresSpec { clock: Clock::manual(NOW), ..StoresSpec::new(&server.url()) }.start().await;
    let whole = r#"{"id":"f-1","type":"alert","payload":{},"timestamp":"2025-10-25T12:00:00Z","tenant_id":"tenant-123","user_id":456}"#;
    server.cli(&["LPUSH", LIST, r#"{"type":"alert","payload":{"a": 1.50}}"#, whole]).await;
    node.put(vec![kept("ours")]).await.expect("put");
    server.cli(&["LPUSH", LIST, r#"{"type":"alert","id":"f-2"}"#]).await;

    let claim = node.claim(&agent(), 9).await.expect("claim");
    let found = envelopes(&claim);
    let filled = String::from_utf8(found[0].to_vec()).expect("UTF-8");
    let head = r#"{"type":"alert","payload":{"a": 1.50},"timestamp":"2025-10-25T12:00:00.000Z","tenant_id":"tenant-123","user_id":456,"id":""#;
    assert!(filled.starts_with(head), "{filled}");
    assert_eq!(found[1], whole, "what lacks nothing stays as it is");
    assert_eq!(found[2], event("ours").encode());
    assert!(found[3].ends_with(br#""user_id":456,"id":"f-2"}"#));
    assert_eq!(claim.n_dropped, 0);

    node.give_back(&agent(), &numbers(&claim)).await.expect("give back");
    let again = node.claim(&agent(), 9).await.expect("claim");
    assert_eq!(envelopes(&again), found, "also the id that was given stays the same");
    node.confirm(&agent(), &numbers(&again)).await.expect("confirm");
    assert_eq!(own_keys(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn unfit_foreign_envelopes_are_dropped_and_what_waits_behind_them_is_served() {
    let server = RedisSpec::new().start().await;
    let node = StoresSpec { clock: Clock::manual(NOW), ..StoresSpec::new(&server.url()) }.start().await;
    let old = r#"{"type":"alert","id":"old","timestamp":"2025-10-01T12:00:00Z"}"#;
    let wrong = r#"{"type":"alert","tenant_id":"tenant-9"}"#;
    server.cli(&["LPUSH", LIST, "garbage", wrong, "{}", r#"{"type":"alert","id":"good"}"#, old]).await;
    node.put(vec![kept("ours")]).await.expect("put");
    let claim = node.claim(&agent(), 2).await.expect("claim");
    let found = envelopes(&claim);
    assert!(found[0].ends_with(br#""id":"good"}"#));
    assert_eq!((found.len(), &found[1][..]), (2, &*event("ours").encode()), "the page is full");
    assert_eq!(claim.n_dropped, 1, "the one that was too old");
    let metrics = node.keepers.offline.metrics();
    assert_eq!((metrics.refused.get(), metrics.dropped.get()), (3, 1));
    node.confirm(&agent(), &numbers(&claim)).await.expect("confirm");
    assert_eq!(server.cli(&["KEYS", "*offline*"]).await, "", "nothing stays behind");
}

/// What is left out makes room for other messages, not for other bytes.
#[tokio::test]
async fn a_page_with_unfit_envelopes_between_large_ones_has_its_bytes_once() {
    let server = RedisSpec::new().start().await;
    let node = StoresSpec { clock: Clock::manual(NOW), ..StoresSpec::new(&server.url()) }.start().await;
    let large = format!(r#"{{"type":"alert","payload":{{"pad":"{}"}}}}"#, "x".repeat(100_000));
    for _ in 0..25 {
        server.cli(&["LPUSH", LIST, "garbage"]).await;
        server.cli(&["LPUSH", LIST, &large]).await;
    }
    let mut n_messages = Vec::new();
    for _ in 0..3 {
        let claim = node.claim(&agent(), 100).await.expect("claim");
        let n_bytes: usize = envelopes(&claim).iter().map(Bytes::len).sum();
        assert!(n_bytes <= OFFLINE_PAGE_BYTES + 10 * 200, "{n_bytes} bytes; what is filled in comes on top");
        n_messages.push(claim.messages.len());
        node.confirm(&agent(), &numbers(&claim)).await.expect("confirm");
    }
    assert_eq!(n_messages, [10, 10, 5]);
}

#[tokio::test]
async fn a_list_that_was_emptied_by_hand_takes_messages_again() {
    let server = RedisSpec::new().start().await;
    let node = StoresSpec { clock: Clock::manual(NOW), ..StoresSpec::new(&server.url()) }.start().await;
    node.put(vec![kept("a"), kept("b")]).await.expect("put");
    let claim = node.claim(&agent(), 2).await.expect("claim");
    node.give_back(&agent(), &numbers(&claim)).await.expect("give back");
    server.cli(&["DEL", LIST]).await;
    node.put(vec![kept("b"), kept("c")]).await.expect("put");
    let claim = node.claim(&agent(), 9).await.expect("claim");
    assert_eq!(envelopes(&claim), [event("b").encode(), event("c").encode()]);
}

#[tokio::test]
async fn without_redis_every_call_says_so_in_time() {
    let mut server = RedisSpec::new().start().await;
    let mut spec = StoresSpec::new(&server.url());
    spec.config.command_timeout = Duration::from_millis(300);
    let node = spec.start().await;
    server.kill().await;
    node.put(vec![kept("a")]).await.expect_err("nobody keeps it");
    node.claim(&agent(), 9).await.expect_err("nobody knows");
    node.confirm(&agent(), &[hookswitch_hub::MessageNumber(1)]).await.expect_err("nobody hears it");
    node.give_back(&agent(), &[hookswitch_hub::MessageNumber(1)]).await.expect_err("nobody hears it");
    assert!(node.may_have(&agent()), "nobody knows");
}
