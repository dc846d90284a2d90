//! Public chat sessions: the promise, their keys, and a server that comes back empty.

use std::time::Duration;

use hookswitch_hub::{ChatSession, ChatSessionStore, SessionStart};
use hookswitch_protocol::{SessionKey, TenantId};
use hookswitch_runtime::Clock;
use hookswitch_testkit::{PATIENCE, RedisCluster, RedisServer, RedisSpec, contract, eventually};

use crate::stores::{Stores, StoresSpec};

const SILENCE: Duration = Duration::from_hours(24);

async fn keeps_the_promise(url: &str) {
    contract::chat::check_shared(async |clock| StoresSpec { clock, ..StoresSpec::new(url).apart() }.start().await)
        .await;
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

fn key(text: &str) -> SessionKey {
    SessionKey::parse(text).expect("legal")
}

fn tenant(text: &str) -> TenantId {
    TenantId::parse(text).expect("legal")
}

fn session(of: &str, name: &str) -> ChatSession {
    let alias = Some(key(&format!("{name} of {of}")));
    ChatSession { key: key(name), tenant: tenant(of), alias, last_active: Clock::system().now() }
}

async fn start(node: &Stores, session: &ChatSession) {
    let started = node.start(session, session.last_active.before(SILENCE)).await.expect("start");
    assert_eq!(started, SessionStart::Live, "{session:?}");
}

async fn find(node: &Stores, name: &str) -> Option<ChatSession> {
    node.shared().expect("shared").find(&key(name)).await.expect("find")
}

async fn restore(node: &Stores, sessions: &[&ChatSession]) {
    let sessions = sessions.iter().map(|session| (*session).clone()).collect();
    node.shared().expect("shared").restore(sessions).await.expect("restore");
}

#[tokio::test]
async fn every_key_ends_by_itself_after_the_silence() {
    let server = RedisSpec::new().start().await;
    let node = StoresSpec::new(&server.url()).start().await;
    start(&node, &session("tenant-1", "chat-1")).await;
    for name in ["callcenter:chat:chat-1", "callcenter:chat-alias:tenant-1:chat-1 of tenant-1"] {
        let ttl: u64 = server.cli(&["TTL", name]).await.parse().expect(name);
        assert!((86_000..=86_400).contains(&ttl), "{name}: {ttl}");
    }
    node.end(&tenant("tenant-1"), &key("chat-1")).await.expect("end");
    assert_eq!(server.cli(&["EXISTS", "callcenter:chat:chat-1"]).await, "0");
}

#[tokio::test]
async fn what_one_node_starts_and_ends_every_node_knows() {
    let server = RedisSpec::new().start().await;
    let spec = StoresSpec::new(&server.url());
    let (one, other) = (spec.start().await, spec.start().await);
    let chat = session("tenant-1", "chat-1");
    start(&one, &chat).await;
    assert_eq!(find(&other, "chat-1").await, Some(chat.clone()));
    let foreign = session("tenant-2", "chat-1");
    let taken = other.start(&foreign, foreign.last_active.before(SILENCE)).await.expect("start");
    assert_eq!(taken, SessionStart::Taken);
    other.end(&chat.tenant, &chat.key).await.expect("end");
    assert_eq!(find(&one, "chat-1").await, None);
}

/// The server loses everything; both nodes notice, and are connected again.
async fn lose(server: &mut RedisServer, nodes: [&Stores; 2]) {
    server.kill().await;
    for node in nodes {
        eventually("the loss is noticed", PATIENCE, async || node.keepers.link.check().is_err()).await;
    }
    server.restart().await;
    for node in nodes {
        let shared = node.shared().expect("shared");
        eventually("the node is connected again", PATIENCE, async || {
            node.keepers.link.check().is_ok() && shared.find(&key("nobody")).await.is_ok()
        })
        .await;
    }
}

#[tokio::test]
async fn a_server_that_comes_back_empty_gets_its_sessions_back() {
    let mut server = RedisSpec::new().start().await;
    let mut spec = StoresSpec::new(&server.url());
    spec.config.command_timeout = Duration::from_secs(2);
    let (one, other) = (spec.start().await, spec.start().await);
    let (kept, ended, taken) =
        (session("tenant-1", "kept"), session("tenant-1", "ended"), session("tenant-1", "taken"));
    for chat in [&kept, &ended, &taken] {
        start(&one, chat).await;
    }
    assert_eq!(find(&other, "kept").await.as_ref(), Some(&kept));
    lose(&mut server, [&one, &other]).await;
    assert_eq!(find(&one, "kept").await, None);
    let new_owner = session("tenant-2", "taken");
    start(&other, &new_owner).await;

    restore(&one, &[&kept, &ended, &taken]).await;
    assert_eq!(find(&other, "kept").await.as_ref(), Some(&kept));
    let shared = other.shared().expect("shared");
    let by_name = shared.find_alias(&kept.tenant, kept.alias.as_ref().expect("named")).await.expect("find");
    assert_eq!(by_name, Some(kept.clone()), "its name is back too");
    assert_eq!(find(&one, "taken").await, Some(new_owner), "whoever started it meanwhile has it");
    assert_eq!(one.keepers.chat.metrics().restored.get(), 2);

    one.end(&ended.tenant, &ended.key).await.expect("end");
    restore(&one, &[&kept, &ended]).await;
    assert_eq!(find(&one, "ended").await, None, "it was put back once, and has ended since");
    let other_knew = session("tenant-1", "of the other");
    restore(&other, &[&other_knew]).await;
    assert_eq!(find(&one, "of the other").await, Some(other_knew), "every node puts back what it knew");
}

#[tokio::test]
async fn what_was_silent_too_long_is_not_put_back() {
    let mut server = RedisSpec::new().start().await;
    let mut spec = StoresSpec::new(&server.url());
    spec.config.command_timeout = Duration::from_secs(2);
    let (one, other) = (spec.start().await, spec.start().await);
    let fresh = session("tenant-1", "fresh");
    let silent = ChatSession { last_active: fresh.last_active.before(SILENCE), ..session("tenant-1", "silent") };
    start(&one, &fresh).await;
    lose(&mut server, [&one, &other]).await;
    restore(&one, &[&fresh, &silent]).await;
    assert_eq!((find(&one, "silent").await, find(&one, "fresh").await), (None, Some(fresh)));
}

#[tokio::test]
async fn a_server_that_was_emptied_is_found_out_though_no_connection_broke() {
    let server = RedisSpec::new().start().await;
    let node = crate::presence::node(&server.url()).await;
    let session = session("t", "k");
    let silent_before = session.last_active.before(SILENCE);
    node.keepers.chat.start(&session, silent_before).await.expect("start");
    let shared = node.keepers.chat.shared().expect("shared");
    assert!(!shared.may_have_lost().await.expect("asked"));
    server.cli(&["FLUSHALL"]).await;
    let n_losses = || node.heard.n_losses.load(std::sync::atomic::Ordering::Relaxed);
    eventually("it is told", PATIENCE, async || n_losses() > 0).await;
    assert!(shared.may_have_lost().await.expect("asked"));
    shared.restore(vec![session.clone()]).await.expect("restore");
    assert!(!shared.may_have_lost().await.expect("asked"), "it is put back");
    assert_eq!(shared.find(&session.key).await.expect("find").map(|found| found.tenant), Some(tenant("t")));
    assert!(node.keepers.link.check().is_ok());
}
