//! Many tenants' histories: positions, bounds, who goes first.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_protocol::{Event, EventId, EventType, Payload, Timestamp};

use super::*;
use crate::connection_caps::ConnectionCaps;
use crate::metrics::HubMetrics;
use crate::publish::connection_counts::ConnectionCounts;
use crate::publish::weight::weight;
use crate::seams::broker::{Origin, Past, Received};

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("legal")
}

fn event(tenant: &TenantId, payload_bytes: usize) -> EncodedEvent {
    let text = "x".repeat(payload_bytes.saturating_sub(8));
    EncodedEvent::new(Event {
        id: EventId::parse("e").expect("legal"),
        event_type: EventType::ALERT,
        tenant: tenant.clone(),
        user: None,
        session: None,
        topic: None,
        payload: Payload::parse(&format!(r#"{{"a":"{text}"}}"#)).expect("legal"),
        timestamp: Timestamp::from_millis(0),
    })
}

fn numbering(limits: HistoryLimits) -> History {
    let history = History::new(limits, StateLimits::default(), EventClasses::default(), Clock::system());
    history.give_positions();
    history
}

fn record(history: &History, tenant: &TenantId, n_events: usize) -> Place {
    let events: Vec<_> = (0..n_events).map(|_| event(tenant, 512)).collect();
    history.lock(tenant).record(events.iter())
}

#[tokio::test(start_paused = true)]
async fn positions_are_dense_and_tenants_have_epochs_of_their_own() {
    let history = numbering(HistoryLimits::default());
    let (a, b) = (tenant("a"), tenant("b"));
    let first = record(&history, &a, 2);
    let next = record(&history, &a, 1);
    let offset = |place: Place| place.position.map(|at| at.offset);
    assert_eq!((offset(first), offset(next), offset(first.plus(1))), (Some(1), Some(3), Some(2)));
    assert_eq!(history.head(&a, 0).place, next);
    let of_another = record(&history, &b, 1).position.expect("numbered");
    assert_ne!(of_another.epoch, next.position.expect("numbered").epoch);
    assert_eq!(
        history.find(&a, Some(of_another), false),
        Err(Unrecovered::Epoch),
        "another tenant's position says nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_kept_any_more_is_expired_and_the_head_never_is() {
    let limits = HistoryLimits { events: 4, ..HistoryLimits::default() };
    let history = numbering(limits);
    let a = tenant("a");
    let first = record(&history, &a, 10);
    let found = |n: usize| history.find(&a, first.plus(n).position, false);
    assert_eq!(found(9), Ok(first.plus(9)));
    assert_eq!(found(5), Ok(first.plus(5)), "the next four are there");
    assert_eq!(found(4), Err(Unrecovered::Expired));
    assert_eq!(found(10), Err(Unrecovered::Epoch), "beyond the head");
    tokio::time::advance(limits.age + Duration::from_secs(1)).await;
    assert_eq!(found(8), Err(Unrecovered::Expired), "too old");
    assert_eq!(found(9), Ok(first.plus(9)), "nothing was missed, however long ago");
    assert_eq!(history.n_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_tenant_that_was_not_used_for_longest_goes_first_and_keeps_its_place() {
    let limits = HistoryLimits { total_bytes: 64 * 1024, ..HistoryLimits::default() };
    let history = numbering(limits);
    let [quiet, busy] = ["quiet", "busy"].map(tenant);
    let before = record(&history, &quiet, 30);
    tokio::time::advance(Duration::from_secs(1)).await;
    record(&history, &busy, 30);
    let counts = ConnectionCounts::new(1, ConnectionCaps::default());
    record(&history, &busy, 10);
    let evicting = tokio::time::timeout(Duration::from_secs(1), history.evict(&counts, &HubMetrics::default())).await;
    assert!(evicting.is_err(), "it goes on");
    assert!(history.n_bytes() <= limits.total_bytes / 8 * 7, "{}", history.n_bytes());
    let held = |tenant: &TenantId| history.page(tenant, 0, 100).events.len();
    assert_eq!(held(&busy), 40);
    assert!(held(&quiet) < 30);
    assert_eq!(history.head(&quiet, 0).place, before.plus(29));
}

#[tokio::test(start_paused = true)]
async fn one_tenant_pays_for_its_own_where_nobody_evicts() {
    let limits = HistoryLimits { total_bytes: 64 * 1024, ..HistoryLimits::default() };
    let history = numbering(limits);
    for n in 0..40 {
        record(&history, &tenant(&format!("t{n}")), 10);
    }
    assert!(history.n_bytes() <= limits.total_bytes / 8 * 9, "{}", history.n_bytes());
}

#[tokio::test(start_paused = true)]
async fn who_is_forgotten_goes_on_behind_its_last_number() {
    let history = Arc::new(numbering(HistoryLimits::default()));
    let a = tenant("a");
    let last = record(&history, &a, 3).plus(2);
    let counts = ConnectionCounts::new(1, ConnectionCaps::default());
    tokio::time::advance(Duration::from_hours(25)).await;
    let _endless = tokio::time::timeout(Duration::from_secs(1), history.evict(&counts, &HubMetrics::default())).await;
    let next = record(&history, &a, 1);
    assert!(next.seq > last.seq);
    assert_ne!(next.position.map(|at| at.epoch), last.position.map(|at| at.epoch));
    assert_eq!(history.find(&a, last.position, false), Err(Unrecovered::Epoch));
}

#[tokio::test(start_paused = true)]
async fn a_shard_knows_what_it_was_given() {
    let history =
        History::new(HistoryLimits::default(), StateLimits::default(), EventClasses::default(), Clock::system());
    let a = tenant("a");
    let mut lock = history.lock(&a);
    let first = lock.record([event(&a, 10)].iter());
    lock.handed_over([1].into_iter());
    drop(lock);
    record(&history, &a, 1);
    assert_eq!(history.head(&a, 1).handed_over, first.seq);
    assert_eq!(history.head(&a, 0).handed_over, 0);
    assert_eq!(history.head(&a, 1).place, Place { seq: first.seq + 1, position: None });
    let anything = Position { epoch: 1, offset: 1 };
    assert_eq!(history.find(&a, Some(anything), false), Err(Unrecovered::Degraded));
}

/// A history whose positions come with the events, and one tenant's.
fn numbered() -> (History, TenantId) {
    let history = History::new(
        HistoryLimits::default(),
        StateLimits::default(),
        EventClasses::default(),
        Clock::manual(Timestamp::from_millis(0)),
    );
    history.take_positions();
    (history, tenant("a"))
}

fn at(epoch: u64, offset: u64) -> Position {
    Position { epoch, offset }
}

fn record_at(history: &History, tenant: &TenantId, first: Position, n_events: usize) -> Option<Place> {
    let events: Vec<_> = (0..n_events).map(|_| event(tenant, 512)).collect();
    history.lock(tenant).record_at(events.iter(), first)
}

fn past(tenant: &TenantId, held: std::ops::RangeInclusive<u64>, epoch: u64) -> Past {
    let received = |offset| {
        let live = Received::live(Arc::clone(event(tenant, 512).event()), Origin::Foreign);
        Received { position: Some(at(epoch, offset)), is_known: true, ..live }
    };
    let held_after = at(epoch, held.start() - 1);
    Past { events: held.map(received).collect(), held_after, opt_in_held_after: held_after }
}

#[tokio::test(start_paused = true)]
async fn positions_from_elsewhere_are_found_over_holes_and_epochs() {
    let (history, a) = numbered();
    assert_eq!(history.find(&a, Some(at(7, 1)), false), Err(Unrecovered::Degraded), "nothing is known yet");
    history.lock(&a).begin_behind(at(7, 10));
    record_at(&history, &a, at(7, 11), 3).expect("they are next");
    let found = |position: Position| history.find(&a, Some(position), false).map(|place| place.position);
    assert_eq!(found(at(7, 10)), Ok(Some(at(7, 10))));
    assert_eq!(found(at(7, 9)), Err(Unrecovered::Expired), "before the interest");
    assert_eq!(found(at(7, 14)), Err(Unrecovered::Epoch), "beyond");
    assert!(record_at(&history, &a, at(7, 12), 1).is_none(), "one that is there already");
    record_at(&history, &a, at(7, 20), 2).expect("they are behind");
    assert_eq!(found(at(7, 12)), Err(Unrecovered::Expired), "there is a hole behind it");
    assert_eq!(found(at(7, 19)), Ok(Some(at(7, 19))));
    let head = history.head(&a, 0).place;
    assert_eq!(history.place(&a, head.seq - 1).position, Some(at(7, 20)));
    record_at(&history, &a, at(8, 1), 2).expect("a new epoch");
    assert_eq!(found(at(7, 21)), Err(Unrecovered::Epoch));
    assert_eq!(found(at(8, 0)), Ok(Some(at(8, 0))));
    let after = history.find(&a, Some(at(8, 0)), false).expect("found");
    assert_eq!(history.page(&a, after.seq, 10).events.len(), 2);
    assert_eq!(history.page(&a, after.seq - 2, 10).events.len(), 4, "who is behind goes on over it");
}

#[tokio::test(start_paused = true)]
async fn what_came_before_is_entered_in_front() {
    let (history, a) = numbered();
    history.lock(&a).begin_behind(at(7, 10));
    record_at(&history, &a, at(7, 11), 2).expect("they are next");
    assert_eq!(history.may_recover(&a, Unrecovered::Expired), Some(true));
    history.lock(&a).fill_back(past(&a, 4..=12, 7));
    assert_eq!(history.may_recover(&a, Unrecovered::Expired), None, "once");
    let place = history.find(&a, Some(at(7, 3)), true).expect("everything behind it is there");
    let offsets = |after: Place| -> Vec<u64> {
        let page = history.page(&a, after.seq, 100);
        page.events.iter().filter_map(|recorded| Some(recorded.place.position?.offset)).collect()
    };
    assert_eq!(offsets(place), (4..=12).collect::<Vec<_>>(), "none twice");
    assert_eq!(history.find(&a, Some(at(7, 2)), false), Err(Unrecovered::Expired));
    // A hole, and then what was in it.
    record_at(&history, &a, at(7, 20), 1).expect("it is behind");
    history.lock(&a).fill_back(past(&a, 8..=20, 7));
    let place = history.find(&a, Some(at(7, 9)), false).expect("the hole is filled");
    assert_eq!(offsets(place), (10..=20).collect::<Vec<_>>());
    let n_held = history.page(&a, 0, 100).events.iter().map(|recorded| weight(&recorded.event)).sum::<usize>();
    assert_eq!(history.n_bytes(), n_held);
}

#[tokio::test]
async fn a_node_that_is_cut_off_promises_nothing() {
    let (history, a) = numbered();
    record_at(&history, &a, at(7, 1), 1).expect("it is first");
    history.cut_off(true);
    assert_eq!(history.find(&a, Some(at(7, 1)), false), Err(Unrecovered::Degraded));
    assert_eq!(history.may_recover(&a, Unrecovered::Degraded), None, "nor is anybody asked");
    history.cut_off(false);
    assert!(history.find(&a, Some(at(7, 1)), false).is_ok());
}
