//! Recorded connections, each with the events that were held against what the phones saw when they were recorded.

use hookswitch_asterisk::{DEFAULT_AGENTS, Identity, Model, Reader};
use serde_json::Value;

use crate::archive::{self, Recording, as_json, assert_told};

/// 57 captures, 3.6 MB of a PBX.
const ARCHIVE: &[u8] = include_bytes!("../captures.gz");

/// Plays a capture in its own reads, each cut into pieces of at most `piece` bytes.
fn play(capture: &Recording, piece: usize) -> Vec<Value> {
    let identity = Identity::new(DEFAULT_AGENTS, "from-trunk,PJSIP/trunk*").expect("it is good");
    let (mut reader, mut model) = (Reader::default(), Model::new("lab", identity));
    for (at, read) in capture.reads() {
        let Some(read) = read else { continue };
        let now = 1_000_000 + at;
        model.tick(now);
        for part in read.chunks(piece) {
            reader.push(part);
            while let Some(message) = reader.next().expect("a PBX sent it") {
                let is_answer = message.bytes("ActionID").is_some();
                if !is_answer || matches!(message.event(), Some("OriginateResponse" | "UserEvent")) {
                    model.apply(&message, now);
                }
            }
        }
    }
    model.tick(1_000_000_000);
    as_json(&model.take())
}

/// With `HOOKSWITCH_GOLDEN=update` what is told now is written into the archive instead.
#[test]
fn golden_captures_are_told_as_they_happened() {
    let captures = archive::read(ARCHIVE);
    if archive::is_update() {
        return archive::write("captures.gz", &captures, |capture| play(capture, usize::MAX));
    }
    assert!(captures.len() > 50, "the archive is whole");
    for capture in &captures {
        for piece in [usize::MAX, 7] {
            assert_told(&format!("{} in pieces of {piece}", capture.name), &play(capture, piece), &capture.told);
        }
    }
}

#[test]
fn every_call_that_began_ends_once() {
    // A PBX that was killed says nothing of the end: that is found at the next connection.
    for capture in archive::read(ARCHIVE).iter().filter(|capture| !capture.name.starts_with("14d")) {
        let of = |event_type: &str| {
            let told = capture.told.iter().filter(|told| told["type"] == event_type);
            let mut uids: Vec<String> = told.map(|told| told["payload"]["unique_id"].to_string()).collect();
            uids.sort_unstable();
            uids
        };
        let begun: Vec<String> = {
            let mut begun = [of("call.incoming"), of("call.outgoing")].concat();
            begun.sort_unstable();
            begun
        };
        assert_eq!(begun, of("call.ended"), "{}", capture.name);
    }
}

#[test]
fn ids_are_told_once_and_fit() {
    for capture in archive::read(ARCHIVE) {
        let mut ids: Vec<&str> = capture.told.iter().filter_map(|told| told["id"].as_str()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{}: an id twice", capture.name);
        assert!(ids.iter().all(|id| id.len() <= 64), "{}", capture.name);
    }
}
