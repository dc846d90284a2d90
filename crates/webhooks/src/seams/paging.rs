//! Lists in windows: bounded by rows and by bytes, with a cursor to go on from.

use std::fmt;

use hookswitch_protocol::{Timestamp, WebhookId};

/// Bytes of row data in one window of a list. The first row is given whatever it weighs.
pub const PAGE_BYTES: usize = 1024 * 1024;

/// How deep `offset` reaches, and how far the rows of a list are counted; a cursor goes on behind that.
pub const DEEPEST_OFFSET: u64 = 10_000;

/// A window on a list: begin after `after`, skip `offset`, give at most `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Where to go on, as [`Listed::next`] said; `None` begins at the start. One of another list gives
    /// nothing in particular.
    pub after: Option<Cursor>,
    /// Rows to skip. No window reaches beyond the [`DEEPEST_OFFSET`]th row after its beginning.
    pub offset: u64,
    /// Most rows to give; fewer when they weigh more than [`PAGE_BYTES`].
    pub limit: u32,
}

impl Page {
    /// The beginning of a list.
    pub const fn first(limit: u32) -> Self {
        Self { after: None, offset: 0, limit }
    }

    /// How many rows the window is for, within the depth that is reached.
    pub fn n_wanted(&self) -> u64 {
        let end = self.offset.saturating_add(u64::from(self.limit)).min(DEEPEST_OFFSET);
        end.saturating_sub(self.offset)
    }
}

/// One window of a list, with the size of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows of this window.
    pub rows: Vec<T>,
    /// Rows in the whole list, counted up to [`DEEPEST_OFFSET`]: that number means "so many or more".
    pub total: u64,
    /// Where to go on; `None` when nothing follows.
    pub next: Option<Cursor>,
}

impl<T> Listed<T> {
    /// The same window with rows made of these.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Listed<U> {
        Listed { rows: self.rows.into_iter().map(change).collect(), total: self.total, next: self.next }
    }
}

/// A place in a list: right behind the row that it names, also when that one is gone by now.
///
/// ```
/// use hookswitch_webhooks::Cursor;
///
/// let cursor = Cursor::parse("a1761393600000.42").expect("an attempt");
/// assert_eq!(cursor.to_string(), "a1761393600000.42");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// A webhook among those of its tenant.
    Webhook(WebhookId),
    /// A row of what was tried.
    Attempt {
        /// When the attempt ended.
        at: Timestamp,
        /// The row's number.
        id: i64,
    },
    /// A row of what was not sent.
    Skip {
        /// When that was decided.
        at: Timestamp,
        /// The row's number.
        id: i64,
    },
}

impl Cursor {
    /// Reads what [`Cursor`] prints; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_at_checked(1)?;
        let place = || {
            let (at, id) = rest.split_once('.')?;
            Some((Timestamp::from_millis(at.parse().ok()?), id.parse().ok()?))
        };
        let cursor = match kind {
            "w" => Self::Webhook(WebhookId(rest.parse().ok()?)),
            "a" => place().map(|(at, id)| Self::Attempt { at, id })?,
            "s" => place().map(|(at, id)| Self::Skip { at, id })?,
            _ => return None,
        };
        // One spelling each: `+5` and `05` are numbers too.
        (cursor.to_string() == text).then_some(cursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(id) => write!(f, "w{}", id.0),
            Self::Attempt { at, id } => write!(f, "a{}.{id}", at.as_millis()),
            Self::Skip { at, id } => write!(f, "s{}.{id}", at.as_millis()),
        }
    }
}

/// How much of a list in memory a window holds.
#[derive(Debug)]
pub(crate) struct PageBudget {
    rows: u64,
    bytes: usize,
    is_empty: bool,
}

impl PageBudget {
    pub(crate) fn new(page: &Page) -> Self {
        Self { rows: page.n_wanted(), bytes: PAGE_BYTES, is_empty: true }
    }

    /// Whether another row of this weight belongs to the window; it is counted then.
    pub(crate) fn take(&mut self, weight: usize) -> bool {
        let fits = self.rows > 0 && (self.is_empty || weight <= self.bytes);
        if fits {
            (self.rows, self.bytes, self.is_empty) = (self.rows - 1, self.bytes.saturating_sub(weight), false);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_printed_and_nothing_else_is() {
        let at = Timestamp::from_millis(1_761_393_600_000);
        let cursors = [
            (Cursor::Webhook(WebhookId(42)), "w42"),
            (Cursor::Attempt { at, id: 7 }, "a1761393600000.7"),
            (Cursor::Skip { at, id: 7 }, "s1761393600000.7"),
        ];
        for (cursor, text) in cursors {
            assert_eq!((cursor.to_string().as_str(), Cursor::parse(text)), (text, Some(cursor)));
        }
        for bad in ["", "w", "w+1", "x1", "a1", "a1.", "a.1", "a01.1", "a1.1.1", "é", "s99999999999999999999.1"] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_window_is_bounded_by_rows_bytes_and_depth_and_never_empty_for_one_big_row() {
        let page = |offset, limit| Page { after: None, offset, limit };
        let n_taken = |page: Page, weight: usize| {
            let mut room = PageBudget::new(&page);
            (0..100_000).take_while(|_| room.take(weight)).count()
        };
        assert_eq!(n_taken(page(0, 50), 10), 50);
        assert_eq!(n_taken(page(0, 1_000), PAGE_BYTES / 4), 4);
        assert_eq!(n_taken(page(0, 1_000), PAGE_BYTES * 3), 1);
        assert_eq!(n_taken(page(DEEPEST_OFFSET - 3, 50), 10), 3);
        assert_eq!(n_taken(page(u64::MAX, 50), 10), 0);
    }
}
