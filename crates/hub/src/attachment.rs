//! Who is behind a connection.

use std::net::IpAddr;

use hookswitch_protocol::{Position, SessionKey, SubscriptionName, TenantId, Timestamp, UserId};

use crate::seams::user_key::UserKey;

/// What the hub must know of a connection before it takes part.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Whose events it may see.
    pub tenant: TenantId,
    /// Who it is.
    pub subject: Subject,
    /// What it may see beyond what everybody of the tenant may.
    pub clearance: Clearance,
    /// When its token expires; it is then closed with 4401.
    pub expires_at: Option<Timestamp>,
    /// What it subscribes to from its first event on, as by a subscribe command; `None` where it waits for
    /// one. At most [`limits::SUBSCRIPTION_NAMES`](hookswitch_protocol::limits::SUBSCRIPTION_NAMES).
    pub subscription: Option<Vec<SubscriptionName>>,
    /// Where its client was before, where it says so as it comes.
    pub resume: Option<ResumeFrom>,
    /// The address that its client comes from, as far as the transport sees it; only for whoever asks about the
    /// connection.
    pub address: Option<IpAddr>,
}

/// What a connection may see beyond what everybody of its tenant may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Clearance {
    /// Nothing.
    #[default]
    Standard,
    /// Events for administrators only ([`EventType::is_for_admins`](hookswitch_protocol::EventType::is_for_admins)).
    Admin,
}

/// Who is at the far end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An agent, supervisor, admin or service.
    User(UserId),
    /// Somebody in a chat widget, known by the session only.
    Visitor(SessionKey),
}

/// What a client that comes back says of where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeFrom {
    /// The position of the last event that it had; `None` where what it says is no position.
    After(Option<Position>),
    /// Nowhere: it wants to know where it begins.
    Here,
    /// It says so with its first command, within 5 s.
    Later,
}

impl Attachment {
    /// One that may see what everybody of the tenant may, without an end, a subscription or a past.
    pub fn new(tenant: TenantId, subject: Subject) -> Self {
        Self {
            tenant,
            subject,
            clearance: Clearance::Standard,
            expires_at: None,
            subscription: None,
            resume: None,
            address: None,
        }
    }

    pub(crate) fn user_key(&self) -> Option<UserKey> {
        match &self.subject {
            Subject::User(user) => Some(UserKey { tenant: self.tenant.clone(), user: user.clone() }),
            Subject::Visitor(_) => None,
        }
    }
}
