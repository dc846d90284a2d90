//! A server that is gone, hangs or refuses.

use std::time::Duration;

use hookswitch_runtime::Clock;
use hookswitch_store::{MySqlConfig, StoreError};
use hookswitch_testkit::{Fault, FaultProxy, MariaDbServer, PATIENCE, eventually};
use hookswitch_webhooks::{DeliveryLedger as _, WebhookDirectory as _};
use tokio::time::Instant;

use super::rig::{Opened, Rig, config, open};
use crate::rig::{duty, sweep, tenant, webhook};

/// How long a call may take when every wait of the store is a second: one that had to be given up,
/// and one more for the queue behind it.
const SOON: Duration = Duration::from_secs(5);

fn impatient(config: MySqlConfig) -> MySqlConfig {
    let second = Duration::from_secs(1);
    MySqlConfig { wait: second, connect_wait: second, answer_wait: second, ..config }
}

/// Asks in every way and expects errors, soon.
async fn expect_unavailable(opened: &Opened) {
    let started = Instant::now();
    let store = &opened.store;
    let (accepted, listed, swept, checked) = tokio::join!(
        store.enqueue(vec![duty("lost", &[])]),
        store.all(),
        store.sweep(sweep(Clock::system().now())),
        store.check_writing(),
    );
    for error in [
        accepted.map(drop).map_err(anyhow_like),
        listed.map(drop).map_err(anyhow_like),
        swept.map(drop).map_err(anyhow_like),
        checked.map_err(anyhow_like),
    ] {
        let text = error.expect_err("nobody is told that it worked");
        assert!(!text.contains("hubs-password"), "{text}");
    }
    assert!(started.elapsed() < SOON, "after {:?}", started.elapsed());
}

/// The whole chain of an error, as a log shows it.
fn anyhow_like(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

async fn expect_recovery(opened: &Opened) {
    let store = &opened.store;
    eventually("writing works again", PATIENCE, async || store.enqueue(vec![duty("later", &[])]).await.is_ok()).await;
    eventually("reading works again", PATIENCE, async || store.all().await.is_ok()).await;
    eventually("it is ready again", PATIENCE, async || store.check_writing().await.is_ok()).await;
}

#[tokio::test]
async fn a_server_that_was_killed_is_used_again_when_it_is_back() {
    let mut rig = Rig::start().await;
    let id = rig.store().create(&tenant(), webhook("x")).await.expect("create").id;
    rig.store().enqueue(vec![duty("before", &[id])]).await.expect("enqueue");
    rig.store().all().await.expect("reads");
    rig.server.kill().await;
    expect_unavailable(&rig.opened).await;
    rig.server.restart().await;
    expect_recovery(&rig.opened).await;
    assert_eq!(rig.store().all().await.expect("reads").len(), 1);
    assert_eq!(rig.database.sql("SELECT COUNT(*) FROM webhook_deliveries").await, "1");
    rig.opened.close().await;
}

#[tokio::test]
async fn a_server_that_hangs_is_an_error_in_time_and_is_used_again_when_it_goes_on() {
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    let opened = open(impatient(config(&database)), Clock::system()).await.expect("opens");
    opened.store.all().await.expect("reads");
    server.suspend();
    for _ in 0..3 {
        expect_unavailable(&opened).await;
    }
    server.resume();
    expect_recovery(&opened).await;
    opened.close().await;
}

#[tokio::test]
async fn a_line_that_swallows_everything_is_an_error_in_time() {
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    let proxy = FaultProxy::start(&server.addr()).await;
    let config =
        MySqlConfig { migrates: true, ..MySqlConfig::parse_url(&database.url_at(proxy.addr())).expect("a URL") };
    let opened = open(impatient(config), Clock::system()).await.expect("opens");
    opened.store.all().await.expect("reads");
    for fault in [Fault::Stall, Fault::Cut, Fault::Refuse] {
        proxy.set(fault);
        if fault == Fault::Refuse {
            // Those that exist live on.
            opened.store.all().await.expect("reads");
        } else {
            expect_unavailable(&opened).await;
        }
        proxy.heal();
        expect_recovery(&opened).await;
    }
    opened.close().await;
}

#[tokio::test]
async fn connections_ended_by_the_server_while_idle_are_not_noticed_by_callers() {
    let rig = Rig::start().await;
    rig.store().all().await.expect("reads");
    // Longer than an idle connection is trusted without a question.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    rig.database.sql("KILL USER hub").await;
    rig.store().all().await.expect("reads");
    rig.store().enqueue(vec![duty("e", &[])]).await.expect("writes");
    rig.opened.close().await;
}

#[tokio::test]
async fn a_server_that_does_not_let_us_in_is_told_without_the_password() {
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    let wrong = database.url().replace(database.password(), "wrong-password");
    let nowhere = database.url_at("127.0.0.1:1");
    for (url, reason) in [(wrong, "Access denied"), (nowhere, "refused")] {
        let config = MySqlConfig::parse_url(&url).expect("a URL");
        let error = open(config, Clock::system()).await.err().expect("not let in");
        assert!(matches!(error, StoreError::NoServer { .. }), "{error}");
        let text = anyhow_like(error);
        assert!(text.contains(reason) && text.contains("hub@127.0.0.1"), "{text}");
        assert!(!text.contains("wrong-password") && !text.contains(database.password()), "{text}");
    }
}
