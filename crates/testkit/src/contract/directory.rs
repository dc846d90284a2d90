//! What every `WebhookDirectory` promises.

use std::time::Duration;

use hookswitch_protocol::{Retry, Secret, WebhookId};
use hookswitch_runtime::Clock;
use hookswitch_webhooks::{
    DirectoryError, DirectoryVersion, DisableReason, Disabled, HeaderChange, NewWebhook, OptionsChange, OrderedBy,
    Page, PreviousSecret, RetryProfile, Webhook, WebhookChange, WebhookHealth, WebhookOptions, WebhookSeams,
};

use super::webhook_rig::{ALL, Rig, START, new_webhook, tenant};

/// Tries every sentence of the promise, each on a keeper of its own made by `open`. The keeper must
/// take its time from the clock it is given.
///
/// # Panics
/// When a sentence does not hold; the message says which.
pub async fn check(open: impl AsyncFn(Clock) -> WebhookSeams) {
    what_was_created_is_found(&Rig::open(&open).await).await;
    a_webhook_is_found_only_under_its_own_tenant(&Rig::open(&open).await).await;
    a_tenant_has_no_more_than_it_may(&Rig::open(&open).await).await;
    a_list_is_oldest_first_in_pages(&Rig::open(&open).await).await;
    a_list_of_heavy_webhooks_is_cut_and_goes_on(&Rig::open(&open).await).await;
    an_update_changes_what_it_names(&Rig::open(&open).await).await;
    a_deleted_webhook_is_gone(&Rig::open(&open).await).await;
    the_table_gets_all_that_are_not_deleted(&Rig::open(&open).await).await;
    every_option_comes_back(&Rig::open(&open).await).await;
    a_rotated_secret_leaves_the_former_one_valid(&Rig::open(&open).await).await;
    disabling_happens_once_and_ends_with_switching_on(&Rig::open(&open).await).await;
    the_version_changes_with_every_row(&Rig::open(&open).await).await;
}

async fn version(rig: &Rig) -> DirectoryVersion {
    rig.seams.directory.version().await.expect("version")
}

async fn update(rig: &Rig, of: &str, id: WebhookId, change: WebhookChange) -> Option<Webhook> {
    rig.seams.directory.update(&tenant(of), id, change).await.expect("update")
}

async fn what_was_created_is_found(rig: &Rig) {
    let made = rig.seams.directory.create(&tenant("a"), new_webhook("CRM")).await.expect("create");
    let wanted = new_webhook("CRM");
    assert_eq!((&made.name, &made.url, &made.events), (&wanted.name, &wanted.url, &wanted.events));
    assert_eq!((&made.secret, made.retry_count, made.timeout_secs), (&wanted.secret, 3, 30));
    assert!(made.is_active && made.tenant == tenant("a"));
    assert_eq!(made.created_at, made.updated_at, "never changed");
    assert!(made.created_at.since(rig.clock.now()) < Duration::from_secs(1), "made now");
    let found = rig.seams.directory.get(&tenant("a"), made.id).await.expect("get");
    assert_eq!(found, Some(made), "what was created is found as it was created");
}

async fn a_webhook_is_found_only_under_its_own_tenant(rig: &Rig) {
    let theirs = rig.webhook("a").await;
    let directory = &rig.seams.directory;
    assert_eq!(directory.get(&tenant("b"), theirs.id).await.expect("get"), None);
    let change = WebhookChange { name: Some("stolen".to_owned()), ..WebhookChange::default() };
    assert_eq!(update(rig, "b", theirs.id, change).await, None);
    assert!(!directory.delete(&tenant("b"), theirs.id).await.expect("delete"));
    assert_eq!(directory.list(&tenant("b"), ALL).await.expect("list").total, 0);
    assert_eq!(directory.get(&tenant("a"), theirs.id).await.expect("get"), Some(theirs), "and stays untouched");
}

async fn a_tenant_has_no_more_than_it_may(rig: &Rig) {
    let create = async |of: &str| rig.seams.directory.create_within(&tenant(of), new_webhook("w"), 2).await;
    let first = create("a").await.expect("none yet");
    create("a").await.expect("one");
    let refused = create("a").await.expect_err("two");
    assert!(matches!(refused, DirectoryError::TooMany { most: 2 }), "{refused}");
    assert_eq!(refused.retry(), Retry::Never);
    create("b").await.expect("another tenant");
    assert_eq!(rig.seams.directory.list(&tenant("a"), ALL).await.expect("list").total, 2, "nothing was stored");
    rig.seams.directory.delete(&tenant("a"), first.id).await.expect("delete");
    create("a").await.expect("a deleted one takes no place");
}

async fn a_list_is_oldest_first_in_pages(rig: &Rig) {
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(rig.webhook("a").await.id);
        rig.clock.advance(Duration::from_secs(1));
    }
    rig.webhook("b").await;
    for (offset, limit, wanted) in [(0, 10, &made[..]), (0, 2, &made[..2]), (2, 2, &made[2..]), (9, 2, &[][..])] {
        let listed = rig.seams.directory.list(&tenant("a"), Page { after: None, offset, limit }).await.expect("list");
        let ids: Vec<WebhookId> = listed.rows.iter().map(|webhook| webhook.id).collect();
        assert_eq!((&ids[..], listed.total), (wanted, 3), "offset {offset}, limit {limit}");
    }
}

async fn a_list_of_heavy_webhooks_is_cut_and_goes_on(rig: &Rig) {
    let heavy = || {
        let events = (0..5_000).map(|n| format!("call.event{n}.{}", "x".repeat(40))).collect();
        NewWebhook { events, ..new_webhook("heavy") }
    };
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(rig.seams.directory.create(&tenant("a"), heavy()).await.expect("create").id);
    }
    let (mut ids, mut n_windows, mut page) = (Vec::new(), 0, Page::first(1_000));
    loop {
        let listed = rig.seams.directory.list(&tenant("a"), page).await.expect("list");
        assert_eq!(listed.total, 5);
        ids.extend(listed.rows.iter().map(|webhook| webhook.id));
        n_windows += 1;
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    assert_eq!((ids, n_windows), (made, 2), "more than a quarter of a MiB each");
}

async fn an_update_changes_what_it_names(rig: &Rig) {
    let before = rig.webhook("a").await;
    rig.clock.advance(Duration::from_secs(5));
    let change = WebhookChange { name: Some("new".to_owned()), ..WebhookChange::default() };
    let after = update(rig, "a", before.id, change).await.expect("it is theirs");
    assert!(after.updated_at > before.updated_at, "an update moves updated_at");
    assert_eq!(after, Webhook { name: "new".to_owned(), updated_at: after.updated_at, ..before.clone() });
    let all = WebhookChange {
        name: None,
        url: Some("https://example.org/".to_owned()),
        events: Some(vec!["*".to_owned()]),
        secret: Some(Secret::new("other")),
        is_active: Some(false),
        retry_count: Some(0),
        timeout_secs: Some(120),
        options: OptionsChange { rate_limit: Some(Some(5)), ..OptionsChange::default() },
    };
    let after = update(rig, "a", before.id, all).await.expect("it is theirs");
    assert_eq!((after.url.as_str(), after.events.len(), after.is_active), ("https://example.org/", 1, false));
    assert_eq!((after.secret.clone(), after.retry_count, after.timeout_secs), (Some(Secret::new("other")), 0, 120));
    assert_eq!(rig.seams.directory.get(&tenant("a"), before.id).await.expect("get"), Some(after));
    assert_eq!(update(rig, "a", WebhookId(999_999), WebhookChange::default()).await, None, "nobody's");
}

async fn a_deleted_webhook_is_gone(rig: &Rig) {
    let (gone, other) = (rig.webhook("a").await, rig.webhook("a").await);
    let directory = &rig.seams.directory;
    assert!(directory.delete(&tenant("a"), gone.id).await.expect("delete"));
    assert!(!directory.delete(&tenant("a"), gone.id).await.expect("delete"), "gone already");
    assert_eq!(directory.get(&tenant("a"), gone.id).await.expect("get"), None);
    assert_eq!(
        update(rig, "a", gone.id, WebhookChange { is_active: Some(true), ..WebhookChange::default() }).await,
        None
    );
    let listed = directory.list(&tenant("a"), ALL).await.expect("list");
    assert_eq!((listed.rows, listed.total), (vec![other.clone()], 1));
    assert_eq!(directory.all().await.expect("all"), [other]);
}

async fn the_table_gets_all_that_are_not_deleted(rig: &Rig) {
    let (on, off) = (rig.webhook("a").await, rig.webhook("b").await);
    let off = rig.switch("b", off.id, false).await;
    assert_eq!(rig.seams.directory.all().await.expect("all"), [on, off], "inactive ones too");
}

async fn every_option_comes_back(rig: &Rig) {
    let webhook = rig.webhook("a").await;
    assert_eq!(webhook.options, WebhookOptions::default());
    let options = OptionsChange {
        retry_profile: Some(RetryProfile::Durable),
        retry_statuses: Some(vec![408, 429]),
        max_in_flight: Some(Some(3)),
        rate_limit: Some(Some(50)),
        expiry: Some([("queue.stats".to_owned(), 30), ("call.*".to_owned(), 0)].into()),
        ordered_by: Some(Some(OrderedBy::Call)),
        headers: Some(vec![
            HeaderChange { name: "X-Api-Key".to_owned(), value: Some(Secret::new("k\"ey")) },
            HeaderChange { name: "X-Zone".to_owned(), value: Some(Secret::new("a")) },
        ]),
    };
    let changed = update(rig, "a", webhook.id, WebhookChange { options, ..WebhookChange::default() }).await;
    let changed = changed.expect("it is theirs");
    assert_eq!((changed.options.retry_profile, changed.options.rate_limit), (RetryProfile::Durable, Some(50)));
    assert_eq!(changed.options.header("x-api-key"), Some(&Secret::new("k\"ey")));
    assert_eq!(rig.get("a", webhook.id).await, changed, "every option comes back");
    let back = OptionsChange { ordered_by: Some(None), max_in_flight: Some(None), ..OptionsChange::default() };
    update(rig, "a", webhook.id, WebhookChange { options: back, ..WebhookChange::default() }).await;
    let wanted = WebhookOptions { ordered_by: None, max_in_flight: None, ..changed.options };
    assert_eq!(rig.get("a", webhook.id).await.options, wanted, "and can be taken back one by one");
    let new = NewWebhook { options: wanted.clone(), ..new_webhook("w") };
    let made = rig.seams.directory.create(&tenant("a"), new).await.expect("create");
    assert_eq!((&made.options, rig.get("a", made.id).await.options), (&wanted, wanted.clone()));
}

async fn a_rotated_secret_leaves_the_former_one_valid(rig: &Rig) {
    let webhook = rig.webhook("a").await;
    let rotate = async |of: &str, secret: &str, valid_until| {
        let secret = Secret::new(secret);
        rig.seams.directory.rotate_secret(&tenant(of), webhook.id, secret, valid_until).await.expect("rotate")
    };
    let until = START.after(Duration::from_hours(24));
    assert_eq!(rotate("b", "x", until).await, None, "nobody else's");
    let rotated = rotate("a", "second", until).await.expect("it is theirs");
    assert_eq!(rotated.secret, Some(Secret::new("second")));
    let former = PreviousSecret { secret: Secret::new("shared"), valid_until: until };
    assert_eq!(rotated.previous_secret, Some(former));
    assert_eq!(rig.get("a", webhook.id).await, rotated);
    let same = rig.seams.directory.rotate_secret(&tenant("a"), webhook.id, Secret::new("second"), until).await;
    assert!(matches!(same, Err(DirectoryError::PresentSecret)), "a request sent twice does no harm");
    assert_eq!(rig.get("a", webhook.id).await, rotated, "and changes nothing");
    let again = rotate("a", "third", until).await.expect("it is theirs");
    assert_eq!(again.previous_secret.map(|p| p.secret), Some(Secret::new("second")), "only the last one stays valid");
    let renamed = WebhookChange { name: Some("else".to_owned()), ..WebhookChange::default() };
    let renamed = update(rig, "a", webhook.id, renamed).await.expect("it is theirs");
    assert_eq!(renamed.previous_secret.map(|p| p.valid_until), Some(until), "another change leaves it valid");
    let leaked = WebhookChange { secret: Some(Secret::new("fourth")), ..WebhookChange::default() };
    let set = update(rig, "a", webhook.id, leaked).await.expect("it is theirs");
    assert_eq!((&set.secret, &set.previous_secret), (&Some(Secret::new("fourth")), &None), "set, it is the only one");
    assert_eq!(rig.get("a", webhook.id).await, set);
}

async fn disabling_happens_once_and_ends_with_switching_on(rig: &Rig) {
    let webhook = rig.webhook("a").await;
    let disable = async || rig.seams.directory.disable(webhook.id, DisableReason::Gone, rig.clock.now()).await;
    let disabled = disable().await.expect("disable").expect("it was active");
    let why = Disabled { reason: DisableReason::Gone, at: rig.clock.now() };
    assert_eq!((disabled.is_active, disabled.health.disabled), (false, Some(why)));
    assert_eq!(rig.get("a", webhook.id).await, disabled);
    assert_eq!(disable().await.expect("disable"), None, "of many callers one");
    let on = rig.switch("a", webhook.id, true).await;
    assert_eq!((on.is_active, on.health), (true, WebhookHealth::default()), "switched on it is well again");
}

async fn the_version_changes_with_every_row(rig: &Rig) {
    let mut seen = vec![version(rig).await];
    let mut expect_new = |version: DirectoryVersion, what: &str| {
        assert!(!seen.contains(&version), "{what} changes the version");
        seen.push(version);
    };
    let webhook = rig.webhook("a").await;
    expect_new(version(rig).await, "a create");
    rig.clock.advance(Duration::from_secs(2));
    update(rig, "a", webhook.id, WebhookChange { is_active: Some(false), ..WebhookChange::default() }).await;
    expect_new(version(rig).await, "an update");
    rig.clock.advance(Duration::from_secs(2));
    rig.seams.directory.delete(&tenant("a"), webhook.id).await.expect("delete");
    expect_new(version(rig).await, "a delete");
    assert_eq!(Some(&version(rig).await), seen.last(), "equal content, equal marks");
}
