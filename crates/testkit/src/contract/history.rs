//! What every `HistoryStore` promises.

use bytes::Bytes;
use hookswitch_hub::{HistoryStore, SavedPart};
use hookswitch_protocol::TenantId;

/// Tries every sentence of the promise, each on a store of its own made by `open`.
///
/// # Panics
/// When a sentence does not hold; the message says which.
pub async fn check<S: HistoryStore>(open: impl AsyncFn() -> S) {
    what_was_saved_is_taken_once_and_in_order(&open().await).await;
    a_part_replaces_the_one_before(&open().await).await;
    a_part_may_be_large_and_of_any_bytes(&open().await).await;
}

fn part(tenant: &str, number: u32, body: &[u8]) -> SavedPart {
    let tenant = TenantId::parse(tenant).expect("legal tenant");
    SavedPart { tenant, number, body: Bytes::copy_from_slice(body) }
}

async fn save(store: &impl HistoryStore, parts: &[SavedPart]) {
    store.save(parts.to_vec()).await.expect("saved");
}

async fn take(store: &impl HistoryStore) -> Vec<SavedPart> {
    store.take().await.expect("taken")
}

async fn what_was_saved_is_taken_once_and_in_order(store: &impl HistoryStore) {
    assert_eq!(take(store).await, [], "nothing was saved");
    let [a0, a1, a10, b0] = [("a", 0), ("a", 1), ("a", 10), ("b", 0)].map(|(of, number)| part(of, number, b"x"));
    save(store, &[b0.clone(), a0.clone()]).await;
    save(store, std::slice::from_ref(&a10)).await;
    save(store, std::slice::from_ref(&a1)).await;
    assert_eq!(take(store).await, [a0, a1, a10, b0], "by tenant and number");
    assert_eq!(take(store).await, [], "once");
}

async fn a_part_replaces_the_one_before(store: &impl HistoryStore) {
    save(store, &[part("a", 0, b"before"), part("a", 1, b"stays")]).await;
    save(store, &[part("a", 0, b"after")]).await;
    assert_eq!(take(store).await, [part("a", 0, b"after"), part("a", 1, b"stays")]);
}

async fn a_part_may_be_large_and_of_any_bytes(store: &impl HistoryStore) {
    let many: Vec<u8> = (0..2_000_000_u32).map(|n| n as u8).collect();
    save(store, &[part("A", 0, b""), part("a", 0, &many)]).await;
    assert_eq!(take(store).await, [part("A", 0, b""), part("a", 0, &many)], "tenants' names have upper and lower case");
}
