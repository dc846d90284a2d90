//! Numbers in order, out of order, missing, and never given.

use hookswitch_hub::Origin;
use hookswitch_protocol::{Event, EventId, EventType, Payload, Timestamp};
use proptest::prelude::*;

use super::*;

fn tenant() -> TenantId {
    TenantId::parse("t").expect("legal")
}

fn node() -> NodeId {
    NodeId::parse("n").expect("legal")
}

fn received(number: u64) -> Received {
    let event = Event {
        id: EventId::parse(&format!("e{number}")).expect("legal"),
        event_type: EventType::ALERT,
        tenant: tenant(),
        user: None,
        session: None,
        topic: None,
        payload: Payload::empty(),
        timestamp: Timestamp::from_millis(0),
    };
    Received::live(event, Origin::Node { answerable_with: None })
}

fn take(sequencer: &mut Sequencer, seq: u64) -> Vec<String> {
    ids(&sequencer.take(&tenant(), node(), seq, received(seq)))
}

fn ids(ordered: &Ordered) -> Vec<String> {
    ordered.ready.iter().map(|received| received.event.id.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_comes_twice_or_out_of_order_comes_out_once_and_in_order() {
    let mut sequencer = Sequencer::default();
    assert_eq!(take(&mut sequencer, 5), ["e5"]);
    assert_eq!(take(&mut sequencer, 4), [""; 0], "it was before the first");
    assert_eq!(take(&mut sequencer, 7), [""; 0]);
    assert!(sequencer.is_waiting());
    assert_eq!(take(&mut sequencer, 6), ["e6", "e7"]);
    assert_eq!(take(&mut sequencer, 6), [""; 0]);
    assert!(!sequencer.is_waiting() && sequencer.give_up().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_large_event_below_a_number_that_was_never_given_is_not_held_but_told() {
    let mut sequencer = Sequencer::default();
    take(&mut sequencer, 1_000_000);
    let payload = Payload::parse(&format!(r#"{{"x":"{}"}}"#, "x".repeat(HELD_BELOW_BYTES))).expect("an object");
    let large = Event { payload, ..Event::clone(&received(7).event) };
    let large = Received::live(large, Origin::Foreign);
    assert_eq!(ids(&sequencer.take(&tenant(), node(), 7, large)), [""; 0]);
    let ordered = sequencer.take(&tenant(), node(), 8, received(8));
    assert_eq!((ids(&ordered), ordered.n_missed), (vec!["e8".to_owned()], 1));
    assert_eq!(take(&mut sequencer, 9), ["e9"]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_is_given_up_and_told() {
    let mut sequencer = Sequencer::default();
    take(&mut sequencer, 1);
    take(&mut sequencer, 4);
    assert!(sequencer.give_up().is_empty(), "not yet");
    tokio::time::advance(PATIENCE).await;
    let given_up = sequencer.give_up();
    assert_eq!(given_up.len(), 1);
    assert_eq!((ids(&given_up[0].1), given_up[0].1.n_missed), (vec!["e4".to_owned()], 2));
    assert_eq!(take(&mut sequencer, 3), [""; 0], "too late");
    assert_eq!(take(&mut sequencer, 5), ["e5"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_loss_that_was_told_any_number_is_the_next() {
    let mut sequencer = Sequencer::default();
    take(&mut sequencer, 1);
    sequencer.forgive();
    assert_eq!(take(&mut sequencer, 9), ["e9"]);
    assert_eq!(take(&mut sequencer, 8), [""; 0], "sent again after all");
    sequencer.forget(&tenant());
    assert_eq!(take(&mut sequencer, 2), ["e2"]);
}

#[tokio::test(start_paused = true)]
async fn where_ways_differ_the_beginning_is_the_smallest_of_the_first() {
    let settling = Duration::from_millis(50);
    let mut sequencer = Sequencer::settling_for(settling);
    assert_eq!(take(&mut sequencer, 8), [""; 0]);
    assert_eq!(take(&mut sequencer, 7), [""; 0]);
    assert!(sequencer.give_up().is_empty() && sequencer.is_waiting());
    tokio::time::advance(settling).await;
    let given_up = sequencer.give_up();
    assert_eq!((ids(&given_up[0].1), given_up[0].1.n_missed), (vec!["e7".to_owned(), "e8".to_owned()], 0));
    assert_eq!(take(&mut sequencer, 9), ["e9"]);
    sequencer.forgive();
    assert_eq!(take(&mut sequencer, 21), [""; 0]);
    assert_eq!(take(&mut sequencer, 9), [""; 0], "it was here");
    tokio::time::advance(settling).await;
    assert_eq!(take(&mut sequencer, 20), ["e20", "e21"]);
}

#[tokio::test(start_paused = true)]
async fn an_envelope_with_a_number_that_its_node_never_gave_silences_nobody() {
    let mut sequencer = Sequencer::default();
    take(&mut sequencer, 10);
    take(&mut sequencer, 1 << 50);
    tokio::time::advance(PATIENCE).await;
    sequencer.give_up();
    assert_eq!(take(&mut sequencer, 11), [""; 0], "alone it may be one that is published again");
    assert_eq!(take(&mut sequencer, 12), ["e11", "e12"], "it was held for that: nothing is lost");
    assert_eq!(take(&mut sequencer, 13), ["e13"]);
    assert_eq!(take(&mut sequencer, 5), [""; 0], "an old one comes to nothing");
    assert_eq!(take(&mut sequencer, 14), ["e14"]);
}

#[tokio::test(start_paused = true)]
async fn what_waited_behind_a_number_never_given_counts_as_missed() {
    let mut sequencer = Sequencer::default();
    take(&mut sequencer, 10);
    take(&mut sequencer, 100_000);
    tokio::time::advance(PATIENCE).await;
    sequencer.give_up();
    assert_eq!(take(&mut sequencer, 100_002), [""; 0], "waits for the one before it");
    take(&mut sequencer, 11);
    let ordered = sequencer.take(&tenant(), node(), 12, received(12));
    assert_eq!((ids(&ordered), ordered.n_missed), (vec!["e11".to_owned(), "e12".to_owned()], 1));
    assert!(!sequencer.is_waiting());
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_an_earlier_one_is_bounded_in_bytes() {
    let large = |seq: u64| {
        let payload = Payload::parse(&format!("{{\"x\":\"{}\"}}", "x".repeat(1024 * 1024))).expect("legal");
        let Received { event, origin, .. } = received(seq);
        Received::live(Event { payload, ..Event::clone(&event) }, origin)
    };
    let mut sequencer = Sequencer::default();
    take(&mut sequencer, 1);
    let n_waiting = (3..100).take_while(|seq| sequencer.take(&tenant(), node(), *seq, large(*seq)).ready.is_empty());
    assert_eq!(n_waiting.count(), WAITING_BYTES / (1024 * 1024) - 1, "then the missing one counts as lost");
    assert!(!sequencer.is_waiting());
}

proptest! {
    /// Whatever order a window of numbers comes in, and however often, it comes out in order.
    #[test]
    fn any_shuffle_comes_out_sorted(seqs in prop::collection::vec(1u64..20, 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let _entered = runtime.enter();
        let mut sequencer = Sequencer::default();
        let mut out = take(&mut sequencer, 0);
        for seq in &seqs {
            out.extend(take(&mut sequencer, *seq));
        }
        let n_run = (1u64..20).take_while(|seq| seqs.contains(seq)).count() as u64;
        let wanted: Vec<String> = (0..=n_run).map(|seq| format!("e{seq}")).collect();
        prop_assert_eq!(out, wanted);
    }
}
