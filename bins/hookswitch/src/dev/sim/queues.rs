//! Queues: who waits, and the figures a wallboard shows.

use std::collections::VecDeque;
use std::time::Duration;

use hookswitch::protocol::Timestamp;
use hookswitch::protocol::payloads::{Alert, QueueStats};

use super::Simulator;
use super::agents::Activity;
use super::event_queue::{AgentAt, CallId, ScheduledEvent};
use super::facts::Fact;
use super::people::QUEUES;

/// A caller who waits longer than this is an alert for everybody.
const ALERT_SECONDS: i64 = 20;

/// One queue: callers in order, and what became of the earlier ones.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<CallId>,
    pub(super) last_called: AgentAt,
    pub(super) completed: i64,
    pub(super) abandoned: i64,
    /// Over all callers who left, seconds.
    pub(super) total_wait: i64,
    pub(super) n_left: i64,
}

pub(super) fn all_queues() -> Vec<Queue> {
    QUEUES.iter().map(|_| Queue::default()).collect()
}

impl Simulator {
    pub(super) fn queues_report(&mut self) {
        for (queue, (name, _)) in QUEUES.iter().enumerate() {
            let stats = self.queue_stats(queue);
            let longest = stats.longest_wait_time;
            self.tell(Fact::QueueStats(stats));
            if longest >= ALERT_SECONDS {
                let message = format!("A caller has waited {longest} s in {name}");
                self.tell(Fact::Alert(Alert::new("Long wait", message)));
            }
        }
        self.events.schedule(Duration::from_secs(10), ScheduledEvent::QueuesReport);
    }

    fn queue_stats(&self, at: usize) -> QueueStats {
        let queue = &self.queues[at];
        let members = || self.agents.iter().filter(move |agent| agent.queues.contains(&at));
        let joined: Option<Timestamp> = queue.waiting.iter().map(|call| self.calls[call].joined_at).min();
        QueueStats {
            queue_name: QUEUES[at].0.to_owned(),
            calls_waiting: queue.waiting.len() as i64,
            available_agents: members().filter(|agent| agent.activity == Activity::Available).count() as i64,
            logged_in_agents: members().filter(|agent| agent.activity != Activity::Offline).count() as i64,
            talking_agents: members().filter(|agent| matches!(agent.activity, Activity::Talking(_))).count() as i64,
            longest_wait_time: joined.map_or(0, |joined| self.seconds_since(joined)),
            average_wait_time: queue.total_wait.checked_div(queue.n_left).unwrap_or(0),
            completed_calls: queue.completed,
            abandoned_calls: queue.abandoned,
        }
    }
}
