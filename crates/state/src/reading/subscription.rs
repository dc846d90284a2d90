//! What a reader wants of the state.

use std::collections::BTreeSet;

use crate::fields::{Key, checked_key};
use crate::section::{Section, Sections, UnknownSection};

/// A reader names at most so many queues.
pub const MAX_QUEUES: usize = 64;

/// Sections, and of some of them only what belongs to certain queues. Readers with equal ones share what is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateSubscription {
    sections: Sections,
    queues: Option<BTreeSet<Key>>,
}

/// A wish that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubscription {
    /// A section that there is not.
    #[error(transparent)]
    Section(#[from] UnknownSection),
    /// Too many queues, or a name that is none.
    #[error("queues: at most 64 names of 1 to 128 bytes")]
    Queues,
}

impl StateSubscription {
    /// These sections (none: all) and, where some are named, what belongs to these queues.
    ///
    /// # Errors
    /// [`InvalidSubscription`] for a name that is none, or too many.
    pub fn parse<'a>(
        sections: impl IntoIterator<Item = &'a str>,
        queues: Option<Vec<&'a str>>,
    ) -> Result<Self, InvalidSubscription> {
        let sections = Sections::parse(sections)?;
        let Some(queues) = queues else { return Ok(Self { sections, queues: None }) };
        if queues.len() > MAX_QUEUES {
            return Err(InvalidSubscription::Queues);
        }
        let names: Result<BTreeSet<Key>, _> = queues.into_iter().map(checked_key).collect();
        Ok(Self { sections, queues: Some(names.map_err(|_| InvalidSubscription::Queues)?) })
    }

    /// The sections wanted.
    pub fn sections(&self) -> Sections {
        self.sections
    }

    /// Whether an entry of this section that belongs to these queues is wanted. Chats belong to no queue.
    pub(crate) fn wants(&self, section: Section, of: &[Key]) -> bool {
        let Some(queues) = &self.queues else { return self.sections.has(section) };
        self.sections.has(section) && (section == Section::Chats || of.iter().any(|queue| queues.contains(queue)))
    }

    /// Whether it does not matter which queues an entry belongs to.
    pub(crate) fn is_for_all_queues(&self) -> bool {
        self.queues.is_none()
    }
}
