//! Reads what comes behind a position, in pages.

use std::sync::Arc;

use bytes::Bytes;
use fred::error::{Error, ErrorKind};
use fred::types::Value;
use hookswitch_protocol::{NodeId, TenantId};

use super::Position;
use super::batch::{Marks, SEPARATOR};
use super::connections::Connection;
use super::error::HistoryError;
use super::heads::Head;
use super::{HistoryStream, items, number, text};

const OPERATION: &str = "read recent history";

/// How much one page may have. Whole entries come, so there may be some events of one before the position, and one
/// entry comes whatever its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageBounds {
    /// Most events.
    pub events: usize,
    /// Most bytes of envelopes.
    pub bytes: usize,
}

/// What came of reading behind a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryRead {
    /// The events behind it.
    Page(HistoryPage),
    /// The position is none of this history: another epoch, beyond the head, or there is no history.
    Unknown {
        /// The head, where there is one.
        head: Option<Head>,
    },
}

/// Events behind a position, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// The events that are held, up to [`Self::through`].
    pub events: Vec<HistoryEvent>,
    /// What is not held of the offsets between the position and [`Self::through`], in order.
    pub missing: Vec<MissingEvents>,
    /// The last offset that this page tells of. The next page is behind it, unless it is the head.
    pub through: u64,
    /// From this offset on every event of ordinary types is held.
    pub held_from: u64,
    /// From this offset on every event is, those of opt-in types too.
    pub opt_in_held_from: u64,
    /// The last position that was given.
    pub head: Head,
}

/// One event of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEvent {
    /// Its place in the epoch.
    pub offset: u64,
    /// The envelope as it was published, its position last.
    pub envelope: Bytes,
    /// What was noted beside it.
    pub marks: Marks,
    /// Who appended it.
    pub node: NodeId,
    /// In which batch of that node.
    pub sequence: u64,
}

/// Offsets in a row whose events are not held any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingEvents {
    /// The first of them.
    pub first: u64,
    /// The last of them.
    pub last: u64,
    /// Whether all of them were of opt-in types: then nobody missed anything who did not ask for such.
    pub is_opt_in: bool,
}

/// Up to which offsets events were dropped.
#[derive(Debug, Clone, Copy)]
struct Dropped {
    ordinary: u64,
    opt_in: u64,
}

impl HistoryStream {
    /// Reads the events behind a position: one call, which is given up after the time that a command has (1 s). A
    /// dropped future leaves nothing behind.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn read_after(
        &self,
        tenant: &TenantId,
        after: Position,
        bounds: PageBounds,
    ) -> Result<HistoryRead, HistoryError> {
        let keys = self.keys(tenant);
        let numbers = [after.epoch, after.offset, bounds.events as u64, bounds.bytes as u64];
        let args = |_: &Connection| numbers.iter().map(|number| Value::from(number.to_string())).collect();
        let read = self.connections.run(&self.read, OPERATION, &keys, args);
        let read = tokio::time::timeout(self.link.config().command_timeout, read).await.unwrap_or_else(|_late| {
            Err(self.link.failed(OPERATION, &keys.join(" "), Error::new(ErrorKind::Timeout, "no page in time")))
        });
        let failed = |error| HistoryError::new(OPERATION, &keys[1], &Arc::new(error));
        let (said, connection) = read.map_err(failed)?;
        read_answer(items(said), after, &connection).ok_or_else(|| {
            let error = Error::new(ErrorKind::InvalidArgument, "the key holds what no node has written");
            failed(self.link.failed(OPERATION, &keys[1], error))
        })
    }
}

fn read_answer(answer: Vec<Value>, after: Position, connection: &Connection) -> Option<HistoryRead> {
    let mut values = answer.into_iter();
    let Some(epoch) = values.next() else { return Some(HistoryRead::Unknown { head: None }) };
    let position = Position { epoch: number(&epoch)?, offset: number(&values.next()?)? };
    let head = Head { position, is_current: text(&values.next()?)? == connection.run_id() };
    let Some(ordinary) = values.next() else { return Some(HistoryRead::Unknown { head: Some(head) }) };
    let dropped = Dropped { ordinary: number(&ordinary)?, opt_in: number(&values.next()?)? };
    let through = number(&values.next()?)?;
    let mut events = Vec::new();
    for entry in values {
        read_entry(entry, after.offset, &mut events)?;
    }
    let missing = missing(after.offset, through, events.iter().map(|event| event.offset), dropped);
    let held_from = dropped.ordinary + 1;
    let opt_in_held_from = held_from.max(dropped.opt_in + 1);
    Some(HistoryRead::Page(HistoryPage { events, missing, through, held_from, opt_in_held_from, head }))
}

/// The events of one entry that are behind an offset.
fn read_entry(entry: Value, after: u64, events: &mut Vec<HistoryEvent>) -> Option<()> {
    let [_id, fields] = <[Value; 2]>::try_from(items(entry)).ok()?;
    let [class, header, _name, envelopes] = <[Value; 4]>::try_from(items(fields)).ok()?;
    let (is_opt_in, header) = (text(&class)? == "o", text(&header)?);
    let mut header = header.split(' ');
    let first: u64 = header.next()?.parse().ok()?;
    let sequence = header.nth(3)?.parse().ok()?;
    let (node, letters) = (NodeId::parse(header.next()?).ok()?, header.next()?);
    let envelopes: Bytes = envelopes.convert().ok()?;
    let parts = envelopes.split(|byte| *byte == SEPARATOR).map(|part| envelopes.slice_ref(part));
    for ((offset, envelope), letter) in (first..).zip(parts).zip(letters.chars()) {
        if offset > after {
            let marks = Marks { is_kept: letter == 'k', is_opt_in };
            events.push(HistoryEvent { offset, envelope, marks, node: node.clone(), sequence });
        }
    }
    Some(())
}

/// The offsets behind one and up to another that are not among those held.
fn missing(after: u64, through: u64, held: impl Iterator<Item = u64>, dropped: Dropped) -> Vec<MissingEvents> {
    let mut missing = Vec::new();
    let mut next = after + 1;
    for offset in held.chain([through + 1]) {
        let mut tell = |last: u64, is_opt_in| {
            if next <= last {
                missing.push(MissingEvents { first: next, last, is_opt_in });
                next = last + 1;
            }
        };
        // Below what was dropped there may be any event; between that and what was dropped of the opt-in types, only
        // theirs; above both, somebody else has taken entries out.
        let last = offset.saturating_sub(1);
        tell(last.min(dropped.ordinary), false);
        tell(last.min(dropped.opt_in), true);
        tell(last, false);
        next = offset + 1;
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(after: u64, through: u64, held: &[u64], ordinary: u64, opt_in: u64) -> Vec<(u64, u64, bool)> {
        let missing = missing(after, through, held.iter().copied(), Dropped { ordinary, opt_in });
        missing.into_iter().map(|gap| (gap.first, gap.last, gap.is_opt_in)).collect()
    }

    #[test]
    fn what_is_missing_is_known_by_kind_and_offset() {
        assert_eq!(gaps(3, 6, &[4, 5, 6], 0, 0), []);
        assert_eq!(gaps(3, 6, &[6], 4, 5), [(4, 4, false), (5, 5, true)]);
        assert_eq!(gaps(0, 9, &[1, 4, 5, 8], 0, 7), [(2, 3, true), (6, 7, true), (9, 9, false)]);
        assert_eq!(gaps(0, 9, &[], 9, 9), [(1, 9, false)]);
        assert_eq!(gaps(2, 7, &[], 1, 9), [(3, 7, true)]);
        assert_eq!(gaps(7, 7, &[], 2, 2), []);
    }
}
