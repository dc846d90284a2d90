//! What every `OfflineStore` promises.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_hub::{Claim, MessageNumber, OfflineLimits, OfflineMessage, OfflineStore, UserKey};
use hookswitch_protocol::{EventId, TenantId, Timestamp, UserId};
use hookswitch_runtime::Clock;

const START: Timestamp = Timestamp::from_millis(1_761_393_600_000);

/// Tries every sentence of the promise, each on a store of its own made by `open`. The store must
/// take its time from the clock it is given.
///
/// # Panics
/// When a sentence does not hold; the message says which.
pub async fn check<S: OfflineStore>(open: impl AsyncFn(OfflineLimits, Clock) -> S) {
    let fresh = async || open(OfflineLimits::default(), Clock::manual(START)).await;
    comes_out_oldest_first_in_pages(&fresh().await).await;
    a_confirmed_message_is_gone(&fresh().await).await;
    a_message_given_back_is_first_again(&fresh().await).await;
    two_claims_never_hold_the_same_message(&fresh().await).await;
    putting_is_idempotent_on_the_event_id(&fresh().await).await;
    users_and_tenants_are_apart(&fresh().await).await;
    only_the_claimed_can_be_confirmed(&fresh().await).await;
    may_have_is_never_wrongly_false(&fresh().await).await;
    an_envelope_comes_out_as_it_went_in(&fresh().await).await;
    pages_are_bounded_by_bytes(&fresh().await).await;
    bounded_by_count(&open(OfflineLimits { per_user: 3, ..OfflineLimits::default() }, Clock::manual(START)).await)
        .await;
    let clock = Clock::manual(START);
    let hour = OfflineLimits { max_age: Duration::from_hours(1), ..OfflineLimits::default() };
    bounded_by_age(&open(hour, clock.clone()).await, &clock).await;
}

/// For keepers that count the bytes they keep per user.
///
/// # Panics
/// When they do not.
pub async fn check_bytes<S: OfflineStore>(open: impl AsyncFn(OfflineLimits, Clock) -> S) {
    let limits = OfflineLimits { per_user_bytes: 1_000, ..OfflineLimits::default() };
    bounded_by_bytes(&open(limits, Clock::manual(START)).await).await;
}

fn user(tenant: &str, user: &str) -> UserKey {
    UserKey { tenant: TenantId::parse(tenant).expect("legal tenant"), user: UserId::parse(user).expect("legal user") }
}

fn message(user: &UserKey, id: &str) -> OfflineMessage {
    OfflineMessage {
        user: user.clone(),
        event_id: EventId::parse(id).expect("legal id"),
        envelope: Bytes::from(format!("envelope of {id}")),
        at: START,
    }
}

async fn put(store: &impl OfflineStore, user: &UserKey, ids: &[&str]) {
    store.put(ids.iter().map(|id| message(user, id)).collect()).await.expect("put");
}

async fn claim(store: &impl OfflineStore, user: &UserKey, limit: usize) -> Claim {
    store.claim(user, limit).await.expect("claim")
}

fn numbers(claim: &Claim) -> Vec<MessageNumber> {
    claim.messages.iter().map(|message| message.number).collect()
}

#[track_caller]
fn assert_holds(claim: &Claim, ids: &[&str], sentence: &str) {
    let found: Vec<String> =
        claim.messages.iter().map(|message| String::from_utf8_lossy(&message.envelope).into_owned()).collect();
    let wanted: Vec<String> = ids.iter().map(|id| format!("envelope of {id}")).collect();
    assert_eq!(found, wanted, "{sentence}");
}

async fn comes_out_oldest_first_in_pages(store: &impl OfflineStore) {
    let agent = user("tenant-1", "7");
    // Neither the order of ids nor of times is the order of putting.
    put(store, &agent, &["c", "a"]).await;
    put(store, &agent, &["b"]).await;
    let sentence = "messages come out oldest first, in the order they were put";
    assert_holds(&claim(store, &agent, 2).await, &["c", "a"], sentence);
    assert_holds(&claim(store, &agent, 2).await, &["b"], sentence);
    assert_holds(&claim(store, &agent, 2).await, &[], sentence);
}

async fn a_confirmed_message_is_gone(store: &impl OfflineStore) {
    let agent = user("tenant-1", "7");
    put(store, &agent, &["a", "b"]).await;
    let first = claim(store, &agent, 1).await;
    store.confirm(&agent, &numbers(&first)).await.expect("confirm");
    store.give_back(&agent, &numbers(&first)).await.expect("giving back what is gone");
    store.confirm(&agent, &numbers(&first)).await.expect("confirming twice");
    assert_holds(&claim(store, &agent, 9).await, &["b"], "a confirmed message is gone for good");
}

async fn a_message_given_back_is_first_again(store: &impl OfflineStore) {
    let agent = user("tenant-1", "7");
    put(store, &agent, &["a", "b", "c", "d"]).await;
    let first = claim(store, &agent, 3).await;
    store.confirm(&agent, &numbers(&first)[..1]).await.expect("confirm");
    store.give_back(&agent, &numbers(&first)[1..]).await.expect("give back");
    put(store, &agent, &["e"]).await;
    let again = claim(store, &agent, 9).await;
    assert_holds(&again, &["b", "c", "d", "e"], "given back means first in line again, in the old place");
}

async fn two_claims_never_hold_the_same_message(store: &impl OfflineStore) {
    let agent = user("tenant-1", "7");
    let ids: Vec<String> = (0..40).map(|n| format!("m{n:02}")).collect();
    put(store, &agent, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let claims = futures_util::future::join_all((0..10).map(|_| claim(store, &agent, 7))).await;
    let mut all: Vec<MessageNumber> = claims.iter().flat_map(numbers).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 40, "every message is claimed, and two claims never hold the same one");
    assert_eq!(claims.iter().map(|claim| claim.messages.len()).sum::<usize>(), 40, "no message is claimed twice");
}

async fn putting_is_idempotent_on_the_event_id(store: &impl OfflineStore) {
    let (agent, other) = (user("tenant-1", "7"), user("tenant-1", "8"));
    put(store, &agent, &["a", "a", "b"]).await;
    put(store, &agent, &["b", "c"]).await;
    put(store, &other, &["a"]).await;
    let first = claim(store, &agent, 9).await;
    assert_holds(&first, &["a", "b", "c"], "putting is idempotent on the event id");
    assert_holds(&claim(store, &other, 9).await, &["a"], "an event id counts per user");
    put(store, &agent, &["a"]).await;
    assert_holds(&claim(store, &agent, 9).await, &[], "a claimed message is not put a second time");
}

async fn users_and_tenants_are_apart(store: &impl OfflineStore) {
    let (here, there) = (user("tenant-1", "7"), user("tenant-2", "7"));
    let named = user("tenant-1", "user-7");
    put(store, &here, &["a"]).await;
    assert_holds(&claim(store, &there, 9).await, &[], "nothing crosses a tenant");
    assert_holds(&claim(store, &named, 9).await, &[], "users are told apart");
    let first = claim(store, &here, 9).await;
    store.give_back(&there, &numbers(&first)).await.expect("give back");
    assert_holds(&claim(store, &here, 9).await, &[], "nobody gives back another user's messages");
    store.confirm(&there, &numbers(&first)).await.expect("confirm");
    store.give_back(&here, &numbers(&first)).await.expect("give back");
    assert_holds(&claim(store, &here, 9).await, &["a"], "nobody confirms another user's messages");
}

async fn only_the_claimed_can_be_confirmed(store: &impl OfflineStore) {
    let agent = user("tenant-1", "7");
    put(store, &agent, &["a"]).await;
    let first = claim(store, &agent, 9).await;
    store.give_back(&agent, &numbers(&first)).await.expect("give back");
    store.confirm(&agent, &numbers(&first)).await.expect("confirm");
    assert_holds(&claim(store, &agent, 9).await, &["a"], "what was given back cannot be confirmed any more");
}

async fn may_have_is_never_wrongly_false(store: &impl OfflineStore) {
    let agent = user("tenant-1", "7");
    put(store, &agent, &["a", "b"]).await;
    assert!(store.may_have(&agent), "a message waits");
    let first = claim(store, &agent, 1).await;
    assert!(store.may_have(&agent), "another message waits");
    let second = claim(store, &agent, 1).await;
    store.confirm(&agent, &numbers(&first)).await.expect("confirm");
    store.give_back(&agent, &numbers(&second)).await.expect("give back");
    assert!(store.may_have(&agent), "a message waits again");
}

async fn an_envelope_comes_out_as_it_went_in(store: &impl OfflineStore) {
    let agent = user("tenant-1", "7");
    let bytes: Vec<u8> = (0..=255).collect();
    let odd = OfflineMessage { envelope: Bytes::from(bytes.clone()), ..message(&agent, "a") };
    store.put(vec![odd]).await.expect("put");
    assert_eq!(claim(store, &agent, 1).await.messages[0].envelope, bytes, "the envelope is sent as it stands");
}

async fn pages_are_bounded_by_bytes(store: &impl OfflineStore) {
    let agent = user("tenant-1", "7");
    let large =
        |id: &str, kib: usize| OfflineMessage { envelope: Bytes::from(vec![b'x'; kib * 1024]), ..message(&agent, id) };
    let sizes = [400, 600, 100, 2_000, 1];
    store.put(sizes.iter().map(|kib| large(&kib.to_string(), *kib)).collect()).await.expect("put");
    let mut pages = Vec::new();
    for _ in 0..5 {
        let page = claim(store, &agent, 9).await;
        pages.push(page.messages.iter().map(|message| message.envelope.len() / 1024).collect::<Vec<_>>());
    }
    let wanted = vec![vec![400, 600], vec![100], vec![2_000], vec![1], vec![]];
    assert_eq!(pages, wanted, "a page has at most a megabyte, or one message");
}

async fn bounded_by_bytes(store: &impl OfflineStore) {
    let (agent, other) = (user("tenant-1", "7"), user("tenant-1", "8"));
    let of_bytes = |user: &UserKey, id: &str, n_bytes: usize| OfflineMessage {
        envelope: Bytes::from(vec![id.as_bytes()[0]; n_bytes]),
        ..message(user, id)
    };
    let kept = async |user: &UserKey| {
        let claim = claim(store, user, 9).await;
        store.confirm(user, &numbers(&claim)).await.expect("confirm");
        let ids: String = claim.messages.iter().map(|message| char::from(message.envelope[0])).collect();
        (ids, claim.n_dropped)
    };
    store.put(vec![of_bytes(&other, "x", 900)]).await.expect("put");
    for id in ["a", "b", "c", "d"] {
        store.put(vec![of_bytes(&agent, id, 300)]).await.expect("put");
    }
    assert_eq!(kept(&agent).await, ("bcd".to_owned(), 1), "beyond the bytes the oldest are dropped and counted");
    store.put(vec![of_bytes(&agent, "e", 900)]).await.expect("put");
    assert_eq!(kept(&agent).await, ("e".to_owned(), 0), "what was confirmed counts no more");
    store.put(vec![of_bytes(&agent, "f", 10), of_bytes(&agent, "g", 5_000)]).await.expect("put");
    assert_eq!(kept(&agent).await, ("g".to_owned(), 1), "the newest is kept, whatever it weighs");
    assert_eq!(kept(&other).await, ("x".to_owned(), 0), "the bound is per user");
}

async fn bounded_by_count(store: &impl OfflineStore) {
    let (agent, other) = (user("tenant-1", "7"), user("tenant-1", "8"));
    put(store, &agent, &["a", "b"]).await;
    put(store, &other, &["x"]).await;
    put(store, &agent, &["c", "d", "e"]).await;
    assert!(store.may_have(&agent));
    let first = claim(store, &agent, 2).await;
    assert_holds(&first, &["c", "d"], "beyond the bound the oldest are dropped");
    assert_eq!(first.n_dropped, 2, "drops are counted");
    put(store, &agent, &["f", "g"]).await;
    let second = claim(store, &agent, 9).await;
    assert_holds(&second, &["g"], "a claimed message is not dropped, the oldest waiting ones are");
    assert_eq!(second.n_dropped, 2, "drops are counted since the last claim");
    let other = claim(store, &other, 9).await;
    assert_eq!((other.messages.len(), other.n_dropped), (1, 0), "the bound is per user");
}

async fn bounded_by_age(store: &impl OfflineStore, clock: &Clock) {
    let agent = user("tenant-1", "7");
    put(store, &agent, &["a", "b"]).await;
    clock.advance(Duration::from_mins(40));
    let fresh = OfflineMessage { at: clock.now(), ..message(&agent, "c") };
    store.put(vec![fresh]).await.expect("put");
    clock.advance(Duration::from_mins(20));
    let first = claim(store, &agent, 1).await;
    assert_holds(&first, &["a"], "a message just as old as the bound is kept");
    clock.advance(Duration::from_mins(20));
    assert!(store.may_have(&agent));
    let second = claim(store, &agent, 9).await;
    assert_holds(&second, &["c"], "beyond the age the oldest are dropped");
    assert_eq!(second.n_dropped, 1, "and counted; the claimed one still belongs to its claimer");
}
