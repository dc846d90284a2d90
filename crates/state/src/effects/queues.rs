//! `queue.joined`, `queue.left`, `queue.stats`: who waits where.

use crate::counts::Ignored;
use crate::effects::calls::describe;
use crate::entries::{Queue, Waiting};
use crate::fields::{Fields, Key};
use crate::section::Section;
use crate::state::{Effect, State};

/// Between two callers so many places are free.
const STEP: i64 = 1 << 20;

impl State {
    pub(crate) fn queue_event(&mut self, event_type: &str, fields: &Fields) -> Effect {
        match event_type {
            "queue.joined" => self.joined(fields),
            "queue.left" => self.left(fields),
            "queue.stats" | "queue.stats.updated" => self.stats(fields),
            _ => match event_type.strip_prefix("queue.member.") {
                Some(what @ ("added" | "removed" | "paused" | "unpaused")) => self.member_event(what, fields),
                _ => Ok(()),
            },
        }
    }

    fn joined(&mut self, fields: &Fields) -> Effect {
        let (key, queue_name) = (fields.key("unique_id")?, fields.key("queue_name")?);
        let Some(mut call) = self.known_or_begun(&key, false)? else { return Ok(()) };
        describe(&mut call, fields);
        call.queue_name = Some(queue_name.clone());
        if call.direction == hookswitch_protocol::payloads::INBOUND {
            call.agents.clear();
        }
        let old = self.leave_queue(&key);
        let is_again = old.as_ref().is_some_and(|old| old.queue_name == queue_name);
        let waiting = Waiting {
            queue_name: queue_name.clone(),
            caller_id: call.caller_id.clone(),
            caller_name: call.caller_name.clone(),
            order: old.as_ref().filter(|_| is_again).map_or(0, |old| old.order),
            since: old.as_ref().filter(|_| is_again).map_or(self.at(), |old| old.since),
            source: old.and_then(|old| old.source).or_else(|| self.moment.source.clone()),
            last_update: self.last_update(),
        };
        let place = fields.number("position").filter(|place| *place > 0);
        let keeps_place = is_again && place.is_none();
        self.enter_queue(&key, waiting, place, keeps_place);
        self.put_call(&key, call);
        if is_again { Err(Ignored::Contradictory) } else { Ok(()) }
    }

    fn left(&mut self, fields: &Fields) -> Effect {
        let (key, queue_name) = (fields.key("unique_id")?, fields.key_if_told("queue_name")?);
        let last_update = self.last_update();
        if let Some(call) = self.model.calls.get_mut(&key).filter(|call| !call.is_ended) {
            call.last_update = last_update;
            self.touch(Section::Calls, &key);
        }
        let is_there = |waiting: &Waiting| queue_name.is_none_or(|name| name == waiting.queue_name);
        if !self.model.waiting.get(&key).is_some_and(is_there) {
            return Err(Ignored::Unknown);
        }
        self.leave_queue(&key);
        if let Some(call) = self.model.calls.get(&key).cloned() {
            self.put_call(&key, call);
        }
        Ok(())
    }

    fn stats(&mut self, fields: &Fields) -> Effect {
        let name = fields.key("queue_name")?;
        let stats = fields.whole_payload()?;
        if self.know_queue(&name)
            && let Some(queue) = self.model.queues.get_mut(&name)
        {
            queue.stats = Some(stats);
        }
        Ok(())
    }

    /// Sees to it that there is such a queue, of which there is news; `false` where there is no room for it.
    pub(crate) fn know_queue(&mut self, name: &Key) -> bool {
        if !self.model.queues.contains_key(name) && !self.has_room() {
            return false;
        }
        let at = self.at();
        self.model.queues.entry(name.clone()).or_insert_with(|| Queue::new(at)).heard_at = at;
        self.touch(Section::Queues, name);
        true
    }

    /// Takes a caller out of the queue where it waits.
    pub(crate) fn leave_queue(&mut self, key: &Key) -> Option<Waiting> {
        let waiting = self.model.waiting.remove(key)?;
        if let Some(queue) = self.model.queues.get_mut(&waiting.queue_name) {
            queue.waiting.retain(|other| other != key);
            queue.heard_at = self.moment.at.unwrap_or(self.fold_time);
        }
        self.touch(Section::Waiting, key);
        self.touch(Section::Queues, &waiting.queue_name.clone());
        Some(waiting)
    }

    /// Lets a caller wait at this place (the first is 1), else at the end, or where its `order` is.
    pub(crate) fn enter_queue(&mut self, key: &Key, mut waiting: Waiting, place: Option<i64>, keeps_order: bool) {
        let name = waiting.queue_name.clone();
        if !self.know_queue(&name) || !self.has_room() {
            return;
        }
        let others = self.model.queues.get(&name).map(|queue| queue.waiting.clone()).unwrap_or_default();
        let order_of = |key: &Key| self.model.waiting.get(key).map_or(0, |waiting| waiting.order);
        let at = if keeps_order {
            others.partition_point(|other| order_of(other) <= waiting.order)
        } else {
            let at =
                place.and_then(|place| usize::try_from(place - 1).ok()).map_or(others.len(), |at| at.min(others.len()));
            let before = at.checked_sub(1).map(|at| order_of(&others[at]));
            let after = others.get(at).map(order_of);
            waiting.order = between(before, after);
            at
        };
        self.model.waiting.insert(key.clone(), waiting);
        if let Some(queue) = self.model.queues.get_mut(&name) {
            queue.waiting.insert(at, key.clone());
        }
        self.touch(Section::Waiting, key);
        self.spread(&name);
    }

    /// Gives all callers of a queue new places where two have the same.
    fn spread(&mut self, name: &Key) {
        let Some(queue) = self.model.queues.get(name) else { return };
        let keys = queue.waiting.clone();
        let orders: Vec<_> = keys.iter().filter_map(|key| Some(self.model.waiting.get(key)?.order)).collect();
        if orders.is_sorted_by(|a, b| a < b) {
            return;
        }
        for (key, order) in keys.iter().zip((1..).map(|n: i64| n * STEP)) {
            if let Some(waiting) = self.model.waiting.get_mut(key) {
                waiting.order = order;
            }
            self.touch(Section::Waiting, key);
        }
    }
}

/// A place between two others.
fn between(before: Option<i64>, after: Option<i64>) -> i64 {
    match (before, after) {
        (None, None) => STEP,
        (Some(before), None) => before.saturating_add(STEP),
        (None, Some(after)) => after.saturating_sub(STEP),
        (Some(before), Some(after)) => before + (after - before) / 2,
    }
}
