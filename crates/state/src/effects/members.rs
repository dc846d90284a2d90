//! `queue.member.*`: who serves which queue.

use crate::counts::Ignored;
use crate::entries::{Member, Standing};
use crate::fields::{Fields, Key, checked_key};
use crate::model::user_key;
use crate::section::Section;
use crate::state::{Effect, State};

impl State {
    pub(crate) fn member_event(&mut self, what: &str, fields: &Fields) -> Effect {
        let queue_name = fields.key("queue_name")?;
        let user_id = fields.user("user_id");
        let name = match &user_id {
            Some(user) => user_key(user),
            None => fields.key("interface")?,
        };
        let key = checked_key(&format!("{queue_name}/{name}"))?;
        if what == "removed" {
            return if self.remove_member(&key) { Ok(()) } else { Err(Ignored::Unknown) };
        }
        let old = self.model.members.get(&key);
        let was_paused = old.map(|old| old.paused);
        let paused = match what {
            "paused" => true,
            "unpaused" => false,
            _ => fields.flag("paused").unwrap_or(was_paused.unwrap_or(false)),
        };
        let is_same = was_paused == Some(paused);
        let member = Member {
            queue_name,
            user_id,
            username: fields.text("username").or_else(|| old?.username.clone()),
            interface: fields.text("interface").or_else(|| old?.interface.clone()),
            paused,
            reason: fields.text("reason").filter(|_| paused).or_else(|| old?.reason.clone().filter(|_| paused)),
            penalty: fields.number("penalty").or_else(|| old?.penalty),
            since: old.filter(|_| is_same).map_or(self.at(), |old| old.since),
            source: old.and_then(|old| old.source.clone()).or_else(|| self.moment.source.clone()),
            last_update: self.last_update(),
            counted: old.map_or(Standing::default(), |old| old.counted),
        };
        self.put_member(&key, member);
        Ok(())
    }

    /// Enters a member as it is now, with its queue and its agent.
    pub(crate) fn put_member(&mut self, key: &Key, member: Member) {
        let is_new = !self.model.members.contains_key(key);
        if !self.know_queue(&member.queue_name) || is_new && !self.has_room() {
            return;
        }
        if let Some(user) = &member.user_id {
            self.know_agent(user);
            self.name_agent(user, member.username.as_deref());
        }
        let user = member.user_id.clone();
        self.model.members.insert(key.clone(), member);
        if is_new {
            self.model.enter_place(key);
            // Whoever chose queues sees the agents who serve them.
            if let Some(user) = user {
                self.touch(Section::Agents, &user_key(&user));
            }
        }
        self.recount_member(key);
        self.touch(Section::Members, key);
    }

    /// Takes a member out; whether it was there.
    pub(crate) fn remove_member(&mut self, key: &Key) -> bool {
        let Some(member) = self.model.members.remove(key) else { return false };
        if let Some(queue) = self.model.queues.get_mut(&member.queue_name) {
            queue.count(member.counted, Standing::default());
            queue.n_members -= 1;
            queue.heard_at = self.moment.at.unwrap_or(self.fold_time);
        }
        if let Some(user) = member.user_id.as_ref().map(user_key) {
            if let Some(places) = self.model.places.get_mut(&user) {
                places.remove(key);
                if places.is_empty() {
                    self.model.places.remove(&user);
                }
            }
            self.touch(Section::Agents, &user);
        }
        self.touch(Section::Members, key);
        self.touch(Section::Queues, &member.queue_name);
        true
    }
}
