//! How what a source has said enters the fold.

use hookswitch_protocol::Timestamp;

use crate::counts::Ignored;
use crate::entries::{Agent, Call, LastUpdate, Member, Phase, Standing, Waiting};
use crate::fields::Key;
use crate::model::UNKNOWN;
use crate::section::Section;
use crate::state::{Effect, State};
use crate::sync::reported::{ReportedAgent, ReportedCall, ReportedMember, ReportedWaiting, Sync};

impl State {
    /// The record of a sync: silently, all that is not an end.
    pub(crate) fn enter_sync(&mut self, payload: &str) -> Effect {
        let sync: Sync = serde_json::from_str(payload).map_err(|_| Ignored::NoKey)?;
        match self.sources.hear(&sync.source, self.at()) {
            None => return Err(Ignored::Full),
            Some(true) => self.sources_changed(),
            Some(false) => {}
        }
        if self.sources.renew(&sync.source, self.at()) {
            self.source_moved(&sync.source);
        }
        if sync.is_renewal {
            return Ok(());
        }
        self.sources.set_lease(&sync.source, sync.lease);
        self.moment.source = Some(sync.source.clone());
        let as_of = self.as_of(&sync);
        // First, or a call would seem to wait that does not.
        self.drop_unnamed(&sync, as_of);
        sync.agents.iter().flatten().for_each(|(key, reported)| self.sync_agent(key, reported, as_of));
        sync.calls.iter().flatten().for_each(|(key, reported)| self.sync_call(key, reported, as_of));
        sync.members.iter().flatten().for_each(|(key, reported)| self.sync_member(key, reported, as_of));
        self.sync_waiting(&sync, as_of);
        self.drop_unknown(&sync, as_of);
        if sync.complete {
            self.reported_everything(&sync.source);
        }
        Ok(())
    }

    /// Members and callers of the source that it names no longer go; calls have been ended by events of their own.
    fn drop_unnamed(&mut self, sync: &Sync, as_of: u64) {
        if !sync.complete {
            return;
        }
        let is_its = |source: &Option<Key>, last_update: LastUpdate| {
            source.as_ref() == Some(&sync.source) && last_update.offset <= as_of
        };
        if let Some(named) = &sync.members {
            let members = self.model.members.iter().filter(|(_, member)| is_its(&member.source, member.last_update));
            let gone: Vec<Key> = members.map(|(key, _)| key).filter(|key| !named.contains_key(*key)).cloned().collect();
            for key in gone {
                self.remove_member(&key);
            }
        }
        if let Some(named) = &sync.waiting {
            let waiting = self.model.waiting.iter().filter(|(_, waiting)| is_its(&waiting.source, waiting.last_update));
            let gone: Vec<Key> = waiting.map(|(key, _)| key).filter(|key| !named.contains_key(*key)).cloned().collect();
            for key in gone {
                self.leave_queue(&key);
                self.waits_otherwise(&key);
            }
        }
    }

    /// Agents of whom nobody has ever said anything, and whom nothing names any more, go: an event that came late may
    /// have made them.
    fn drop_unknown(&mut self, sync: &Sync, as_of: u64) {
        let Some(named) = sync.agents.as_ref().filter(|_| sync.complete) else { return };
        let model = &self.model;
        let is_gone = |(key, agent): &(&Key, &Agent)| {
            let is_idle = agent.calls.is_empty() && agent.rings.is_empty() && !model.places.contains_key(*key);
            agent.state == UNKNOWN && is_idle && agent.last_update.offset <= as_of && !named.contains_key(*key)
        };
        let gone: Vec<Key> = model.agents.iter().filter(is_gone).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.model.agents.remove(&key);
            self.touch(Section::Agents, &key);
        }
    }

    /// A call's phase may follow from whether it waits.
    fn waits_otherwise(&mut self, key: &Key) {
        if let Some(call) = self.model.calls.get(key).cloned() {
            self.put_call(key, call);
        }
    }

    /// A time that was said, but none of the future.
    fn reported_time(&self, reported: Option<Timestamp>, otherwise: Timestamp) -> Timestamp {
        reported.unwrap_or(otherwise).min(self.at())
    }

    /// The entry keeps the offset of its last event, since a sync is none.
    fn confirmed(&self, old: Option<LastUpdate>) -> LastUpdate {
        LastUpdate { offset: old.map_or(0, |old| old.offset), at: self.at() }
    }

    fn is_anothers(&mut self, source: Option<&Key>) -> bool {
        let is_anothers = source.is_some_and(|source| Some(source) != self.moment.source.as_ref());
        if is_anothers {
            self.ignore(Ignored::Foreign);
        }
        is_anothers
    }

    fn sync_agent(&mut self, key: &Key, reported: &ReportedAgent, as_of: u64) {
        let old =
            self.model.agents.get(key).map(|agent| (agent.last_update, agent.since, agent.state == reported.state));
        if old.is_some_and(|(last_update, ..)| last_update.offset > as_of) || !self.know_agent(&reported.user_id) {
            return;
        }
        let since = old.filter(|(.., is_same)| *is_same).map_or(self.at(), |(_, since, _)| since);
        let (since, last_update) =
            (self.reported_time(reported.since, since), self.confirmed(old.map(|(last_update, ..)| last_update)));
        if let Some(agent) = self.model.agents.get_mut(key) {
            agent.username = reported.username.clone().or(agent.username.take());
            agent.extension = reported.extension.clone().or(agent.extension.take());
            agent.state.clone_from(&reported.state);
            agent.reason.clone_from(&reported.reason);
            (agent.since, agent.last_update) = (since, last_update);
        }
        self.touch(Section::Agents, key);
        self.recount(&reported.user_id);
    }

    fn sync_call(&mut self, key: &Key, reported: &ReportedCall, as_of: u64) {
        let old = self.model.calls.get(key).cloned();
        let is_later = old.as_ref().is_some_and(|old| old.last_update.offset > as_of)
            || self.model.past.get(key).is_some_and(|past| past.offset > as_of);
        if is_later
            || reported.phase == Phase::Ended
            || self.is_anothers(old.as_ref().and_then(|old| old.source.as_ref()))
        {
            return;
        }
        if old.is_none() && !self.has_room() {
            return;
        }
        self.model.past.remove(key);
        let old = old.filter(|old| !old.is_ended);
        let since = old.as_ref().filter(|old| old.phase == reported.phase).map_or(self.at(), |old| old.since);
        let started_at = old.as_ref().map_or(self.at(), |old| old.started_at);
        let is_answered = matches!(reported.phase, Phase::Talking | Phase::Held);
        let was_answered = old.as_ref().is_some_and(|old| old.is_answered);
        let call = Call {
            direction: reported.direction.clone(),
            caller_id: reported.caller_id.clone(),
            caller_name: reported.caller_name.clone(),
            destination: reported.destination.clone(),
            queue_name: reported.queue_name.clone(),
            agents: reported.agents.clone(),
            ringing: reported.ringing.clone(),
            since: self.reported_time(reported.since, since),
            started_at: self.reported_time(reported.started_at, started_at),
            transfers: reported.transfers,
            reason: None,
            source: self.moment.source.clone(),
            last_update: self.confirmed(old.map(|old| old.last_update)),
            phase: reported.phase,
            is_answered: is_answered || reported.phase == Phase::Parked && was_answered,
            is_held: reported.phase == Phase::Held,
            is_parked: reported.phase == Phase::Parked,
            is_ended: false,
            told: matches!(reported.phase, Phase::Ringing | Phase::Queued).then_some(reported.phase),
        };
        self.put_call(key, call);
    }

    fn sync_member(&mut self, key: &Key, reported: &ReportedMember, as_of: u64) {
        let old = self.model.members.get(key).cloned();
        let is_later = old.as_ref().is_some_and(|old| old.last_update.offset > as_of);
        if is_later || self.is_anothers(old.as_ref().and_then(|old| old.source.as_ref())) {
            return;
        }
        let since = old.as_ref().filter(|old| old.paused == reported.paused).map_or(self.at(), |old| old.since);
        let member = Member {
            queue_name: reported.queue_name.clone(),
            user_id: reported.user_id.clone(),
            username: reported.username.clone(),
            interface: reported.interface.clone(),
            paused: reported.paused,
            reason: reported.reason.clone(),
            penalty: reported.penalty,
            since: self.reported_time(reported.since, since),
            source: self.moment.source.clone(),
            last_update: self.confirmed(old.as_ref().map(|old| old.last_update)),
            counted: old.map_or(Standing::default(), |old| old.counted),
        };
        self.put_member(key, member);
    }

    /// All of them leave before the first comes, or they would be in each other's places.
    fn sync_waiting(&mut self, sync: &Sync, as_of: u64) {
        let reported = sync.waiting.iter().flatten();
        let reported: Vec<(&Key, Waiting)> =
            reported.filter_map(|(key, reported)| Some((key, self.said_waiting(key, reported, as_of)?))).collect();
        for (key, waiting) in reported {
            self.enter_queue(key, waiting, None, true);
            self.waits_otherwise(key);
        }
    }

    /// How a caller is to wait, who has left where it waited; `None` where it is left alone.
    fn said_waiting(&mut self, key: &Key, reported: &ReportedWaiting, as_of: u64) -> Option<Waiting> {
        let old = self.model.waiting.get(key).cloned();
        let is_later = old.as_ref().is_some_and(|old| old.last_update.offset > as_of)
            || self.model.calls.get(key).is_some_and(|call| call.last_update.offset > as_of)
            || self.is_over_call(key);
        if is_later || self.is_anothers(old.as_ref().and_then(|old| old.source.as_ref())) {
            return None;
        }
        self.leave_queue(key);
        let is_same = |old: &&Waiting| old.queue_name == reported.queue_name;
        let since = old.as_ref().filter(is_same).map_or(self.at(), |old| old.since);
        Some(Waiting {
            queue_name: reported.queue_name.clone(),
            caller_id: reported.caller_id.clone(),
            caller_name: reported.caller_name.clone(),
            order: reported.order,
            since: self.reported_time(reported.since, since),
            source: self.moment.source.clone(),
            last_update: self.confirmed(old.map(|old| old.last_update)),
        })
    }
}
