//! The six sections of live state.

use std::fmt;

/// One flat section: entries by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// Who works here, by user id.
    Agents,
    /// Calls under way, and for a moment those that have ended, by `unique_id`.
    Calls,
    /// How each queue stands, by name.
    Queues,
    /// Who serves which queue, by `<queue>/<user id or interface>`.
    Members,
    /// Who waits where, by `unique_id`.
    Waiting,
    /// Chat sessions, by session key.
    Chats,
}

impl Section {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [Self::Agents, Self::Calls, Self::Queues, Self::Members, Self::Waiting, Self::Chats];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Calls => "calls",
            Self::Queues => "queues",
            Self::Members => "members",
            Self::Waiting => "waiting",
            Self::Chats => "chats",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A choice of sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sections(u8);

/// A name that is no section's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sections: {0:?} is none of agents, calls, queues, members, waiting, chats")]
pub struct UnknownSection(pub String);

impl Sections {
    /// Every section.
    pub const ALL: Self = Self(0b11_1111);

    /// These, by name; none at all means every one.
    ///
    /// # Errors
    /// [`UnknownSection`] for the first name that is none.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownSection> {
        let mut bits = 0;
        for name in names {
            let known = Section::ALL.into_iter().find(|section| section.as_str() == name);
            bits |= known.ok_or_else(|| UnknownSection(name.chars().take(100).collect()))?.bit();
        }
        Ok(if bits == 0 { Self::ALL } else { Self(bits) })
    }

    /// Whether this one is among them.
    pub const fn has(self, section: Section) -> bool {
        self.0 & section.bit() != 0
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Section> {
        Section::ALL.into_iter().filter(move |section| self.has(*section))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_others_refused() {
        let some = Sections::parse(["calls", "agents"]).expect("known");
        assert_eq!(some.iter().map(Section::as_str).collect::<Vec<_>>(), ["agents", "calls"]);
        assert_eq!(Sections::parse([]), Ok(Sections::ALL));
        assert_eq!(Sections::parse(["Calls"]), Err(UnknownSection("Calls".to_owned())));
    }
}
