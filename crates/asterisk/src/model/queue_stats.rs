//! The figures of queues: what is counted here, what the PBX counted before, and when they are told.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    MOST, Model,
    events::{Fields, seconds},
    list_items::ListItems,
    types::{Member, QueueStats, Wait},
};
use crate::message::Message;

/// Between two tellings of a queue's figures, in milliseconds; and when only times changed.
const STATS_EVERY: i64 = 1_000;
const TIMES_EVERY: i64 = 10_000;

impl Model {
    /// The counters as the PBX has them: those of events that nobody heard are in them.
    pub(crate) fn sync_stats(&mut self, lists: &ListItems) {
        for m in lists.of("QueueParams") {
            let number = |name: &str| m.number(name).unwrap_or_default().max(0);
            let (completed, abandoned, average_wait) = (number("Completed"), number("Abandoned"), number("Holdtime"));
            if let Some(stats) = self.stats_of(&m.text("Queue")) {
                *stats = QueueStats { completed, abandoned, average_wait, ..std::mem::take(stats) };
            }
        }
    }

    /// A member took a caller. The average is the one that the PBX shows as `Holdtime`: three parts of the former
    /// one and one of the new wait, in whole seconds.
    pub(crate) fn agent_connects(&mut self, m: &Message<'_>) {
        let Some(wait) = m.number("HoldTime").filter(|wait| *wait >= 0) else { return };
        if let Some(stats) = self.stats_of(&m.text("Queue")) {
            stats.average_wait = stats.average_wait.saturating_mul(3).saturating_add(wait) / 4;
        }
    }

    /// The talk of a caller with a member is over.
    pub(crate) fn agent_completes(&mut self, m: &Message<'_>) {
        if let Some(stats) = self.stats_of(&m.text("Queue")) {
            stats.completed += 1;
        }
    }

    pub(crate) fn count_abandoned(&mut self, queue: &str) {
        if let Some(stats) = self.stats_of(queue) {
            stats.abandoned += 1;
        }
    }

    fn stats_of(&mut self, queue: &str) -> Option<&mut QueueStats> {
        if queue.is_empty() || (self.queue_stats.len() >= MOST && !self.queue_stats.contains_key(queue)) {
            return None;
        }
        Some(self.queue_stats.entry(queue.to_owned()).or_default())
    }

    /// The figures of every queue that changed, each at most once a second; of one that nobody ever waited in only
    /// once something happens there.
    pub(crate) fn tell_stats(&mut self) {
        let now = self.now;
        for queue in self.queue_names() {
            let told_at = self.queue_stats.get(&queue).map_or(0, |stats| stats.at);
            let is_first = told_at == 0;
            if !is_first && now - told_at < STATS_EVERY {
                continue;
            }
            let (figures, longest) = self.figures(&queue);
            let Some(last) = self.stats_of(&queue) else { continue };
            let times = longest.is_some() && now - last.at >= TIMES_EVERY;
            if last.told == figures && !times {
                continue;
            }
            (last.at, last.told) = (now, figures.clone());
            let average_wait = last.average_wait;
            if is_first && longest.is_none() {
                continue;
            }
            let mut payload = figures;
            payload.insert("longest_wait_time".to_owned(), seconds(longest.map_or(0, |since| now - since)));
            payload.insert("average_wait_time".to_owned(), average_wait.into());
            self.push("queue.stats", &format!("{queue}:{now}"), payload);
        }
    }

    fn queue_names(&self) -> BTreeSet<String> {
        let of_members = self.members.keys().map(|(queue, _)| queue);
        let waited_in = self.calls.values().filter_map(|call| Some(&call.wait.as_ref()?.queue));
        of_members.chain(waited_in).chain(self.queue_stats.keys()).cloned().collect()
    }

    /// What is told of a queue but for its times, and since when the first caller waits.
    fn figures(&self, queue: &str) -> (Map<String, Value>, Option<i64>) {
        let waits: Vec<&Wait> =
            self.calls.values().filter_map(|call| call.wait.as_ref()).filter(|wait| wait.queue == queue).collect();
        let members: Vec<&Member> = self.members.values().filter(|member| member.queue == queue).collect();
        let n_members = |counts: fn(&Member) -> bool| members.iter().filter(|member| counts(member)).count();
        let counted = self.queue_stats.get(queue).map_or((0, 0), |stats| (stats.completed, stats.abandoned));
        let figures = Fields::default()
            .with("queue_name", queue)
            .with("calls_waiting", waits.len())
            .with("available_agents", n_members(|member| member.status == 1 && !member.paused))
            .with("talking_agents", n_members(|member| matches!(member.status, 2 | 3 | 7 | 8)))
            .with("logged_in_agents", n_members(|member| !matches!(member.status, 0 | 4 | 5)))
            .with("completed_calls", counted.0)
            .with("abandoned_calls", counted.1);
        (figures.into_map(), waits.iter().map(|wait| wait.since).min())
    }
}
