//! One tenant's events: pages, bounds, segments.

use std::time::Duration;

use hookswitch_protocol::{Event, EventId, EventType, Payload, TenantId, Timestamp};
use proptest::prelude::*;

use super::*;

fn event(is_opt_in: bool) -> EncodedEvent {
    let event_type = if is_opt_in { EventType::PRESENCE_CHANGED } else { EventType::ALERT };
    EncodedEvent::new(Event {
        id: EventId::parse("e").expect("legal"),
        event_type,
        tenant: TenantId::parse("t").expect("legal"),
        user: None,
        session: None,
        topic: None,
        payload: Payload::empty(),
        timestamp: Timestamp::from_millis(0),
    })
}

fn numbers(page: &Page) -> Vec<u64> {
    page.events.iter().map(|recorded| recorded.place.seq).collect()
}

#[tokio::test(start_paused = true)]
async fn types_that_one_must_ask_for_push_nothing_else_out() {
    let mut ring = Ring::starting_at(Place::default());
    let limits = HistoryLimits { events: 8, ..HistoryLimits::default() };
    let now = Instant::now();
    ring.push(event(false), Class::InOrder, now);
    for _ in 0..100 {
        ring.push(event(true), Class::InOrder, now);
        ring.trim(&limits, now);
    }
    let page = ring.page(0, 100);
    assert_eq!(numbers(&page), [1, 100, 101]);
    assert_eq!((page.lost.seq, page.lost_opt_in.seq, page.head.seq), (0, 99, 101));
}

proptest! {
    #[test]
    fn a_page_is_what_is_kept_behind_a_place_in_order(
        kinds in prop::collection::vec(any::<bool>(), 0..60),
        after in 0u64..70,
        n_events in 0usize..20,
    ) {
        let mut ring = Ring::starting_at(Place::default());
        let now = Instant::now();
        for is_opt_in in &kinds {
            ring.push(event(*is_opt_in), Class::InOrder, now);
        }
        let page = ring.page(after, n_events);
        let wanted: Vec<u64> = (1..=kinds.len() as u64).filter(|seq| *seq > after).take(n_events).collect();
        prop_assert_eq!(numbers(&page), wanted);
    }

    #[test]
    fn bounds_hold_and_what_is_lost_is_known(kinds in prop::collection::vec(any::<bool>(), 1..80), limit in 1usize..20) {
        let mut ring = Ring::starting_at(Place::default());
        let limits = HistoryLimits { events: limit, ..HistoryLimits::default() };
        let start = Instant::now();
        for (n, is_opt_in) in kinds.iter().enumerate() {
            let now = start + Duration::from_secs(n as u64);
            ring.push(event(*is_opt_in), Class::InOrder, now);
            ring.trim(&limits, now);
        }
        let page = ring.page(0, 1_000);
        let (opt_in, common): (Vec<_>, Vec<_>) = page.events.iter().partition(|one| one.event.event_type.is_opt_in());
        prop_assert!(common.len() <= limit && opt_in.len() <= limit / 4);
        let missing = (1..=kinds.len() as u64).filter(|seq| !numbers(&page).contains(seq));
        for seq in missing {
            let lost = if kinds[seq as usize - 1] { page.lost_opt_in.seq } else { page.lost.seq };
            prop_assert!(seq <= lost);
        }
    }
}
