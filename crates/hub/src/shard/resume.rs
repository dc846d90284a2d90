//! A client that says where it was: from when its replay is judged to when it is told that it has everything.

use std::time::Duration;

use hookswitch_protocol::{Position, TenantId};

use super::visibility::may_see;
use super::{Shard, SlotKey};
use crate::attachment::{ResumeFrom, Subject};
use crate::history::place::{Place, Unrecovered};
use crate::history::ring::Recorded;
use crate::notice::{self, Resumed};
use crate::publish::wire_form::encode;
use crate::seams::user_key::UserKey;
use crate::shard::catch_up::{CatchUp, KeptPhase, Resume};
use crate::shard::sent::SentSpans;

/// How often the history of a client's tenant is asked for elsewhere: where it ends, and what came before.
const MOST_ASKED: u8 = 3;

/// How long a connection that is to be told waits for its client to say where it was.
pub(super) const WAITED_FOR: Duration = Duration::from_secs(5);

impl Shard {
    /// How a connection begins that came in at this place.
    pub(super) fn begin_behind(
        &mut self,
        resume: Option<ResumeFrom>,
        came_in: Place,
        has_kept: bool,
    ) -> Option<Box<CatchUp>> {
        let mut behind = match resume {
            None | Some(ResumeFrom::Here) => has_kept.then(|| CatchUp::of_user(came_in))?,
            Some(ResumeFrom::After(position)) => {
                CatchUp::resuming(came_in, Resume::asked(position, SentSpans::default()))
            }
            Some(ResumeFrom::Later) => CatchUp::resuming(came_in, Resume::Awaited { since: self.millis(), has_kept }),
        };
        behind.kept = (has_kept && resume != Some(ResumeFrom::Later)).then(KeptPhase::default);
        Some(Box::new(behind))
    }

    /// The client has said its first word: what was kept for its user comes now.
    fn end_awaiting(&mut self, key: SlotKey, has_kept: bool) {
        let Some(connection) = self.connections.get_mut(key.slot as usize).filter(|c| c.id == key.id) else { return };
        if let (true, Some(behind), Subject::User(user)) = (has_kept, &mut connection.catch_up, &connection.subject) {
            behind.kept = Some(KeptPhase::default());
            let tenant = self.tenants[connection.tenant as usize].tenant.clone();
            self.shared.wanted_backlogs.note(UserKey { tenant, user: user.clone() });
        }
    }

    /// The client says where it was, with its first command; whether it may.
    pub(crate) fn resume(&mut self, key: SlotKey, position: Option<Position>) -> bool {
        let Some(connection) = self.connections.get_mut(key.slot as usize).filter(|c| c.id == key.id) else {
            return true;
        };
        let table = &self.tenants[connection.tenant as usize];
        let appended = table.appended().seq.max(connection.given);
        // What was given meanwhile, be it all, or what is for everybody, is not given again.
        connection.note_sent_under(appended);
        if !std::mem::take(&mut connection.beginning.may_resume) {
            return false;
        }
        let sent = connection.take_sent();
        let live = || Box::new(CatchUp::from(self.shared.history.place(&table.tenant, appended)));
        let behind = connection.catch_up.get_or_insert_with(live);
        behind.stop_broadcast(appended);
        let before = behind.resume.replace(Resume::asked(position, sent));
        self.end_awaiting(key, matches!(before, Some(Resume::Awaited { has_kept: true, .. })));
        self.mark_dirty(key.slot);
        true
    }

    /// The first command is none that says where the client was: it is given events from where it came in. Whether
    /// it was to say so.
    pub(crate) fn spoke(&mut self, key: SlotKey) -> bool {
        let Some(connection) = self.connection(key) else { return false };
        connection.beginning.may_resume = false;
        connection.forget_early();
        let awaited = |behind: &&mut Box<CatchUp>| matches!(behind.resume, Some(Resume::Awaited { .. }));
        let Some(behind) = connection.catch_up.as_mut().filter(awaited) else { return false };
        let before = behind.resume.take();
        self.end_awaiting(key, matches!(before, Some(Resume::Awaited { has_kept: true, .. })));
        self.mark_dirty(key.slot);
        true
    }

    /// Whether a connection may be given what comes next in history. Judges where the client was when its replay
    /// begins; one that cannot have what it missed is told at once, and goes on from now.
    pub(super) fn begin_replay(&mut self, key: SlotKey) -> bool {
        let Some(connection) = self.connections.get_mut(key.slot as usize).filter(|c| c.id == key.id) else {
            return false;
        };
        let table = &self.tenants[connection.tenant as usize];
        let appended = table.appended().seq;
        let wants_opt_in = connection.wants_opt_in();
        let Some(behind) = connection.catch_up.as_deref_mut().filter(|behind| behind.may_go_on()) else { return false };
        behind.stop_broadcast(appended);
        let Some(Resume::Asked { position, sent, n_asked, is_waiting }) = &mut behind.resume else { return true };
        if *is_waiting {
            return false;
        }
        let position = *position;
        let head = self.shared.history.head(&table.tenant, self.index).place;
        let found = self.shared.history.find(&table.tenant, position, wants_opt_in);
        if let Err(reason) = found
            && position.is_some()
            && *n_asked < MOST_ASKED
            && let Some(with_past) = self.shared.history.may_recover(&table.tenant, reason)
        {
            (*n_asked, *is_waiting) = (*n_asked + 1, true);
            self.shared.recoveries.want(&table.tenant, with_past);
            return false;
        }
        let sent = std::mem::take(sent);
        // What was said under the same key before is none of a visitor's business.
        let began = match &connection.subject {
            Subject::Visitor(session) => self.shared.history.before_session(&table.tenant, session),
            Subject::User(_) => None,
        };
        let found = found.and_then(|place| {
            let most = self.config.history.bytes;
            let (connection, is_admin) = (&*connection, table.is_admin(key.slot));
            let is_missed =
                |recorded: &Recorded| !sent.hold(recorded) && may_see(connection, is_admin, &recorded.event);
            let n_bytes = self.shared.history.weight_behind(&table.tenant, place.seq, most, is_missed);
            if n_bytes > most { Err(Unrecovered::TooFar) } else { Ok(place) }
        });
        let behind = connection.catch_up.as_deref_mut().expect("just there");
        match found {
            Ok(place) => {
                behind.cursor = began.filter(|began| began.seq > place.seq).unwrap_or(place);
                (behind.ahead, behind.began) = (behind.cursor.seq, behind.cursor.seq);
                let until = sent.after().unwrap_or(head.seq).max(behind.cursor.seq);
                behind.sent = sent;
                behind.resume = Some(Resume::Replaying { until, n_replayed: 0 });
                let replayed = (behind.cursor.seq, until);
                connection.early_mut().replayed = Some(replayed);
            }
            Err(reason) => {
                // It goes on from where it came in.
                behind.resume = None;
                let position = behind.cursor.position.filter(|_| reason != Unrecovered::Degraded);
                self.say_not_recovered(key, reason, position);
            }
        }
        true
    }

    fn say_not_recovered(&mut self, key: SlotKey, reason: Unrecovered, position: Option<Position>) {
        self.say_resumed(key, &Resumed { recovered: false, reason: Some(reason.as_str()), replayed: 0, position });
    }

    /// Whoever waits for the tenant's history looks again.
    pub(super) fn recovered(&mut self, tenant: &TenantId) {
        let Some(index) = self.by_tenant.get(tenant) else { return };
        let slots: Vec<u32> = self.tenants[*index as usize].slots().collect();
        for slot in slots {
            let behind = self.connections.get_mut(slot as usize).and_then(|c| c.catch_up.as_deref_mut());
            if let Some(Resume::Asked { is_waiting, .. }) = behind.and_then(|behind| behind.resume.as_mut())
                && std::mem::take(is_waiting)
            {
                self.mark_dirty(slot);
            }
        }
    }

    /// Tells the client that it has everything up to where it came in, once it has.
    pub(super) fn tell_resumed(&mut self, key: SlotKey, behind: &mut CatchUp) {
        if !behind.is_at_stop() {
            return;
        }
        let position = behind.cursor.position;
        let resumed = match behind.resume.take() {
            Some(Resume::Replaying { n_replayed, .. }) => {
                Resumed { recovered: true, reason: None, replayed: n_replayed, position }
            }
            Some(Resume::Broken { n_replayed, .. }) => {
                let reason = Some(Unrecovered::Expired.as_str());
                Resumed { recovered: false, reason, replayed: n_replayed, position }
            }
            Some(Resume::Asked { .. } | Resume::Awaited { .. }) | None => return,
        };
        self.say_resumed(key, &resumed);
    }

    pub(super) fn say_resumed(&mut self, key: SlotKey, resumed: &Resumed) {
        let Some(connection) = self.connections.get_mut(key.slot as usize).filter(|c| c.id == key.id) else { return };
        let tenant = &self.tenants[connection.tenant as usize].tenant;
        let frame = encode(self.forms[connection.form.index()], &notice::resumed(resumed, self.clock.now(), tenant));
        connection.outbox.push(&frame);
        self.shared.metrics.resumed.inc(resumed.reason.unwrap_or("recovered"));
    }
}
