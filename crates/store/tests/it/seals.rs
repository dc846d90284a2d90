//! Secrets are sealed where there is a key, on whichever database.

use hookswitch_protocol::{Secret, Timestamp};
use hookswitch_runtime::Clock;
use hookswitch_store::{SecretKeys, StoreConfig, StoreError};
use hookswitch_webhooks::{
    CustomHeader, HeaderChange, NewWebhook, OptionsChange, WebhookChange, WebhookDirectory, WebhookOptions,
};

use crate::rig::{Rig, open, tenant, webhook};

const OLD: &str = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";
const NEW: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub(crate) fn keys(text: &str) -> SecretKeys {
    SecretKeys::parse(text).expect("good")
}

/// Makes a webhook with secrets in every place, and finds them again.
pub(crate) async fn fill(directory: &impl WebhookDirectory) {
    let header = CustomHeader { name: "X-Key".to_owned(), value: Secret::new("hunter-header") };
    let options = WebhookOptions { headers: vec![header], rate_limit: Some(5), ..WebhookOptions::default() };
    let new = NewWebhook { secret: Some(Secret::new("hunter-first")), options: options.clone(), ..webhook("sealed") };
    let made = directory.create(&tenant(), new).await.expect("create");
    let until = Timestamp::parse("2030-01-01T00:00:00Z").expect("legal");
    let rotated = directory.rotate_secret(&tenant(), made.id, Secret::new("hunter-second"), until).await;
    let rotated = rotated.expect("rotate").expect("theirs");
    assert_eq!((rotated.secret.as_ref(), &rotated.options), (Some(&Secret::new("hunter-second")), &options));
    assert_eq!(rotated.previous_secret.map(|former| former.secret), Some(Secret::new("hunter-first")));
    // A header that keeps its value is sealed anew and reads the same.
    let kept = vec![HeaderChange { name: "x-key".to_owned(), value: None }];
    let options = OptionsChange { headers: Some(kept), ..OptionsChange::default() };
    let change = WebhookChange { options, ..WebhookChange::default() };
    let changed = directory.update(&tenant(), made.id, change).await.expect("update").expect("theirs");
    assert_eq!(changed.options.header("X-KEY"), Some(&Secret::new("hunter-header")));
}

async fn open_with(rig: &Rig, text: &str) -> Result<crate::rig::Opened, StoreError> {
    open(StoreConfig { secret_keys: keys(text), ..rig.config() }, Clock::system()).await
}

#[tokio::test]
async fn with_a_key_nothing_stands_in_clear_and_without_it_the_store_does_not_open() {
    let rig = Rig::new();
    let opened = open_with(&rig, OLD).await.expect("opens");
    fill(&opened.store).await;
    opened.close().await;
    let mut operator = rig.operator();
    let row = operator.value(
        "SELECT id || IFNULL(secret, '-') || IFNULL(previous_secret, '-') || secret_sealed || previous_secret_sealed
             || options AS value FROM webhooks",
    );
    assert!(row.contains("v1:") && !row.contains("hunter"), "{row}");
    for text in ["", NEW] {
        let error = open_with(&rig, text).await.err().expect("sealed");
        assert!(matches!(error, StoreError::Sealed { n_rows: 1, .. }), "{error}");
        assert!(error.to_string().contains("WEBHOOK_SECRET_KEY"), "{error}");
    }
    // The new key seals from now on, the old one still opens.
    let opened = open_with(&rig, &format!("{NEW},{OLD}")).await.expect("opens");
    let found = opened.store.all().await.expect("all").remove(0);
    let secret = Some(Secret::new("hunter-third"));
    let change = WebhookChange { secret, ..WebhookChange::default() };
    opened.store.update(&tenant(), found.id, change).await.expect("update");
    // By hand, in clear: it works, and the next change seals it, whatever it changes.
    operator.run("UPDATE webhooks SET secret = 'hunter-hand'");
    let found = opened.store.all().await.expect("all").remove(0);
    assert_eq!(found.secret, Some(Secret::new("hunter-hand")));
    let change = WebhookChange { name: Some("renamed".to_owned()), ..WebhookChange::default() };
    let renamed = opened.store.update(&tenant(), found.id, change).await.expect("update").expect("theirs");
    assert_eq!((&renamed.secret, &renamed.options), (&found.secret, &found.options));
    assert_eq!(operator.value("SELECT IFNULL(secret, 'none') AS value FROM webhooks"), "none");
    let (tenant, now) = (tenant(), Clock::system().now());
    let rotated = opened.store.rotate_secret(&tenant, found.id, Secret::new("hunter-last"), now);
    let rotated = rotated.await.expect("rotate").expect("theirs");
    assert_eq!(rotated.previous_secret.map(|former| former.secret), Some(Secret::new("hunter-hand")));
    assert_eq!(operator.value("SELECT IFNULL(secret, 'none') AS value FROM webhooks"), "none");
    opened.close().await;
    open_with(&rig, NEW).await.expect("nothing needs the former key any more").close().await;
}

#[tokio::test]
async fn a_sealed_secret_that_somebody_changed_is_never_read_as_none() {
    let rig = Rig::new();
    let opened = open_with(&rig, OLD).await.expect("opens");
    fill(&opened.store).await;
    rig.operator().run("UPDATE webhooks SET tenant_id = 'tenant-456'");
    assert_eq!(opened.store.all().await.expect("all"), [], "a seal holds for its own tenant only");
    opened.close().await;
    assert!(matches!(open_with(&rig, OLD).await, Err(StoreError::Sealed { .. })));
}
