//! Secrets are sealed where there is a key.

use hookswitch_runtime::Clock;
use hookswitch_store::{MySqlConfig, StoreError};
use hookswitch_testkit::MariaDbServer;
use hookswitch_webhooks::WebhookDirectory as _;

use super::rig::{config, open};
use crate::seals::{fill, keys};

const KEY: &str = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";

#[tokio::test]
async fn with_a_key_nothing_stands_in_clear_and_without_it_the_store_does_not_open() {
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    let with_key = MySqlConfig { secret_keys: keys(KEY), ..config(&database) };
    let opened = open(with_key.clone(), Clock::system()).await.expect("opens");
    fill(&opened.store).await;
    opened.close().await;
    let row = database.sql("SELECT * FROM webhooks").await;
    assert!(row.contains("v1:") && !row.contains("hunter"), "{row}");
    let error = open(config(&database), Clock::system()).await.err().expect("sealed");
    assert!(matches!(error, StoreError::Sealed { n_rows: 1, .. }), "{error}");
    open(with_key, Clock::system()).await.expect("opens").close().await;
}

/// As while a key is given to one node after the other.
#[tokio::test]
async fn a_node_without_the_key_still_knows_whose_events_to_store() {
    let server = MariaDbServer::start().await;
    let database = server.create_database().await;
    let with_key = MySqlConfig { secret_keys: keys(KEY), ..config(&database) };
    let (without, with) = (open(config(&database), Clock::system()).await, open(with_key, Clock::system()).await);
    let (without, with) = (without.expect("opens"), with.expect("opens"));
    fill(&with.store).await;
    let theirs = with.store.all().await.expect("all").remove(0);
    let ours = without.store.all().await.expect("all").remove(0);
    assert_eq!((ours.id, &ours.events, ours.options.rate_limit), (theirs.id, &theirs.events, Some(5)));
    assert_eq!((ours.secret, ours.previous_secret, ours.options.headers.len()), (None, None, 0));
    assert_eq!(without.store.get(&theirs.tenant, theirs.id).await.expect("get"), None, "to send to, it is not there");
    without.close().await;
    with.close().await;
}
