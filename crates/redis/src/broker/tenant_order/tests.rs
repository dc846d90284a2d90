//! What a tenant's order gives, whatever comes from where.

use std::sync::Arc;

use hookswitch_protocol::{Event, EventId, EventType, NodeId, Payload, TenantId, Timestamp};

use super::*;
use crate::history::AppendWay;

/// Neither given nor told.
const NOTHING: [i64; 0] = [];

fn at(epoch: u64, offset: u64) -> Position {
    Position { epoch, offset }
}

fn event(id: &str) -> Arc<Event> {
    Arc::new(Event {
        id: EventId::parse(id).expect("legal"),
        event_type: EventType::ALERT,
        tenant: TenantId::parse("t").expect("legal"),
        user: None,
        session: None,
        topic: None,
        payload: Payload::empty(),
        timestamp: Timestamp::from_millis(0),
    })
}

fn received(position: Position) -> Received {
    let others = Received::live(event(&format!("e{}", position.offset)), Origin::Node { answerable_with: None });
    Received { position: Some(position), ..others }
}

fn watched(head: Position) -> TenantOrder {
    let mut order = TenantOrder { is_watched: true, ..TenantOrder::default() };
    assert!(order.heard_head(Head { position: head, is_current: true }, &mut Steps::new()));
    order
}

fn take(order: &mut TenantOrder, position: Position) -> Steps {
    let mut steps = Steps::new();
    order.take(position, received(position), &mut steps);
    steps
}

/// The offsets given and the losses told, these negative; 0 for a new epoch.
fn said(steps: &[Step]) -> Vec<i64> {
    let one = |step: &Step| match step {
        Step::Give(events) => {
            events.iter().map(|one| one.position.map_or(-1_000, |at| at.offset as i64)).collect::<Vec<_>>()
        }
        Step::Missed(n) => vec![-(*n as i64)],
        Step::NewEpoch => vec![0],
    };
    steps.iter().flat_map(one).collect()
}

fn appended(epoch: u64, offsets: std::ops::RangeInclusive<u64>) -> Appended {
    Appended { epoch, offsets, way: AppendWay::Ready, unpublished: None }
}

fn send(order: &mut TenantOrder, seqs: std::ops::Range<u64>) {
    order.send(seqs.map(|seq| (seq, Publication::new(event(&format!("own{seq}"))), false)));
}

#[test]
fn what_is_missing_is_waited_for_and_what_was_given_is_left_out() {
    let mut order = watched(at(7, 10));
    assert_eq!(said(&take(&mut order, at(7, 10))), NOTHING, "older than the interest");
    assert_eq!(said(&take(&mut order, at(7, 11))), [11]);
    assert_eq!(said(&take(&mut order, at(7, 13))), NOTHING);
    assert_eq!(order.hole(), Some((at(7, 11), at(7, 13))));
    assert_eq!(said(&take(&mut order, at(7, 12))), [12, 13]);
    assert_eq!(said(&take(&mut order, at(7, 12))), NOTHING, "once");
    assert_eq!(order.hole(), None);
    order.heard_of(at(7, 14));
    assert_eq!(order.hole(), Some((at(7, 13), at(7, 14))), "the last before a silence was lost");
}

#[test]
fn what_comes_before_the_head_is_known_waits_for_it() {
    let mut order = TenantOrder { is_watched: true, ..TenantOrder::default() };
    for offset in [4, 5, 6] {
        assert_eq!(said(&take(&mut order, at(7, offset))), NOTHING);
    }
    let mut steps = Steps::new();
    assert!(order.heard_head(Head { position: at(7, 4), is_current: true }, &mut steps));
    assert_eq!(said(&steps), [5, 6]);
}

#[test]
fn a_head_that_cannot_be_read_is_done_without() {
    let mut order = TenantOrder { is_watched: true, ..TenantOrder::default() };
    take(&mut order, at(7, 4));
    take(&mut order, at(7, 5));
    let mut steps = Steps::new();
    order.go_without_head(&mut steps);
    assert_eq!(said(&steps), [4, 5]);
    assert_eq!(said(&take(&mut order, at(7, 6))), [6]);
}

#[test]
fn what_is_fetched_fills_the_hole_and_what_is_not_held_is_told() {
    let mut order = watched(at(7, 0));
    take(&mut order, at(7, 6));
    let missing = |first, last, is_opt_in| MissingEvents { first, last, is_opt_in };
    let held = [3, 5].map(|offset| (at(7, offset), None, received(at(7, offset)))).to_vec();
    let mut steps = Steps::new();
    order.fill(held, vec![missing(1, 2, false), missing(4, 4, true)], at(7, 6), &mut steps);
    assert_eq!(said(&steps), [-2, 3, 5, 6], "what nobody here asked for is not told");
    assert_eq!(order.hole(), None);
}

#[test]
fn what_cannot_be_fetched_is_given_up() {
    let mut order = watched(at(7, 0));
    take(&mut order, at(7, 3));
    let mut steps = Steps::new();
    order.give_up(&mut steps);
    assert_eq!(said(&steps), [-2, 3]);
    order.heard_of(at(7, 5));
    let mut steps = Steps::new();
    order.give_up(&mut steps);
    assert_eq!((said(&steps), order.hole()), (vec![-2], None));
}

#[test]
fn own_events_come_from_the_answer_or_the_echo_and_once() {
    let mut order = watched(at(7, 0));
    send(&mut order, 40..43);
    let Echo::Event(first) = order.echo(40, at(7, 1)) else { panic!("it is this node's") };
    let mut steps = Steps::new();
    order.take(at(7, 1), *first, &mut steps);
    assert_eq!(said(&steps), [1], "the echo was first");
    assert_eq!(said(&order.appended(&appended(7, 1..=3))), [2, 3], "then the answer");
    assert!(matches!(order.echo(41, at(7, 2)), Echo::Known));
    send(&mut order, 43..44);
    assert_eq!(said(&order.appended(&appended(7, 5..=5))), NOTHING, "somebody else's comes first");
    assert_eq!(said(&take(&mut order, at(7, 4))), [4, 5]);
}

#[test]
fn a_new_epoch_is_told_once_and_begins_at_its_first_event() {
    let mut order = watched(at(7, 3));
    let mut steps = Steps::new();
    order.heard_head(Head { position: at(7, 1), is_current: true }, &mut steps);
    assert_eq!(said(&steps), [0], "the head was set back: it is over");
    send(&mut order, 1..2);
    assert_eq!(said(&order.appended(&appended(8, 1..=1))), [1], "and was told already");
    assert_eq!(said(&take(&mut order, at(9, 1))), NOTHING, "somebody says so");
    assert_eq!(order.hole(), Some((at(8, 1), at(9, 1))));
    let mut steps = Steps::new();
    order.goes_on_in(9, &mut steps);
    assert_eq!(said(&steps), [0, 1]);
    assert_eq!(order.seen(), Some(at(9, 1)));
}

#[test]
fn a_position_that_the_history_never_gave_counts_as_none() {
    let mut order = watched(at(7, 3));
    take(&mut order, at(7, 99));
    let mut steps = Steps::new();
    order.fill(Vec::new(), Vec::new(), at(7, 3), &mut steps);
    order.disown(at(7, 99), at(7, 3), &mut steps);
    assert_eq!(said(&steps), [-1_000], "it is given, without its position");
    assert_eq!(said(&take(&mut order, at(7, 4))), [4], "and nothing is missing");
}

#[test]
fn what_was_given_without_a_position_is_only_entered_when_it_has_one() {
    let mut order = watched(at(7, 0));
    send(&mut order, 1..3);
    assert_eq!(order.degrade().len(), 2);
    assert_eq!(order.degrade().len(), 0, "once");
    let Step::Give(events) = order.appended(&appended(7, 1..=2)).remove(0) else { panic!("they have positions now") };
    assert!(events.iter().all(|one| one.is_known));
    let there = NodeId::parse("there").expect("legal");
    order.note_known((Some(there.clone()), 5));
    assert!(order.is_known(&(Some(there.clone()), 5)) && !order.is_known(&(Some(there), 6)));
}

/// Redis took them and its answer was lost: they come back from the stream, while they are doubtful or after.
#[test]
fn what_was_given_without_a_position_and_comes_from_the_stream_is_only_entered() {
    for is_forgotten in [false, true] {
        let mut order = watched(at(7, 0));
        send(&mut order, 1..3);
        assert_eq!(order.degrade().len(), 2);
        if is_forgotten {
            order.put_back();
        }
        let from_stream = |seq: u64| (at(7, seq), Some((None, seq)), received(at(7, seq)));
        let mut steps = Steps::new();
        order.fill(vec![from_stream(1), from_stream(2)], Vec::new(), at(7, 2), &mut steps);
        let Step::Give(events) = steps.remove(0) else { panic!("they have positions now") };
        assert!(events.len() == 2 && events.iter().all(|one| one.is_known), "forgotten: {is_forgotten}");
    }
}

#[test]
fn what_waits_is_bounded() {
    let mut order = watched(at(7, 0));
    let mut told = Vec::new();
    for offset in 2..=(WAITING_EVENTS as u64 + 3) {
        told.extend(said(&take(&mut order, at(7, offset))));
    }
    assert_eq!(told[..3], [-1, 2, 3], "the first one counts as lost");
    assert_eq!((order.waiting.len(), order.n_waiting_bytes), (0, 0));
}

#[test]
fn an_unwatched_tenants_own_events_are_counted_and_not_given() {
    let mut order = TenantOrder::default();
    send(&mut order, 1..3);
    assert!(order.appended(&appended(7, 5..=6)).is_empty());
    assert_eq!(order.seen(), Some(at(7, 6)));
    assert_eq!(order.hole(), None);
}
