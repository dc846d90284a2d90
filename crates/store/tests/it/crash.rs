//! What survives: a process that ends without a word, at any moment.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use hookswitch_hub::{ChatSession, ChatSessionStore as _, OfflineLimits, OfflineMessage, OfflineStore as _, UserKey};
use hookswitch_protocol::{EventId, SessionKey, UserId, WebhookId};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_store::{Store, StoreConfig};
use hookswitch_webhooks::{DeliveryLedger as _, Fingerprint, Seen, WebhookDirectory as _};

use crate::rig::{FIRST_PAGE, Rig, duty, node, now, tenant, webhook, wish};

#[tokio::test]
async fn everything_answered_is_there_after_a_reopen() {
    let rig = Rig::new();
    let first = rig.open().await;
    let store = &first.store;
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    let mut chosen = duty("e-1", &[id]);
    chosen.fingerprint = Some(Fingerprint([1; 32]));
    store.enqueue(vec![chosen, duty("e-2", &[id])]).await.expect("enqueue");
    let leased = store.lease(wish(id, 1)).await.expect("lease");
    assert_eq!(leased.len(), 1);
    let agent = UserKey { tenant: tenant(), user: UserId::from(7) };
    let message = |id: &str| OfflineMessage {
        user: agent.clone(),
        event_id: EventId::parse(id).expect("legal"),
        envelope: Bytes::from(id.to_owned()),
        at: now(),
    };
    store.put(vec![message("a"), message("b")]).await.expect("put");
    assert_eq!(store.claim(&agent, 1).await.expect("claim").messages.len(), 1);
    let session =
        ChatSession { key: SessionKey::parse("s").expect("legal"), tenant: tenant(), alias: None, last_active: now() };
    store.start(&session, now()).await.expect("start");
    drop(first);

    let second = rig.open().await;
    let store = &second.store;
    assert_eq!(store.list(&tenant(), FIRST_PAGE).await.expect("list").rows[0].id, id);
    let ids = [(EventId::parse("e-1").expect("legal"), Fingerprint([1; 32]))];
    assert_eq!(store.look_up(&tenant(), &ids).await.expect("look up"), [Seen::Repeated]);
    assert_eq!(store.reclaim(&node()).await.expect("reclaim"), 1, "the former self's lease");
    let again = store.lease(wish(id, 9)).await.expect("lease");
    assert_eq!(again.len(), 2);
    assert!(again.iter().any(|one| one.delivery == leased[0].delivery && one.lease.fence > leased[0].lease.fence));
    assert!(store.may_have(&agent));
    let claim = store.claim(&agent, 9).await.expect("claim");
    let envelopes: Vec<&[u8]> = claim.messages.iter().map(|message| &message.envelope[..]).collect();
    assert_eq!(envelopes, [b"a", b"b"], "a claim does not survive its claimer, and the order stays");
    assert_eq!(store.live(session.last_active).await.expect("live"), [session]);
    second.close().await;
}

/// The child: stores one event after the other and says so each time, until it is killed.
#[tokio::test]
async fn child_that_is_killed() {
    #[expect(clippy::disallowed_methods, reason = "how the parent tells its child the path")]
    let Ok(path) = std::env::var("HOOKSWITCH_STORE_TEST_PATH") else { return };
    let scope = Scope::root("store");
    let store =
        Store::open(StoreConfig::new(path), OfflineLimits::default(), Clock::system(), &scope).await.expect("opens");
    for n in 0_u64.. {
        let id = format!("{}-{n}", std::process::id());
        store.enqueue(vec![duty(&id, &[WebhookId(1)])]).await.expect("enqueue");
        println!("stored {id}");
    }
}

fn start_child(rig: &Rig) -> Child {
    let program = std::env::current_exe().expect("this test has a program");
    Command::new(program)
        .args(["--exact", "crash::child_that_is_killed", "--nocapture", "--test-threads=1"])
        .env("HOOKSWITCH_STORE_TEST_PATH", rig.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts")
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_answered() {
    let rig = Rig::new();
    let mut answered = Vec::new();
    for round in 1..=3 {
        let mut child = start_child(&rig);
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let is_answer = |line: &String| line.contains("stored ");
        let enough = lines.by_ref().map_while(Result::ok).filter(is_answer).take(37 * round).collect::<Vec<_>>();
        child.kill().expect("kills");
        child.wait().expect("ends");
        answered.extend(enough);
        answered.extend(lines.map_while(Result::ok).filter(is_answer));
    }
    let mut operator = rig.operator();
    assert_eq!(operator.value("SELECT integrity_check AS value FROM pragma_integrity_check"), "ok");
    let stored = operator
        .values("SELECT event_id AS value FROM webhook_events e JOIN webhook_deliveries d ON d.event_row = e.id");
    assert!(answered.len() >= 37 * 6, "{}", answered.len());
    for line in answered {
        let id = line.split_once("stored ").map_or("", |(_, id)| id);
        assert!(stored.iter().any(|row| row == id), "{line} but it is not there");
    }
}
