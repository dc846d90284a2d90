//! Recorded connections, each with the events that were held against what the phones saw when they were recorded.

use std::io::{Read as _, Write as _};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use hookswitch_asterisk::{DEFAULT_AGENTS, Identity, Model, Reader};
use serde_json::{Value, json};

/// 57 captures, 3.6 MB of a switch in 213 kB. For each a line with its name and three lengths, its reads (milliseconds and bytes), the bytes, the events.
const ARCHIVE: &[u8] = include_bytes!("../captures.gz");

struct Capture {
    name: String,
    timing: String,
    reads: Vec<(i64, usize)>,
    bytes: Vec<u8>,
    told: Vec<Value>,
}

fn captures() -> Vec<Capture> {
    let mut all = Vec::new();
    GzDecoder::new(ARCHIVE).read_to_end(&mut all).expect("the archive is whole");
    let mut rest = &all[..];
    let mut found = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').expect("each capture has its first line");
        let head = std::str::from_utf8(&rest[..end]).expect("it is text");
        let words: Vec<&str> = head.split(' ').collect();
        let lengths: Vec<usize> = words[2..].iter().map(|word| word.parse().expect("a length")).collect();
        let (timing, after) = rest[end + 1..].split_at(lengths[0]);
        let (bytes, after) = after.split_at(lengths[1]);
        let (told, after) = after.split_at(lengths[2]);
        let timing = std::str::from_utf8(timing).expect("it is text");
        let reads = timing.lines().map(|line| line.split_once(' ').expect("two numbers"));
        found.push(Capture {
            name: words[1].to_owned(),
            timing: timing.to_owned(),
            reads: reads.map(|(at, n)| (at.parse().expect("a time"), n.parse().expect("a length"))).collect(),
            bytes: bytes.to_vec(),
            told: serde_json::Deserializer::from_slice(told).into_iter().map(|told| told.expect("an event")).collect(),
        });
        rest = after;
    }
    found
}

/// Plays a capture in its own reads, each cut into pieces of at most `piece` bytes.
fn play(capture: &Capture, piece: usize) -> Vec<Value> {
    let identity = Identity::new(DEFAULT_AGENTS, "from-trunk,PJSIP/trunk*").expect("it is good");
    let (mut reader, mut model) = (Reader::default(), Model::new("lab", identity));
    let mut rest = &capture.bytes[..];
    for (at, length) in &capture.reads {
        let (read, after) = rest.split_at((*length).min(rest.len()));
        rest = after;
        let now = 1_000_000 + at;
        model.tick(now);
        for part in read.chunks(piece) {
            reader.push(part);
            while let Some(message) = reader.next().expect("a switch sent it") {
                let is_answer = message.bytes("ActionID").is_some();
                if !is_answer || matches!(message.event(), Some("OriginateResponse" | "UserEvent")) {
                    model.apply(&message, now);
                }
            }
        }
    }
    model.tick(1_000_000_000);
    let told = model.take();
    told.iter().map(|told| json!({"type": told.event_type, "id": told.id, "payload": told.payload})).collect()
}

/// The archive with what is told now.
fn write_golden(captures: &[Capture]) {
    let mut archive = GzEncoder::new(Vec::new(), Compression::best());
    for capture in captures {
        let told = play(capture, usize::MAX).iter().fold(String::new(), |all, told| format!("{all}{told}\n"));
        let lengths = [capture.timing.len(), capture.bytes.len(), told.len()].map(|length| length.to_string());
        let head = format!("capture {} {}\n", capture.name, lengths.join(" "));
        for part in [head.as_bytes(), capture.timing.as_bytes(), &capture.bytes, told.as_bytes()] {
            archive.write_all(part).expect("memory takes it");
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures.gz");
    std::fs::write(path, archive.finish().expect("memory takes it")).expect("the archive can be written");
}

/// With `HOOKSWITCH_GOLDEN=update` what is told now is written into the archive instead.
#[test]
fn golden_captures_are_told_as_they_happened() {
    let captures = captures();
    if std::env::var_os("HOOKSWITCH_GOLDEN").is_some_and(|mode| mode == "update") {
        return write_golden(&captures);
    }
    assert!(captures.len() > 50, "the archive is whole");
    for capture in &captures {
        for piece in [usize::MAX, 7] {
            let told = play(capture, piece);
            for (at, (told, right)) in told.iter().zip(&capture.told).enumerate() {
                assert_eq!(told, right, "{} in pieces of {piece}, event {at}", capture.name);
            }
            assert_eq!(told.len(), capture.told.len(), "{} in pieces of {piece}", capture.name);
        }
    }
}

#[test]
fn every_call_that_began_ends_once() {
    // A switch that was killed says nothing of the end: that is found at the next connection.
    for capture in captures().iter().filter(|capture| !capture.name.starts_with("14d")) {
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
    for capture in captures() {
        let mut ids: Vec<&str> = capture.told.iter().filter_map(|told| told["id"].as_str()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{}: an id twice", capture.name);
        assert!(ids.iter().all(|id| id.len() <= 64), "{}", capture.name);
    }
}
