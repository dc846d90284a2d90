//! Conversations of which a part was not heard: the connection was cut, once or several times, and after each login the
//! PBX was asked for everything it has. What is told was held against what the phones saw when it was recorded.

use std::collections::{HashMap, HashSet};

use hookswitch_asterisk::{DEFAULT_AGENTS, Identity, ListItems, Message, Model, Reader};
use serde_json::Value;

use crate::archive::{self, Recording, as_json, assert_told};

/// 15 recordings, each of which was told wrongly once.
const ARCHIVE: &[u8] = include_bytes!("../reconnects.gz");

/// How many lists are asked for at once.
const LISTS: usize = 5;

/// The part of a client that tells lists from events.
struct Player {
    model: Model,
    reader: Reader,
    /// What the `ActionID`s of the lists that are on their way begin with.
    prefix: String,
    lists: ListItems,
    ended: usize,
}

impl Player {
    fn new() -> Self {
        let identity = Identity::new(DEFAULT_AGENTS, "from-trunk,from-pstn,PJSIP/trunk*").expect("it is good");
        let model = Model::new("lab", identity);
        Self { model, reader: Reader::default(), prefix: String::new(), lists: ListItems::default(), ended: 0 }
    }

    fn begin_connection(&mut self) {
        (self.reader, self.prefix) = (Reader::default(), String::new());
    }

    fn read(&mut self, bytes: &[u8], now: i64) {
        self.reader.push(bytes);
        let mut messages = Vec::new();
        while let Some(message) = self.reader.next().expect("a PBX sent it") {
            messages.push(message.raw().to_vec());
        }
        for raw in messages {
            self.take(&Message::new(&raw), now);
        }
    }

    fn take(&mut self, message: &Message<'_>, now: i64) {
        let id = message.text("ActionID").into_owned();
        match id.strip_prefix("hsw-").and_then(|_| id.rsplit_once('-')) {
            Some((prefix, place)) if place.parse::<usize>().is_ok() => self.take_item(message, prefix, now),
            Some(_) => {}
            None if message.event() == Some("FullyBooted") => {}
            None => self.model.apply(message, now),
        }
    }

    fn take_item(&mut self, message: &Message<'_>, prefix: &str, now: i64) {
        if self.prefix != prefix {
            (self.prefix, self.lists, self.ended) = (prefix.to_owned(), ListItems::default(), 0);
            self.model.begin_sync(now);
        }
        if message.bytes("EventList") == Some(b"Complete") {
            self.ended += 1;
            if self.ended == LISTS {
                self.model.finish_sync(&self.lists, now);
            }
        } else if message.event().is_some() {
            self.lists.add(message);
        }
    }
}

fn play(recording: &Recording) -> Vec<Value> {
    let mut player = Player::new();
    for (at, read) in recording.reads() {
        let now = 1_000_000 + at;
        match read {
            Some(read) => player.read(read, now),
            None => player.begin_connection(),
        }
        player.model.tick(now);
    }
    as_json(&player.model.take())
}

#[test]
fn golden_recordings_with_cuts_are_told_without_contradiction() {
    let recordings = archive::read(ARCHIVE);
    if archive::is_update() {
        return archive::write("reconnects.gz", &recordings, play);
    }
    assert_eq!(recordings.len(), 15, "the archive is whole");
    for recording in &recordings {
        assert_told(&recording.name, &play(recording), &recording.told);
    }
}

#[test]
fn after_a_cut_no_state_is_told_twice_and_no_call_goes_on_after_its_end() {
    for recording in archive::read(ARCHIVE) {
        let (mut states, mut ended) = (HashMap::new(), HashSet::new());
        for told in play(&recording) {
            let (event_type, payload) = (told["type"].to_string(), told["payload"].clone());
            if event_type.contains("agent.state.changed") {
                let before = states.insert(payload["user_id"].to_string(), payload["state"].clone());
                assert_ne!(before.as_ref(), Some(&payload["state"]), "{}: {told}", recording.name);
            }
            if event_type.contains("call.") {
                let call = payload["unique_id"].to_string();
                assert!(!ended.contains(&call), "{}: {told}", recording.name);
                if event_type.contains("call.ended") {
                    ended.insert(call);
                }
            }
        }
    }
}
