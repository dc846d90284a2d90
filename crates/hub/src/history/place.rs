//! Where an event stands, on this node and for clients.

use hookswitch_protocol::Position;

/// The place of an event on this node, and in its tenant's order where it has one there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) position: Option<Position>,
}

impl Place {
    /// The place of the event so many behind this one, in the same batch.
    pub(crate) fn plus(self, n: usize) -> Self {
        let n = n as u64;
        let position = self.position.map(|at| Position { offset: at.offset + n, ..at });
        Self { seq: self.seq + n, position }
    }

    /// The place at a position of the same epoch, up to this one: numbers and offsets of an epoch go together.
    pub(crate) fn at(self, position: Position) -> Option<Self> {
        let here = self.position.filter(|here| here.epoch == position.epoch)?;
        let seq = self.seq.checked_sub(here.offset.checked_sub(position.offset)?)?;
        Some(Self { seq, position: Some(position) })
    }

    /// The place before this one.
    pub(crate) fn before(self) -> Self {
        let position = self.position.map(|at| Position { offset: at.offset.saturating_sub(1), ..at });
        Self { seq: self.seq.saturating_sub(1), position }
    }
}

/// Why what a client missed cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unrecovered {
    /// The first event that it missed is not kept any more.
    Expired,
    /// Its position is of another counting.
    Epoch,
    /// This node gives no positions now.
    Degraded,
    /// It missed more than is sent.
    TooFar,
}

impl Unrecovered {
    /// As clients are told.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Epoch => "epoch",
            Self::Degraded => "degraded",
            Self::TooFar => "too_far",
        }
    }
}
