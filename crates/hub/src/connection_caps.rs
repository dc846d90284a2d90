//! How many connections of one tenant, user or chat session a node takes.

use std::fmt;

use crate::attachment::Subject;

/// The most connections to this node at once, by whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionCaps {
    /// Of one tenant, visitors included; 100,000 by default.
    pub per_tenant: usize,
    /// Of one user; 50 by default.
    pub per_user: usize,
    /// Of the visitors of one chat session; 20 by default.
    pub per_session: usize,
}

impl Default for ConnectionCaps {
    fn default() -> Self {
        Self { per_tenant: 100_000, per_user: 50, per_session: 20 }
    }
}

impl ConnectionCaps {
    /// The cap that holds for connections of this subject alone.
    pub(crate) const fn of(&self, subject: &Subject) -> (ConnectionCap, usize) {
        match subject {
            Subject::User(_) => (ConnectionCap::User, self.per_user),
            Subject::Visitor(_) => (ConnectionCap::Session, self.per_session),
        }
    }
}

/// Which of the caps was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionCap {
    /// The tenant's.
    Tenant,
    /// The user's.
    User,
    /// The chat session's.
    Session,
}

impl ConnectionCap {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Tenant, Self::User, Self::Session];

    /// A short stable word, for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Session => "session",
        }
    }
}

impl fmt::Display for ConnectionCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tenant => "the tenant",
            Self::User => "the user",
            Self::Session => "the chat session",
        })
    }
}
