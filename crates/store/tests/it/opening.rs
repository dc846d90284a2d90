//! Opening: who may, and what it says to those who may not.

use std::time::Duration;

use hookswitch_runtime::Clock;
use hookswitch_store::{StoreConfig, StoreError};

use crate::rig::{Rig, open};

#[tokio::test]
async fn the_second_opener_is_refused_until_the_first_is_gone() {
    let rig = Rig::new();
    let first = rig.open().await;
    let impatient = StoreConfig { lock_wait: Duration::from_millis(50), ..rig.config() };
    let refused = open(impatient, Clock::system()).await.err().expect("refused");
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains("stop it"), "it says what to do: {refused}");
    // Dropped without a word, as in a crash: the next opener waits for the writer to end.
    drop(first);
    rig.open().await.close().await;
    rig.open().await.close().await;
}

#[tokio::test]
async fn a_path_that_cannot_be_is_named() {
    let rig = Rig::new();
    let error = async |path: &str| {
        let config = StoreConfig::new(rig.path().with_file_name(path));
        open(config, Clock::system()).await.err().expect("refused")
    };
    let missing = error("no-such-directory/x.db").await;
    assert!(matches!(&missing, StoreError::NoDirectory { directory } if directory.ends_with("no-such-directory")));
    assert!(matches!(error("").await, StoreError::File { .. }), "a directory is no database");
    std::fs::write(rig.path(), "this is no database, however long one looks at it").expect("writes");
    assert!(matches!(error("hookswitch.db").await, StoreError::File { .. }));
    let memory = open(StoreConfig::new(":memory:"), Clock::system()).await.err().expect("refused");
    assert!(matches!(memory, StoreError::InMemory));
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let rig = Rig::new();
    rig.open().await.close().await;
    let mode = std::fs::metadata(rig.path()).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds secrets");
}
