//! The steps of the schema: by whom, in which order, and back.

use hookswitch_runtime::Clock;
use hookswitch_store::migrations::{self, Database};
use hookswitch_store::{MySqlConfig, StoreError};
use hookswitch_testkit::{MariaDb, MariaDbServer};
use hookswitch_webhooks::{DeliveryLedger as _, WebhookDirectory as _};

use super::rig::{config, open};
use crate::rig::{duty, tenant, webhook, wish};

const TABLES: &str = "SELECT table_name FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_name NOT LIKE '\\_\\_%' ORDER BY table_name";

/// How the server says that it would make each table.
async fn schema(database: &MariaDb) -> Vec<String> {
    let mut tables = Vec::new();
    for table in database.sql(TABLES).await.lines() {
        tables.push(database.sql(&format!("SHOW CREATE TABLE {table}")).await);
    }
    tables
}

fn target(database: &MariaDb) -> Database {
    Database::MySql(Box::new(MySqlConfig::parse_url(&database.url()).expect("a URL")))
}

#[tokio::test]
async fn down_and_up_again_is_the_same_schema_and_every_step_may_run_twice() {
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    let target = target(&database);
    assert!(migrations::status(&target).await.expect("status").iter().all(|step| !step.is_applied));
    let taken = migrations::up(&target).await.expect("up");
    assert!(taken.len() >= 7 && taken[0] == "20261121090000_create-webhooks", "{taken:?}");
    let first = schema(&database).await;
    assert_eq!(first.len(), 12, "{first:#?}");
    assert_eq!(migrations::up(&target).await.expect("up twice"), [""; 0]);
    let mut reverted = Vec::new();
    while let Some(step) = migrations::down(&target).await.expect("down") {
        reverted.push(step);
    }
    reverted.reverse();
    assert_eq!(reverted, taken);
    assert_eq!(database.sql(TABLES).await, "");
    migrations::up(&target).await.expect("up again");
    assert_eq!(schema(&database).await, first);
    database.sql("DELETE FROM __diesel_schema_migrations").await;
    migrations::up(&target).await.expect("every step a second time");
    assert_eq!(schema(&database).await, first);
    assert!(migrations::status(&target).await.expect("status").iter().all(|step| step.is_applied && step.is_known));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_do_not_get_into_each_others_way() {
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    let start = || open(config(&database), Clock::system());
    let (one, two, three, four) = tokio::join!(start(), start(), start(), start());
    for opened in [one, two, three, four] {
        opened.expect("opens").close().await;
    }
}

#[tokio::test]
async fn an_old_or_a_newer_schema_is_refused_unless_the_steps_may_be_taken() {
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    let runs = || MySqlConfig { migrates: false, ..config(&database) };
    let refused = open(runs(), Clock::system()).await.err().expect("no tables");
    let text = refused.to_string();
    assert!(matches!(refused, StoreError::Behind { .. }), "{text}");
    assert!(text.contains("20261121090000_create-webhooks") && text.contains("hookswitch migrate up"), "{text}");
    assert_eq!(database.sql("SHOW TABLES").await, "", "nothing was touched");
    open(config(&database), Clock::system()).await.expect("takes the steps").close().await;
    open(runs(), Clock::system()).await.expect("opens").close().await;
    database.sql("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')").await;
    let refused = open(config(&database), Clock::system()).await.err().expect("newer");
    assert!(matches!(&refused, StoreError::Newer { migration, .. } if migration == "29991231000000"), "{refused}");
    assert!(migrations::up(&target(&database)).await.is_err());
    assert!(migrations::down(&target(&database)).await.is_err(), "a step that nobody here knows stays");
}

/// The rights named in `docs/operations.md`.
#[tokio::test]
async fn a_node_runs_without_the_right_to_change_tables() {
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    migrations::up(&target(&database)).await.expect("up");
    let grant = format!(
        "CREATE USER node@'127.0.0.1' IDENTIFIED BY 'nodes-password';
         GRANT SELECT, INSERT, UPDATE, DELETE ON {}.* TO node@'127.0.0.1'",
        database.name()
    );
    database.sql(&grant).await;
    let url = format!("mysql://node:nodes-password@{}/{}", server.addr(), database.name());
    let opened = open(MySqlConfig::parse_url(&url).expect("a URL"), Clock::system()).await.expect("opens");
    let id = opened.store.create(&tenant(), webhook("x")).await.expect("create").id;
    opened.store.enqueue(vec![duty("e", &[id])]).await.expect("enqueue");
    assert_eq!(opened.store.lease(wish(id, 1)).await.expect("lease").len(), 1);
    opened.store.version().await.expect("version");
    opened.close().await;
}
