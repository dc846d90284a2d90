//! Connections of users that have ended, as far as they are remembered.

use hookswitch_protocol::{SubscriptionName, Timestamp, UserId};

use crate::attachment::Subject;
use crate::trace::judged::{AskedEvent, Behind, Judged};
use crate::trace::record::{ConnectionRecord, user_bytes};
use crate::trace::report::ConnectionReport;
use crate::trace::tenant_log::Weighed;

/// What a name that is subscribed to takes, about.
const NAME_BYTES: usize = 48;

/// One that was taken out of its shard.
#[derive(Debug)]
pub(crate) struct PastConnection {
    pub(crate) id: String,
    pub(crate) subject: Subject,
    pub(crate) until: Timestamp,
    pub(crate) transport: &'static str,
    pub(crate) record: ConnectionRecord,
    pub(crate) names: Option<Box<[SubscriptionName]>>,
    pub(crate) is_admin: bool,
    pub(crate) came_in: u64,
    pub(crate) behind: Option<Behind>,
    pub(crate) n_unwritten: usize,
}

impl PastConnection {
    pub(crate) fn is_of(&self, user: &UserId) -> bool {
        matches!(&self.subject, Subject::User(of) if of == user)
    }

    pub(crate) fn judged(&self) -> Judged<'_> {
        Judged {
            record: &self.record,
            subject: &self.subject,
            names: self.names.as_deref(),
            is_admin: self.is_admin,
            came_in: self.came_in,
            appended: self.record.gone_after.unwrap_or_default(),
            behind: self.behind,
            n_unwritten: self.n_unwritten,
        }
    }

    /// What it had of the event; `n_later` as [`Judged::outcome`] has it.
    pub(crate) fn report(&self, asked: &AskedEvent, n_later: impl FnOnce(&Judged<'_>) -> usize) -> ConnectionReport {
        let judged = self.judged();
        ConnectionReport {
            id: self.id.clone(),
            since: self.record.since,
            until: Some(self.until),
            address: self.record.address,
            transport: self.transport.to_owned(),
            outcome: Some(judged.outcome(asked, || n_later(&judged))),
        }
    }
}

impl Weighed for PastConnection {
    fn weight(&self) -> usize {
        let user = match &self.subject {
            Subject::User(user) => user_bytes(user),
            Subject::Visitor(_) => 0,
        };
        let names = self.names.as_ref().map_or(0, |names| names.len() * NAME_BYTES);
        size_of::<Self>() + self.id.len() + user + names + self.record.n_bytes()
    }
}
