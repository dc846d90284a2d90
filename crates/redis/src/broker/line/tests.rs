//! One line for each way to Redis: what goes first, what waits, what is dropped.

use super::*;

fn message(slot: u16, name: &str) -> Outbound {
    let tenant = TenantId::parse(&format!("t{slot}")).expect("legal");
    Outbound { tenant, channel: name.to_owned(), body: Bytes::new(), is_sharded: false, slot, settled: None }
}

fn line(messages: &[(u16, &str)]) -> Line {
    let mut line = Line::default();
    for (slot, name) in messages {
        line.append(message(*slot, name));
    }
    line
}

fn names(batch: &Batch) -> Vec<&str> {
    batch.iter().map(|(_, outbound)| outbound.channel.as_str()).collect()
}

#[test]
fn a_lane_that_is_sent_waits_and_the_others_go_on() {
    let mut line = line(&[(1, "a"), (2, "b"), (1, "c")]);
    let (slot, first) = line.take().expect("a lane");
    assert_eq!((slot, names(&first)), (1, vec!["a", "c"]));
    line.append(message(1, "d"));
    assert_eq!(line.take().map(|(slot, batch)| (slot, batch.len())), Some((2, 1)));
    assert!(line.take().is_none(), "both are being sent");
    assert!(line.put_back(1, first), "news");
    line.release(1);
    let (_, again) = line.take().expect("it is free");
    assert_eq!(names(&again), ["a"], "one is tried first");
    line.gone(&again[0].1);
    line.succeeded(1);
    line.release(1);
    assert_eq!(names(&line.take().expect("it is free").1), ["c", "d"], "in order");
}

#[test]
fn the_oldest_of_all_lanes_are_dropped_and_told_once_there_is_room() {
    let mut line = line(&[(1, "a"), (2, "b"), (1, "c"), (2, "d")]);
    let dropped: Vec<String> = std::iter::from_fn(|| line.drop_over(2, 100)).map(|outbound| outbound.channel).collect();
    assert_eq!(dropped, ["a", "b"]);
    assert!(line.take_dropped(2, 100).is_none(), "there is no room yet");
    let (slot, batch) = line.take().expect("a lane");
    assert_eq!(names(&batch), ["c"]);
    line.gone(&batch[0].1);
    line.release(slot);
    let told = line.take_dropped(2, 100).expect("there is room");
    assert_eq!((told.n_messages, told.tenants.len()), (2, 2));
    assert!(!line.is_dropping() && line.take_dropped(2, 100).is_none());
}
