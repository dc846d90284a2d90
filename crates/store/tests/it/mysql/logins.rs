//! Accounts with other plugins than the usual one.

use hookswitch_runtime::Clock;
use hookswitch_store::{MySqlConfig, StoreError};
use hookswitch_testkit::{PATIENCE, eventually};
use hookswitch_webhooks::WebhookDirectory as _;

use super::rig::{Rig, open};
use crate::rig::{tenant, webhook};

#[tokio::test]
async fn an_account_of_the_ed25519_plugin_logs_in_also_when_it_became_one_while_running() {
    let rig = Rig::start().await;
    let name = rig.database.name();
    rig.database
        .sql(&format!(
            "INSTALL SONAME 'auth_ed25519';
             CREATE USER ed@'127.0.0.1' IDENTIFIED VIA ed25519 USING PASSWORD('eds-password');
             GRANT ALL ON {name}.* TO ed@'127.0.0.1'"
        ))
        .await;
    let at = |login: &str| format!("mysql://{login}@{}/{name}", rig.server.addr());
    let config = |login: &str| MySqlConfig::parse_url(&at(login)).expect("a URL");
    let opened = open(config("ed:eds-password"), Clock::system()).await.expect("opens");
    opened.store.create(&tenant(), webhook("x")).await.expect("create");
    opened.close().await;
    let refused = open(config("ed:wrong"), Clock::system()).await.err().expect("a wrong password");
    assert!(matches!(refused, StoreError::NoServer { .. }), "{refused:?}");
    rig.database
        .sql(&format!(
            "CREATE USER changed@'127.0.0.1' IDENTIFIED BY 'changes';
             GRANT ALL ON {name}.* TO changed@'127.0.0.1'"
        ))
        .await;
    let running = open(config("changed:changes"), Clock::system()).await.expect("opens");
    rig.database
        .sql("ALTER USER changed@'127.0.0.1' IDENTIFIED VIA ed25519 USING PASSWORD('changes'); KILL USER changed")
        .await;
    let create = async || running.store.create(&tenant(), webhook("y")).await.is_ok();
    eventually("it logs in anew", PATIENCE, create).await;
    running.close().await;
    rig.opened.close().await;
}

#[tokio::test]
async fn a_plugin_that_nobody_here_knows_is_an_error_in_words() {
    let rig = Rig::start().await;
    let installed = rig
        .database
        .try_sql("INSTALL SONAME 'auth_pam'; CREATE USER odd@'127.0.0.1' IDENTIFIED VIA pam USING 'mariadb'")
        .await;
    installed.expect("this server has the plugin");
    let url = format!("mysql://odd:odds-password@{}/{}", rig.server.addr(), rig.database.name());
    let refused = open(MySqlConfig::parse_url(&url).expect("a URL"), Clock::system()).await.err().expect("unknown");
    let StoreError::NoServer { source, .. } = &refused else { panic!("{refused:?}") };
    let words = format!("{source:?}");
    assert!(words.contains("plugin"), "{words}");
    assert!(!words.contains("odds-password"), "{words}");
    rig.opened.close().await;
}
