//! A server that is no longer the one: gone from its port, or reading only while the way leads elsewhere.

use hookswitch_runtime::Clock;
use hookswitch_store::MySqlConfig;
use hookswitch_store::migrations::{self, Database};
use hookswitch_testkit::{FaultProxy, MariaDb, MariaDbServer, MariaDbSpec, PATIENCE, eventually};
use hookswitch_webhooks::{AttemptLog as _, DeliveryLedger as _, DeliveryStats, Page, WebhookDirectory as _};

use super::rig::{Opened, Rig, open};
use crate::rig::{duty, now, tenant, webhook};

/// The tables, with this webhook only, by way of this address.
async fn prepare(database: &MariaDb, addr: &str, name: &str) {
    let target = Database::MySql(Box::new(MySqlConfig::parse_url(&database.url_at(addr)).expect("a URL")));
    migrations::up(&target).await.expect("up");
    let row = format!(
        "INSERT INTO webhooks (tenant_id, name, url, events) VALUES ('{}', '{name}', 'https://x', '[]')",
        tenant()
    );
    database.sql(&row).await;
}

/// What two ways of reading say that the webhooks are called; several at once, so that connections are many. An
/// answer that does not come says nothing.
async fn names(opened: &Opened) -> Vec<String> {
    let read = || async {
        let owner = tenant();
        let (all, listed) = tokio::join!(opened.store.all(), opened.store.list(&owner, Page::first(9)));
        let listed = listed.into_iter().flat_map(|listed| listed.rows);
        all.into_iter().flatten().chain(listed).map(|webhook| webhook.name).collect()
    };
    let (one, two, three, four): (Vec<_>, Vec<_>, Vec<_>, Vec<_>) = tokio::join!(read(), read(), read(), read());
    let mut names = [one, two, three, four].concat();
    names.sort_unstable();
    names.dedup();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_on_the_same_port_is_read_and_written_as_soon_as_it_is_there() {
    let mut rig = Rig::start().await;
    rig.store().create(&tenant(), webhook("former")).await.expect("create");
    assert_eq!(names(&rig.opened).await, ["former"]);
    let addr = rig.server.addr();
    let port = addr.rsplit(':').next().expect("a port");
    rig.server.kill().await;
    let next = MariaDbSpec::new().setting("port", port).start().await;
    let database = next.create_database().await;
    prepare(&database, &addr, "present").await;
    eventually("it reads what is there", PATIENCE, async || names(&rig.opened).await == ["present"]).await;
    for _ in 0..20 {
        assert_eq!(names(&rig.opened).await, ["present"], "and never again what was");
    }
    eventually("it writes there", PATIENCE, async || rig.store().enqueue(vec![duty("e", &[])]).await.is_ok()).await;
    rig.opened.close().await;
}

/// A login that a server which only reads refuses to write for.
async fn node(database: &MariaDb) {
    let grant = format!(
        "CREATE USER node@'127.0.0.1' IDENTIFIED BY 'nodes-password';
         GRANT SELECT, INSERT, UPDATE, DELETE ON {}.* TO node@'127.0.0.1'",
        database.name()
    );
    database.sql(&grant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_leave_a_server_that_only_reads_any_more_with_the_first_write_that_it_refuses() {
    let (former, present) = tokio::join!(MariaDbServer::start(), MariaDbServer::start());
    let (old, new) = (former.create_database().await, present.create_database().await);
    for (database, addr, name) in [(&old, former.addr(), "former"), (&new, present.addr(), "present")] {
        prepare(database, &addr, name).await;
        node(database).await;
    }
    let proxy = FaultProxy::start(&former.addr()).await;
    let url = format!("mysql://node:nodes-password@{}/{}", proxy.addr(), old.name());
    let opened = open(MySqlConfig::parse_url(&url).expect("a URL"), Clock::system()).await.expect("opens");
    assert_eq!(names(&opened).await, ["former"]);
    old.sql("SET GLOBAL read_only = 1").await;
    proxy.lead_to(&present.addr());
    assert_eq!(names(&opened).await, ["former"], "nobody can know yet");
    let refused = opened.store.create(&tenant(), webhook("mine")).await;
    assert!(refused.is_err(), "it only reads");
    eventually("what is created can be read", PATIENCE, async || {
        let Ok(created) = opened.store.create(&tenant(), webhook("mine")).await else { return false };
        opened.store.get(&tenant(), created.id).await.is_ok_and(|found| found.is_some())
    })
    .await;
    assert_eq!(names(&opened).await, ["mine", "present"], "all of them");
    let known = opened.store.stats(&tenant(), hookswitch_protocol::WebhookId(1), now()).await.expect("figures");
    assert_eq!(known, DeliveryStats { total: 0, successful: 0, avg_latency_ms: 0.0 });
    opened.close().await;
}
