//! Messages that come faster than they are handled.
//!
//! The client library holds what nobody has taken yet, and counts it only: a message has 300 bytes or a million. So
//! what waits is taken over from it again and again, and held here within a bound in bytes, of which every channel has
//! its share: a tenant that sends more than this node can handle has its own messages forgotten.

use std::collections::{HashMap, VecDeque};

use fred::types::Message;
use hookswitch_runtime::{FairPermit, FairSemaphore, Sharing};

/// Bytes that may be held; a channel may have as many as are left.
const HELD_BYTES: u64 = 128 * 1024 * 1024;

/// What a small message counts for.
const LEAST_BYTES: u64 = 1024;

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    Message(Message),
    /// One that nobody may send, so large that it was not held.
    TooLarge {
        channel: String,
        n_bytes: usize,
    },
    /// Of a channel so many were forgotten, because there was no room to hold them.
    Forgotten {
        channel: String,
        n_messages: u64,
    },
    /// So many were forgotten of any channels, because they were not taken in time.
    Lagged(u64),
    /// There is no connection any more, and none will come.
    Ended,
}

/// What is held, in order.
#[derive(Debug)]
pub(super) struct ReadAhead {
    held: VecDeque<Held>,
    room: FairSemaphore<String>,
    /// Beyond it a message is not held.
    largest: usize,
    /// How many were forgotten, by channel; each channel has its place in what is held.
    forgotten: HashMap<String, u64>,
}

#[derive(Debug)]
enum Held {
    /// With its part of the room, which is given back with it.
    Message(Message, FairPermit<String>),
    Forgotten(String),
    Other(Next),
}

impl ReadAhead {
    pub(super) fn new(largest: usize) -> Self {
        let room = FairSemaphore::new(HELD_BYTES, Sharing { alpha: 1, waiting: 0 });
        Self { held: VecDeque::new(), room, largest, forgotten: HashMap::new() }
    }

    /// What came first.
    pub(super) fn pop(&mut self) -> Option<Next> {
        Some(match self.held.pop_front()? {
            Held::Message(message, _room) => Next::Message(message),
            Held::Forgotten(channel) => {
                let n_messages = self.forgotten.remove(&channel).unwrap_or_default();
                Next::Forgotten { channel, n_messages }
            }
            Held::Other(next) => next,
        })
    }

    /// Puts it behind what is held, or forgets it.
    pub(super) fn hold(&mut self, next: Next) {
        let Next::Message(message) = next else { return self.held.push_back(Held::Other(next)) };
        let n_bytes = message.value.as_bytes().map_or(0, <[u8]>::len);
        let channel = message.channel.to_string();
        if n_bytes > self.largest {
            return self.held.push_back(Held::Other(Next::TooLarge { channel, n_bytes }));
        }
        if let Some(room) = self.room.try_acquire(&channel, (n_bytes as u64).max(LEAST_BYTES)) {
            return self.held.push_back(Held::Message(message, room));
        }
        if !self.forgotten.contains_key(&channel) {
            self.held.push_back(Held::Forgotten(channel.clone()));
        }
        *self.forgotten.entry(channel).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use fred::types::config::Server;
    use fred::types::{MessageKind, Value};

    use super::*;

    const LARGEST: usize = 1024 * 1024;

    fn message(channel: &str, n_bytes: usize) -> Next {
        let server = Server::new("127.0.0.1", 6379);
        let value = Value::Bytes(vec![b'x'; n_bytes].into());
        Next::Message(Message { channel: channel.to_owned().into(), value, kind: MessageKind::Message, server })
    }

    fn word(next: Next) -> String {
        match next {
            Next::Message(message) => message.channel.to_string(),
            Next::Forgotten { channel, n_messages } => format!("{channel} less {n_messages}"),
            Next::TooLarge { channel, n_bytes } => format!("{channel} of {n_bytes}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn bytes_are_bounded_and_a_channel_that_has_little_there_finds_room() {
        let mut ahead = ReadAhead::new(LARGEST);
        for _ in 0..200 {
            ahead.hold(message("loud", LARGEST));
        }
        ahead.hold(message("quiet", 100));
        ahead.hold(message("loud", LARGEST));
        ahead.hold(message("quiet", LARGEST + 1));
        ahead.hold(Next::Lagged(3));
        let held: Vec<String> = std::iter::from_fn(|| ahead.pop()).map(word).collect();
        let n_loud = held.iter().filter(|word| *word == "loud").count();
        assert_eq!(n_loud, 64, "half of 128 MiB");
        let wanted = ["loud less 137", "quiet", "quiet of 1048577", "Lagged(3)"];
        assert_eq!(held[n_loud..], wanted, "the others' are behind, in order");
        ahead.hold(message("loud", LARGEST));
        assert_eq!(ahead.pop().map(word).as_deref(), Some("loud"), "there is room again");
        assert!(ahead.pop().is_none() && ahead.forgotten.is_empty());
    }

    #[test]
    fn small_messages_are_bounded_too() {
        let mut ahead = ReadAhead::new(LARGEST);
        for _ in 0..100_000 {
            ahead.hold(message("loud", 10));
        }
        assert_eq!(ahead.held.len(), 64 * 1024 + 1);
    }
}
