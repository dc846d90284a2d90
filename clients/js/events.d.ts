type Id = number | string;

export interface Agent {
  user_id: Id;
  username: string;
  state: string;
  reason?: string;
  extension?: string;
}

export interface Call {
  unique_id: string;
  caller_id: string;
  caller_name?: string;
  destination: string;
  channel?: string;
  destination_channel?: string;
  agent_id?: Id;
  agent_name?: string;
  queue_name?: string;
  direction?: string;
  /** In seconds. */
  duration?: number;
}

/** Times in seconds. */
export interface QueueStats {
  queue_name: string;
  calls_waiting: number;
  available_agents: number;
  logged_in_agents: number;
  talking_agents: number;
  longest_wait_time: number;
  average_wait_time: number;
  completed_calls: number;
  abandoned_calls: number;
}

export interface QueueMember {
  queue_name: string;
  user_id: Id;
  username: string;
  interface: string;
  paused: boolean;
  penalty?: number;
}

export interface ChatMessage {
  session_id: Id;
  message_id: Id;
  sender_id?: Id;
  sender_type: string;
  sender_name: string;
  body: string;
  timestamp: string;
}

export interface ChatSession {
  session_id: Id;
  visitor_name?: string;
  visitor_email?: string;
  agent_id?: Id;
  agent_name?: string;
  status: string;
}

export interface ChatTyping {
  session_id: Id;
  sender_type: string;
  sender_name: string;
  is_typing: boolean;
}

export interface Notification {
  id: Id;
  type: string;
  title: string;
  message: string;
  data?: unknown;
}

/** What each type of event carries. */
export interface EventPayloads {
  "agent.state.changed": Agent;
  "agent.login": Agent;
  "agent.logout": Agent;
  "agent.break.started": Agent;
  "agent.break.ended": Agent;
  "call.incoming": Call;
  "call.answered": Call;
  "call.ended": Call;
  "call.transferred": Call;
  "call.hold": Call;
  "call.unhold": Call;
  "queue.joined": Call;
  "queue.left": Call;
  "queue.stats": QueueStats;
  "queue.stats.updated": QueueStats;
  "queue.member.added": QueueMember;
  "queue.member.removed": QueueMember;
  "queue.member.paused": QueueMember;
  "queue.member.unpaused": QueueMember;
  "chat.session.started": ChatSession;
  "chat.session.created": ChatSession;
  "chat.session.assigned": ChatSession;
  "chat.session.ended": ChatSession;
  "chat.agent.assigned": ChatSession;
  "chat.agent.joined": ChatSession;
  "chat.transferred": ChatSession;
  "chat.message": ChatMessage;
  "chat.message.new": ChatMessage & { message_type?: string };
  "chat.typing": ChatTyping;
  "ticket.created": Record<string, unknown>;
  notification: Notification;
  alert: { title: string; message: string };
}
