//! Secrets are sealed where there is a key.

use hookswitch_runtime::Clock;
use hookswitch_store::{MySqlConfig, StoreError};
use hookswitch_testkit::MariaDbServer;

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
