//! The lists that a state sync is made of.

use super::ClientError;
use crate::{message::Message, model::ListItems};

/// At most this many items and bytes of all lists together.
const ITEMS: usize = 200_000;
const BYTES: usize = 64 * 1024 * 1024;

/// What is asked for, in this order.
pub(crate) const ASKED: [&str; 5] = ["CoreShowChannels", "Status", "QueueStatus", "DeviceStateList", "ParkedCalls"];

/// Lists on their way.
#[derive(Debug)]
pub(crate) struct Lists {
    prefix: String,
    open: usize,
    bytes: usize,
    pub(crate) items: ListItems,
    pub(crate) refused: Vec<(String, String)>,
}

impl Lists {
    /// `prefix`: what the `ActionIDs` of these lists begin with; each ends with its place in [`ASKED`].
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix, open: ASKED.len(), bytes: 0, items: ListItems::default(), refused: Vec::new() }
    }

    pub(crate) fn actions(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for (place, list) in ASKED.iter().enumerate() {
            all.extend(super::wire::action(&[("Action", list), ("ActionID", &format!("{}{place}", self.prefix))]));
        }
        all
    }

    /// Takes a message that belongs to the lists; whether it did.
    pub(crate) fn take(&mut self, m: &Message<'_>) -> Result<bool, ClientError> {
        let id = m.text("ActionID");
        let Some(place) = id.strip_prefix(&*self.prefix).and_then(|place| place.parse::<usize>().ok()) else {
            return Ok(false);
        };
        if let Some(response) = m.response() {
            if response == "Error" {
                self.open = self.open.saturating_sub(1);
                let list = ASKED.get(place).copied().unwrap_or_default();
                self.refused.push((list.to_owned(), m.text("Message").into_owned()));
            }
            return Ok(true);
        }
        if m.bytes("EventList").is_some_and(|word| word.eq_ignore_ascii_case(b"Complete")) {
            self.open = self.open.saturating_sub(1);
            return Ok(true);
        }
        self.bytes += m.raw().len();
        if self.items.len() >= ITEMS || self.bytes > BYTES {
            return Err(ClientError::ListsTooLong(ITEMS, BYTES));
        }
        self.items.add(m);
        Ok(true)
    }

    pub(crate) fn whole(&self) -> bool {
        self.open == 0
    }
}
