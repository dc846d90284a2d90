//! Archives of what PBXs sent, with what is told of it: golden files, written anew with `HOOKSWITCH_GOLDEN=update`.
//!
//! For each recording a line `capture NAME` with three lengths, then so many bytes of: the reads (a line each of
//! milliseconds and length, -1 where a connection begins), what was read, and the events, a line each.

use std::io::{Read as _, Write as _};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use hookswitch_asterisk::SourceEvent;
use serde_json::{Value, json};

/// What came over one or more connections, and what is told of it.
pub(crate) struct Recording {
    pub(crate) name: String,
    timing: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) told: Vec<Value>,
}

impl Recording {
    /// When something was read, in milliseconds, and it; `None` where a connection begins.
    pub(crate) fn reads(&self) -> Vec<(i64, Option<&[u8]>)> {
        let mut rest = &self.bytes[..];
        let mut take = |length: &str| {
            let length: usize = length.parse().ok()?;
            let (read, after) = rest.split_at(length.min(rest.len()));
            rest = after;
            Some(read)
        };
        let lines = self.timing.lines().map(|line| line.split_once(' ').expect("two numbers"));
        lines.map(|(at, length)| (at.parse().expect("a time"), take(length))).collect()
    }
}

/// All recordings of an archive.
pub(crate) fn read(archive: &[u8]) -> Vec<Recording> {
    let mut all = Vec::new();
    GzDecoder::new(archive).read_to_end(&mut all).expect("the archive is whole");
    let (mut rest, mut found) = (&all[..], Vec::new());
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').expect("each recording has its first line");
        let head = std::str::from_utf8(&rest[..end]).expect("it is text");
        let words: Vec<&str> = head.split(' ').collect();
        let lengths: Vec<usize> = words[2..].iter().map(|word| word.parse().expect("a length")).collect();
        let (timing, after) = rest[end + 1..].split_at(lengths[0]);
        let (bytes, after) = after.split_at(lengths[1]);
        let (told, after) = after.split_at(lengths[2]);
        found.push(Recording {
            name: words[1].to_owned(),
            timing: String::from_utf8(timing.to_vec()).expect("it is text"),
            bytes: bytes.to_vec(),
            told: serde_json::Deserializer::from_slice(told).into_iter().map(|told| told.expect("an event")).collect(),
        });
        rest = after;
    }
    found
}

/// Whether golden files are to be written, not compared.
pub(crate) fn is_update() -> bool {
    std::env::var_os("HOOKSWITCH_GOLDEN").is_some_and(|mode| mode == "update")
}

/// Writes an archive with what is told now. `file` is beside this folder.
pub(crate) fn write(file: &str, recordings: &[Recording], play: impl Fn(&Recording) -> Vec<Value>) {
    let mut archive = GzEncoder::new(Vec::new(), Compression::best());
    for recording in recordings {
        let told = play(recording).iter().fold(String::new(), |all, told| format!("{all}{told}\n"));
        let lengths = [recording.timing.len(), recording.bytes.len(), told.len()].map(|length| length.to_string());
        let head = format!("capture {} {}\n", recording.name, lengths.join(" "));
        for part in [head.as_bytes(), recording.timing.as_bytes(), &recording.bytes, told.as_bytes()] {
            archive.write_all(part).expect("memory takes it");
        }
    }
    let path = format!("{}/tests/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::write(path, archive.finish().expect("memory takes it")).expect("the archive can be written");
}

/// Events as an archive has them.
pub(crate) fn as_json(told: &[SourceEvent]) -> Vec<Value> {
    told.iter().map(|told| json!({"type": told.event_type, "id": told.id, "payload": told.payload})).collect()
}

/// Holds what is told against what stands in the archive.
pub(crate) fn assert_told(what: &str, told: &[Value], right: &[Value]) {
    for (at, (told, right)) in told.iter().zip(right).enumerate() {
        assert_eq!(told, right, "{what}, event {at}");
    }
    assert_eq!(told.len(), right.len(), "{what}");
}
