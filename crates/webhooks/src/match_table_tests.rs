//! Matching, checked without a database.

use super::*;
use crate::seams::directory::NewWebhook;

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect(name)
}

fn webhook(id: i64, of: &str, events: &[&str]) -> Webhook {
    let new = NewWebhook {
        name: "n".to_owned(),
        url: "https://example.com/".to_owned(),
        events: events.iter().map(ToString::to_string).collect(),
        secret: None,
        retry_count: 3,
        timeout_secs: 30,
        options: WebhookOptions::default(),
    };
    Webhook::new(WebhookId(id), tenant(of), new, Timestamp::from_millis(0))
}

fn targets(table: &MatchTable, of: &str, event_type: &str, payload: &str) -> Vec<DeliveryTarget> {
    let event_type = EventType::parse(event_type).expect(event_type);
    let payload = Payload::parse(payload).expect(payload);
    let mut found = table.targets(&tenant(of), &event_type, &payload, Timestamp::from_millis(1_000));
    found.sort_by_key(|target| target.webhook);
    found
}

fn found(table: &MatchTable, of: &str, event_type: &str) -> Vec<i64> {
    targets(table, of, event_type, "{}").iter().map(|target| target.webhook.0).collect()
}

#[test]
fn the_terms_are_the_webhooks_own_or_the_nodes() {
    let table = MatchTable::new([("queue.*".to_owned(), 30)].into(), 1_000);
    let of = |id, options| Webhook { options, ..webhook(id, "a", &["*"]) };
    table.put(&of(1, WebhookOptions::default()));
    let expiry = [("queue.stats".to_owned(), 0), ("call.*".to_owned(), 5)].into();
    table.put(&of(2, WebhookOptions { ordered_by: Some(OrderedBy::Call), expiry, ..WebhookOptions::default() }));
    let expires = |event_type| {
        targets(&table, "a", event_type, "{}").iter().map(|t| t.expires_at.map(Timestamp::as_millis)).collect()
    };
    let wanted: [(&str, Vec<Option<i64>>); 3] = [
        ("queue.stats", vec![Some(31_000), None]),
        ("call.ended", vec![None, Some(6_000)]),
        ("alert", vec![None, None]),
    ];
    for (event_type, wanted) in wanted {
        let expires: Vec<Option<i64>> = expires(event_type);
        assert_eq!(expires, wanted, "{event_type}");
    }
    for (payload, wanted) in [(r#"{"unique_id":"1.2"}"#, Some("1.2")), ("{}", None)] {
        let keys: Vec<_> = targets(&table, "a", "call.ended", payload).into_iter().map(|t| t.order_key).collect();
        assert_eq!(keys, [None, wanted.map(str::to_owned)], "{payload}");
    }
    assert_eq!(order_key(&"é".repeat(100)).len(), ORDER_KEY_BYTES);
}

#[test]
fn one_that_is_switched_off_misses_what_it_would_get() {
    let table = MatchTable::new(BTreeMap::new(), 1_000);
    table.put(&Webhook { is_active: false, ..webhook(1, "a", &["call.ended"]) });
    let found = targets(&table, "a", "call.ended", "{}");
    assert_eq!(found, [DeliveryTarget { is_missed: true, ..DeliveryTarget::new(WebhookId(1)) }]);
}

#[test]
fn each_webhook_is_found_once_and_only_under_its_tenant() {
    let table = MatchTable::new(BTreeMap::new(), 1_000);
    table.put(&webhook(1, "a", &["call.incoming", "call.incoming", "call.*", "*"]));
    table.put(&webhook(2, "a", &["call.ended"]));
    table.put(&webhook(3, "b", &["*"]));
    assert_eq!(found(&table, "a", "call.incoming"), [1]);
    assert_eq!(found(&table, "a", "call.ended"), [1, 2]);
    assert_eq!(found(&table, "b", "call.ended"), [3]);
    assert_eq!(found(&table, "c", "call.ended"), [0; 0]);
}

#[test]
fn changes_take_effect_at_once() {
    let table = MatchTable::new(BTreeMap::new(), 1_000);
    table.put(&webhook(1, "a", &["call.incoming"]));
    table.put(&webhook(1, "a", &["call.ended"]));
    assert_eq!((found(&table, "a", "call.incoming"), found(&table, "a", "call.ended")), (vec![], vec![1]));
    table.remove(&tenant("a"), WebhookId(1));
    assert_eq!(found(&table, "a", "call.ended"), [0; 0]);
}

#[test]
fn what_can_be_read_of_a_bad_row_counts() {
    let table = MatchTable::new(BTreeMap::new(), 1_000);
    table.put(&webhook(1, "a", &["Call Incoming", "call.ended"]));
    table.put(&Webhook { url: "nonsense".to_owned(), ..webhook(2, "a", &["call.ended"]) });
    table.put(&webhook(3, "a", &[]));
    assert_eq!(found(&table, "a", "call.ended"), [1, 2], "a bad URL is told with each attempt");
}

/// A table that follows these rows.
async fn following(rows: &[Webhook], max_per_tenant: usize) -> (MatchTable, crate::MemoryWebhooks) {
    let table = MatchTable::new(BTreeMap::new(), max_per_tenant);
    let directory = crate::MemoryWebhooks::new(&hookswitch_runtime::Clock::system());
    for row in rows {
        let new = NewWebhook {
            name: row.name.clone(),
            url: row.url.clone(),
            events: row.events.clone(),
            secret: None,
            retry_count: 3,
            timeout_secs: 30,
            options: WebhookOptions::default(),
        };
        WebhookDirectory::create(&directory, &row.tenant, new).await.expect("memory");
    }
    table.refresh(&directory).await.expect("memory");
    (table, directory)
}

#[tokio::test]
async fn the_newest_rows_beyond_a_tenant_s_limit_are_not_in_force_until_there_is_a_place() {
    let rows: Vec<Webhook> = (0..5).map(|_| webhook(0, "a", &["*"])).chain([webhook(0, "b", &["*"])]).collect();
    let (table, directory) = following(&rows, 3).await;
    assert_eq!((found(&table, "a", "call.ended"), found(&table, "b", "call.ended")), (vec![1, 2, 3], vec![6]));
    assert!(table.is_active(&tenant("a"), WebhookId(3)) && !table.is_active(&tenant("a"), WebhookId(4)));
    assert_eq!(table.n_wanting(&tenant("a"), &EventType::CALL_ENDED), 3);
    table.remove(&tenant("a"), WebhookId(2));
    assert_eq!(found(&table, "a", "call.ended"), [1, 3, 4], "a place came free");
    WebhookDirectory::delete(&directory, &tenant("a"), WebhookId(1)).await.expect("memory");
    table.refresh(&directory).await.expect("memory");
    assert_eq!(found(&table, "a", "call.ended"), [2, 3, 4], "as the directory says");
}

#[test]
fn many_wildcards_are_matched_in_one_go() {
    let table = MatchTable::new(BTreeMap::new(), 10_000);
    let names: Vec<String> = (0..100).map(|n| format!("call.x{n}")).collect();
    let mut events: Vec<&str> = names.iter().map(String::as_str).collect();
    events.extend(["*", "call.*", "call.incoming"]);
    (1..=300).for_each(|id| table.put(&webhook(id, "a", &events)));
    let wanted: Vec<i64> = (1..=300).collect();
    assert_eq!(found(&table, "a", "call.incoming"), wanted, "each once, in order");
    // Quadratic, ten thousand rounds would be a billion steps.
    let event_type = EventType::CALL_INCOMING;
    for _ in 0..10_000 {
        assert!(table.n_wanting(&tenant("a"), &event_type) >= 300);
    }
    assert_eq!(table.n_wanting(&tenant("a"), &EventType::ALERT), 300);
    assert_eq!(table.n_wanting(&tenant("b"), &EventType::ALERT), 0);
}

#[tokio::test(start_paused = true)]
async fn reading_all_that_takes_long_is_not_done_again_at_once() {
    let (mut writer, version) = (Writer::default(), DirectoryVersion("1".to_owned()));
    writer.has_read(DEAR_READING);
    assert!(writer.is_due(&version), "a quick one is done as often as there are changes");
    writer.has_read(Duration::from_millis(200));
    tokio::time::advance(Duration::from_millis(1_999)).await;
    assert!(!writer.is_due(&version));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(writer.is_due(&version));
}
