//! One queue for each slot: what goes first, what waits, what is dropped.

use super::*;

fn message(slot: u16, name: &str) -> Outbound {
    let tenant = TenantId::parse(&format!("t{slot}")).expect("legal");
    Outbound { tenant, channel: name.to_owned(), body: Bytes::new(), is_sharded: false, slot, settled: None }
}

fn queue(messages: &[(u16, &str)]) -> SendQueue {
    let mut queue = SendQueue::default();
    for (slot, name) in messages {
        queue.append(message(*slot, name));
    }
    queue
}

fn names(batch: &Batch) -> Vec<&str> {
    batch.iter().map(|(_, outbound)| outbound.channel.as_str()).collect()
}

#[test]
fn a_slot_that_is_sent_waits_and_the_others_go_on() {
    let mut queue = queue(&[(1, "a"), (2, "b"), (1, "c")]);
    let (slot, first) = queue.take().expect("a slot");
    assert_eq!((slot, names(&first)), (1, vec!["a", "c"]));
    queue.append(message(1, "d"));
    assert_eq!(queue.take().map(|(slot, batch)| (slot, batch.len())), Some((2, 1)));
    assert!(queue.take().is_none(), "both are being sent");
    assert!(queue.put_back(1, first), "news");
    queue.release(1);
    let (_, again) = queue.take().expect("it is free");
    assert_eq!(names(&again), ["a"], "one is tried first");
    queue.gone(&again[0].1);
    queue.succeeded(1);
    queue.release(1);
    assert_eq!(names(&queue.take().expect("it is free").1), ["c", "d"], "in order");
}

#[test]
fn the_oldest_of_all_slots_are_dropped_and_told_once_there_is_room() {
    let mut queue = queue(&[(1, "a"), (2, "b"), (1, "c"), (2, "d")]);
    let dropped: Vec<String> =
        std::iter::from_fn(|| queue.drop_over(2, 100)).map(|outbound| outbound.channel).collect();
    assert_eq!(dropped, ["a", "b"]);
    assert!(queue.take_dropped(2, 100).is_none(), "there is no room yet");
    let (slot, batch) = queue.take().expect("a slot");
    assert_eq!(names(&batch), ["c"]);
    queue.gone(&batch[0].1);
    queue.release(slot);
    let told = queue.take_dropped(2, 100).expect("there is room");
    assert_eq!((told.n_messages, told.tenants.len()), (2, 2));
    assert!(!queue.is_dropping() && queue.take_dropped(2, 100).is_none());
}
