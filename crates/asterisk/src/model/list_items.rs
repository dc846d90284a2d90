//! What a PBX answers when it is asked for everything that it has.

use crate::message::Message;

/// The items of a PBX's lists, as it sent them.
#[derive(Clone, Debug, Default)]
pub struct ListItems {
    rows: Vec<Vec<u8>>,
}

impl ListItems {
    /// Takes one item of a list.
    pub fn add(&mut self, m: &Message<'_>) {
        self.rows.push(m.raw().to_vec());
    }

    /// How many items it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn of<'a>(&'a self, event: &'static str) -> impl Iterator<Item = Message<'a>> {
        self.rows.iter().map(|raw| Message::new(raw)).filter(move |m| m.event() == Some(event))
    }
}
