//! How what a source has said enters the fold.

use hookswitch_protocol::Timestamp;

use crate::counts::Ignored;
use crate::fields::Key;
use crate::model::UNKNOWN;
use crate::records::{Agent, Call, Heard, Member, Phase, Standing, Waiting};
use crate::section::Section;
use crate::state::{Effect, State};
use crate::sync::said::{SaidAgent, SaidCall, SaidMember, SaidWaiting, Sync};

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
        sync.agents.iter().flatten().for_each(|(key, said)| self.sync_agent(key, said, as_of));
        sync.calls.iter().flatten().for_each(|(key, said)| self.sync_call(key, said, as_of));
        sync.members.iter().flatten().for_each(|(key, said)| self.sync_member(key, said, as_of));
        self.sync_waiting(&sync, as_of);
        self.drop_unknown(&sync, as_of);
        if sync.complete {
            self.said_everything(&sync.source);
        }
        Ok(())
    }

    /// Members and callers of the source that it names no longer go; calls have been ended by events of their own.
    fn drop_unnamed(&mut self, sync: &Sync, as_of: u64) {
        if !sync.complete {
            return;
        }
        let is_its =
            |source: &Option<Key>, heard: Heard| source.as_ref() == Some(&sync.source) && heard.offset <= as_of;
        if let Some(named) = &sync.members {
            let members = self.model.members.iter().filter(|(_, member)| is_its(&member.source, member.heard));
            let gone: Vec<Key> = members.map(|(key, _)| key).filter(|key| !named.contains_key(*key)).cloned().collect();
            for key in gone {
                self.remove_member(&key);
            }
        }
        if let Some(named) = &sync.waiting {
            let waiting = self.model.waiting.iter().filter(|(_, waiting)| is_its(&waiting.source, waiting.heard));
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
            agent.state == UNKNOWN && is_idle && agent.heard.offset <= as_of && !named.contains_key(*key)
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
    fn said_time(&self, said: Option<Timestamp>, otherwise: Timestamp) -> Timestamp {
        said.unwrap_or(otherwise).min(self.at())
    }

    /// The entry keeps the offset of its last event, since a sync is none.
    fn confirmed(&self, old: Option<Heard>) -> Heard {
        Heard { offset: old.map_or(0, |old| old.offset), at: self.at() }
    }

    fn is_anothers(&mut self, source: Option<&Key>) -> bool {
        let is_anothers = source.is_some_and(|source| Some(source) != self.moment.source.as_ref());
        if is_anothers {
            self.ignore(Ignored::Foreign);
        }
        is_anothers
    }

    fn sync_agent(&mut self, key: &Key, said: &SaidAgent, as_of: u64) {
        let old = self.model.agents.get(key).map(|agent| (agent.heard, agent.since, agent.state == said.state));
        if old.is_some_and(|(heard, ..)| heard.offset > as_of) || !self.know_agent(&said.user_id) {
            return;
        }
        let since = old.filter(|(.., is_same)| *is_same).map_or(self.at(), |(_, since, _)| since);
        let (since, heard) = (self.said_time(said.since, since), self.confirmed(old.map(|(heard, ..)| heard)));
        if let Some(agent) = self.model.agents.get_mut(key) {
            agent.username = said.username.clone().or(agent.username.take());
            agent.extension = said.extension.clone().or(agent.extension.take());
            agent.state.clone_from(&said.state);
            agent.reason.clone_from(&said.reason);
            (agent.since, agent.heard) = (since, heard);
        }
        self.touch(Section::Agents, key);
        self.recount(&said.user_id);
    }

    fn sync_call(&mut self, key: &Key, said: &SaidCall, as_of: u64) {
        let old = self.model.calls.get(key).cloned();
        let is_later = old.as_ref().is_some_and(|old| old.heard.offset > as_of)
            || self.model.past.get(key).is_some_and(|past| past.offset > as_of);
        if is_later || said.phase == Phase::Ended || self.is_anothers(old.as_ref().and_then(|old| old.source.as_ref()))
        {
            return;
        }
        if old.is_none() && !self.has_room() {
            return;
        }
        self.model.past.remove(key);
        let old = old.filter(|old| !old.is_ended);
        let since = old.as_ref().filter(|old| old.phase == said.phase).map_or(self.at(), |old| old.since);
        let started_at = old.as_ref().map_or(self.at(), |old| old.started_at);
        let is_answered = matches!(said.phase, Phase::Talking | Phase::Held);
        let was_answered = old.as_ref().is_some_and(|old| old.is_answered);
        let call = Call {
            direction: said.direction.clone(),
            caller_id: said.caller_id.clone(),
            caller_name: said.caller_name.clone(),
            destination: said.destination.clone(),
            queue_name: said.queue_name.clone(),
            agents: said.agents.clone(),
            ringing: said.ringing.clone(),
            since: self.said_time(said.since, since),
            started_at: self.said_time(said.started_at, started_at),
            transfers: said.transfers,
            reason: None,
            source: self.moment.source.clone(),
            heard: self.confirmed(old.map(|old| old.heard)),
            phase: said.phase,
            is_answered: is_answered || said.phase == Phase::Parked && was_answered,
            is_held: said.phase == Phase::Held,
            is_parked: said.phase == Phase::Parked,
            is_ended: false,
            told: matches!(said.phase, Phase::Ringing | Phase::Queued).then_some(said.phase),
        };
        self.put_call(key, call);
    }

    fn sync_member(&mut self, key: &Key, said: &SaidMember, as_of: u64) {
        let old = self.model.members.get(key).cloned();
        let is_later = old.as_ref().is_some_and(|old| old.heard.offset > as_of);
        if is_later || self.is_anothers(old.as_ref().and_then(|old| old.source.as_ref())) {
            return;
        }
        let since = old.as_ref().filter(|old| old.paused == said.paused).map_or(self.at(), |old| old.since);
        let member = Member {
            queue_name: said.queue_name.clone(),
            user_id: said.user_id.clone(),
            username: said.username.clone(),
            interface: said.interface.clone(),
            paused: said.paused,
            reason: said.reason.clone(),
            penalty: said.penalty,
            since: self.said_time(said.since, since),
            source: self.moment.source.clone(),
            heard: self.confirmed(old.as_ref().map(|old| old.heard)),
            counted: old.map_or(Standing::default(), |old| old.counted),
        };
        self.put_member(key, member);
    }

    /// All of them leave before the first comes, or they would be in each other's places.
    fn sync_waiting(&mut self, sync: &Sync, as_of: u64) {
        let said = sync.waiting.iter().flatten();
        let said: Vec<(&Key, Waiting)> =
            said.filter_map(|(key, said)| Some((key, self.said_waiting(key, said, as_of)?))).collect();
        for (key, waiting) in said {
            self.enter_queue(key, waiting, None, true);
            self.waits_otherwise(key);
        }
    }

    /// How a caller is to wait, who has left where it waited; `None` where it is left alone.
    fn said_waiting(&mut self, key: &Key, said: &SaidWaiting, as_of: u64) -> Option<Waiting> {
        let old = self.model.waiting.get(key).cloned();
        let is_later = old.as_ref().is_some_and(|old| old.heard.offset > as_of)
            || self.model.calls.get(key).is_some_and(|call| call.heard.offset > as_of)
            || self.is_over_call(key);
        if is_later || self.is_anothers(old.as_ref().and_then(|old| old.source.as_ref())) {
            return None;
        }
        self.leave_queue(key);
        let is_same = |old: &&Waiting| old.queue_name == said.queue_name;
        let since = old.as_ref().filter(is_same).map_or(self.at(), |old| old.since);
        Some(Waiting {
            queue_name: said.queue_name.clone(),
            caller_id: said.caller_id.clone(),
            caller_name: said.caller_name.clone(),
            order: said.order,
            since: self.said_time(said.since, since),
            source: self.moment.source.clone(),
            heard: self.confirmed(old.map(|old| old.heard)),
        })
    }
}
