/** What a person begins with where the node has no catalogue. */
export const EXAMPLES = {
  "call.incoming": { unique_id: "42.1", caller_id: "+15550100", destination: "8001", direction: "inbound" },
  "call.ended": { unique_id: "42.1", caller_id: "+15550100", destination: "8001", duration: 61 },
  "agent.state.changed": { user_id: 101, username: "Ada", state: "break", reason: "lunch" },
  "queue.stats": { queue_name: "support", calls_waiting: 3, available_agents: 2, logged_in_agents: 5, talking_agents: 3, longest_wait_time: 41, average_wait_time: 12, completed_calls: 120, abandoned_calls: 4 },
  "chat.session.started": { session_id: "s-7", visitor_name: "Maria", status: "waiting" },
  "chat.message": { session_id: "s-7", message_id: 1, sender_type: "agent", sender_name: "Ada", body: "Hello", timestamp: "2026-01-01T12:00:00Z" },
  "chat.session.ended": { session_id: "s-7", status: "ended" },
  notification: { id: "n-1", type: "info", title: "Shift", message: "Your shift begins in ten minutes." },
  alert: { title: "Storm", message: "All lines are busy." },
};
