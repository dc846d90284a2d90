// Made by `cargo xtask golden` from the catalogue: what a Hookswitch node says, and what it is told.

/** The payload of each known type of event. */
export interface EventPayloads {
  /** An agent's state is another one. */
  "agent.state.changed": Agent;
  /** An agent has come to work. */
  "agent.login": Agent;
  /** An agent has gone home. */
  "agent.logout": Agent;
  /** An agent takes a break. */
  "agent.break.started": Agent;
  /** An agent is back from a break. */
  "agent.break.ended": Agent;
  /** A call comes in. */
  "call.incoming": Call;
  /** An agent has answered a call. */
  "call.answered": Call;
  /** A call is over. */
  "call.ended": Call;
  /** A call was passed on. */
  "call.transferred": Call;
  /** A caller was put on hold. */
  "call.hold": Call;
  /** A caller is off hold. */
  "call.unhold": Call;
  /** A caller waits in a queue. */
  "queue.joined": Call;
  /** A caller waits in a queue no longer. */
  "queue.left": Call;
  /** The figures of one queue. */
  "queue.stats": QueueStats;
  /** The figures of one queue, as some deployments name it. */
  "queue.stats.updated": QueueStats;
  /** An agent serves a queue. */
  "queue.member.added": QueueMember;
  /** An agent serves a queue no longer. */
  "queue.member.removed": QueueMember;
  /** An agent takes no calls of a queue for now. */
  "queue.member.paused": QueueMember;
  /** An agent takes calls of a queue again. */
  "queue.member.unpaused": QueueMember;
  /** A chat session begins: visitors may connect to it. */
  "chat.session.started": ChatSession;
  /** The same, as some deployments name it. */
  "chat.session.created": ChatSession;
  /** A chat session was given to an agent. */
  "chat.session.assigned": ChatSession;
  /** A chat session is over: its visitors are disconnected. */
  "chat.session.ended": ChatSession;
  /** Somebody said something in a chat session. */
  "chat.message": ChatMessage;
  /** The same, as some deployments name it. */
  "chat.message.new": ChatMessage;
  /** An agent is to take a chat session. */
  "chat.agent.assigned": ChatSession;
  /** An agent has joined a chat session. */
  "chat.agent.joined": ChatSession;
  /** A chat session was passed on. */
  "chat.transferred": ChatSession;
  /** Somebody types, or has stopped; kept nowhere. */
  "chat.typing": ChatTyping;
  /** A ticket was made; the payload is your own. */
  "ticket.created": Record<string, unknown>;
  /** A note to one user. */
  "notification": Notification;
  /** A warning to the whole tenant. */
  "alert": Alert;
  /** A user came online or went offline, over all nodes. */
  "presence.changed": PresenceChanged;
  /** A webhook was switched off because its receiver does not take deliveries; told to administrators. */
  "webhook.disabled": WebhookDisabled;
  /** An agent calls somebody. */
  "call.outgoing": Call;
  /** An agent's phone rings. */
  "call.ringing": Call;
  /** A phone rings no longer, and nobody answered there. */
  "call.ring_ended": RingEnded;
  /** A call waits in a parking space. */
  "call.parked": Parked;
  /** A source of events, such as a telephone switch, is out of reach. */
  "source.lost": Source;
  /** A source of events is there again. */
  "source.back": Source;
}

/** What the server says to one connection, by type. */
export interface AnswerPayloads {
  /** The answer to `ping`: what came before it is in force. */
  "pong": Record<string, unknown>;
  /** Up to where this connection was given everything, in `position` of the envelope. */
  "position": Record<string, unknown>;
  /** The replay ends here; live events follow. */
  "resumed": Resumed;
  /** The connection is to be closed: come back after a while. */
  "reconnect": Reconnect;
  /** A command cannot be carried out, or something was missed; the connection stays. */
  "error": ErrorNotice;
}

/** What a client may say over its WebSocket, by type. */
export interface CommandPayloads {
  /** Answered by `pong`. */
  "ping": Record<string, unknown>;
  /** Answered by `position`. */
  "position": Record<string, unknown>;
  /** Says where the client was, as its first command. */
  "resume": Resume;
  /** From then on only subscribed types arrive. */
  "subscribe": Subscribe;
  /** Takes names away. */
  "unsubscribe": Names;
  /** The connection lasts as long as this token; one that is not taken is an error, and the old one counts on. */
  "token": Token;
  /** Relayed to the others of that chat session, with these fields and nothing else. */
  "chat.typing": ChatTyping;
}

/** What webhooks are sent, by type. */
export interface DeliveryPayloads {
  /** An agent's state is another one. */
  "agent.state.changed": Agent;
  /** An agent has come to work. */
  "agent.login": Agent;
  /** An agent has gone home. */
  "agent.logout": Agent;
  /** An agent takes a break. */
  "agent.break.started": Agent;
  /** An agent is back from a break. */
  "agent.break.ended": Agent;
  /** A call comes in. */
  "call.incoming": Call;
  /** An agent has answered a call. */
  "call.answered": Call;
  /** A call is over. */
  "call.ended": Call;
  /** A call was passed on. */
  "call.transferred": Call;
  /** A caller was put on hold. */
  "call.hold": Call;
  /** A caller is off hold. */
  "call.unhold": Call;
  /** A caller waits in a queue. */
  "queue.joined": Call;
  /** A caller waits in a queue no longer. */
  "queue.left": Call;
  /** The figures of one queue. */
  "queue.stats": QueueStats;
  /** The figures of one queue, as some deployments name it. */
  "queue.stats.updated": QueueStats;
  /** An agent serves a queue. */
  "queue.member.added": QueueMember;
  /** An agent serves a queue no longer. */
  "queue.member.removed": QueueMember;
  /** An agent takes no calls of a queue for now. */
  "queue.member.paused": QueueMember;
  /** An agent takes calls of a queue again. */
  "queue.member.unpaused": QueueMember;
  /** A chat session begins: visitors may connect to it. */
  "chat.session.started": ChatSession;
  /** The same, as some deployments name it. */
  "chat.session.created": ChatSession;
  /** A chat session was given to an agent. */
  "chat.session.assigned": ChatSession;
  /** A chat session is over: its visitors are disconnected. */
  "chat.session.ended": ChatSession;
  /** Somebody said something in a chat session. */
  "chat.message": ChatMessage;
  /** The same, as some deployments name it. */
  "chat.message.new": ChatMessage;
  /** An agent is to take a chat session. */
  "chat.agent.assigned": ChatSession;
  /** An agent has joined a chat session. */
  "chat.agent.joined": ChatSession;
  /** A chat session was passed on. */
  "chat.transferred": ChatSession;
  /** Somebody types, or has stopped; kept nowhere. */
  "chat.typing": ChatTyping;
  /** A ticket was made; the payload is your own. */
  "ticket.created": Record<string, unknown>;
  /** A note to one user. */
  "notification": Notification;
  /** A warning to the whole tenant. */
  "alert": Alert;
  /** Somebody tries out the webhook. */
  "webhook.test": WebhookTest;
}

/** The known types of events. A deployment may have its own. */
export type EventType = keyof EventPayloads;

/** One event as clients receive it. */
export type EventMessage<T extends EventType = EventType> = {
  [K in T]: Envelope & { type: K; payload: EventPayloads[K] };
}[T];

/** What the server says to one connection. */
export type AnswerMessage<T extends keyof AnswerPayloads = keyof AnswerPayloads> = {
  [K in T]: Envelope & { type: K; payload: AnswerPayloads[K] };
}[T];

/** What a client may say over its WebSocket. */
export type Command<T extends keyof CommandPayloads = keyof CommandPayloads> = {
  [K in T]: { type: K; payload?: CommandPayloads[K] };
}[T];

/** The body of one webhook delivery; `timestamp` is in seconds. */
export type Delivery<T extends keyof DeliveryPayloads = keyof DeliveryPayloads> = {
  [K in T]: { event: K; timestamp: number; data: DeliveryPayloads[K] };
}[T];

/** What may stand in `code` of an error. */
export type ErrorCode =
  | "invalid_json"
  | "invalid_field"
  | "unknown_command"
  | "too_many_names"
  | "reserved_type"
  | "too_large"
  | "not_text"
  | "address_blocked"
  | "invalid_request"
  | "unauthorized"
  | "token_expired"
  | "forbidden"
  | "origin_refused"
  | "not_found"
  | "method_not_allowed"
  | "conflict"
  | "unknown_session"
  | "upgrade_required"
  | "not_recovered"
  | "overloaded"
  | "draining"
  | "storage_unavailable"
  | "request_timeout"
  | "rate_limited"
  | "too_many_connections"
  | "internal"
  | "messages_dropped";

/** Why the server closes a WebSocket. */
export type CloseCode =
  | 1000
  | 1002
  | 1007
  | 1009
  | 1012
  | 1013
  | 4401
  | 4408
  | 4410
  | 4412
  | 4413
  | 4414;

/** Every REST answer but a refusal. */
export interface Success<T, M = { warnings?: Warning[] }> {
  success: true;
  data: T;
  meta?: M;
  request_id: string;
  timestamp: string;
}

/** What a publisher is told. */
export interface Accepted {
  /** The events' ids, in their order. */
  ids: string[];
}

/** An agent and the state it is in. */
export interface Agent {
  /** The phone in use. */
  extension?: string;
  /** Why, such as `lunch`. */
  reason?: string;
  /** `available`, `offline`, or a state of the deployment's own. */
  state: string;
  /** Which agent. */
  user_id: UserId;
  /** The agent's name. */
  username: string;
}

/** A warning to the whole tenant. */
export interface Alert {
  /** The text. */
  message: string;
  /** The headline. */
  title: string;
}

/** That the process answers. */
export interface Alive {
  /** `ok`. */
  status: string;
}

/** Something that was tried: the contract's fields, then ours. */
export interface Attempt {
  attempt: number;
  created_at: string;
  delivery_id: string | null;
  duration_ms: number;
  /** A word, then perhaps a colon and a sentence. */
  error: string | null;
  event: string;
  id: number;
  /** The body sent. */
  payload: unknown;
  /** Its first 4 KiB. */
  response_body: string | null;
  response_code: number | null;
  timings: Timings;
  webhook_id: number;
}

/** One call. */
export interface Call {
  /** The agent concerned. */
  agent_id?: UserId;
  /** That agent's name. */
  agent_name?: string;
  /** The caller's number. */
  caller_id: string;
  /** The caller's name. */
  caller_name?: string;
  /** The caller's channel. */
  channel?: string;
  /** The number called. */
  destination: string;
  /** The callee's channel. */
  destination_channel?: string;
  /** `inbound`, `outbound` or a deployment's own. */
  direction?: string;
  /** How long it took, in seconds. */
  duration?: number;
  /** The queue the call came through. */
  queue_name?: string;
  /** The telephone system's name for the call. */
  unique_id: string;
}

/** One message of a chat. */
export interface ChatMessage {
  /** What was said. */
  body: string;
  /** Which message. */
  message_id: MessageRef;
  /** The sender, where it is a user. */
  sender_id?: UserId;
  /** The sender's name. */
  sender_name: string;
  /** `agent`, `visitor` or a deployment's own. */
  sender_type: string;
  /** Which session. */
  session_id: SessionRef;
  /** When it was said. */
  timestamp: string;
}

/** One chat session. */
export interface ChatSession {
  /** The agent concerned. */
  agent_id?: UserId;
  /** That agent's name. */
  agent_name?: string;
  /** Which session. */
  session_id: SessionRef;
  /** What visitors connect with, where it differs from the session's id. */
  session_key?: string;
  /** Where the session stands, such as `waiting`, `active` or `ended`. */
  status: string;
  /** The visitor's address. */
  visitor_email?: string;
  /** The visitor's name. */
  visitor_name?: string;
}

/** Somebody types, or has stopped. */
export interface ChatTyping {
  /** Whether it has begun or ended. */
  is_typing: boolean;
  /** Who types. */
  sender_name: string;
  /** `agent`, `visitor` or a deployment's own. */
  sender_type: string;
  /** Which session. */
  session_id: SessionRef;
}

/** The figures of one webhook. */
export interface DeliveryStats {
  avg_latency_ms: number;
  failed_count: number;
  /** In percent. */
  success_rate: number;
  /** Those with 2xx. */
  successful_count: number;
  /** Attempts. */
  total_deliveries: number;
}

/** What is told to who asked for a drain. */
export interface Draining {
  /** Those that are still to be closed. */
  connections: number;
  /** `draining`. */
  state: string;
  /** Over how long they are closed. */
  window_ms: number;
}

/** What is to be delivered of what was missed. */
export interface EnableBody {
  /** Of events accepted since then; without it nothing is. */
  deliver_missed_since?: string | null;
}

/** A webhook that was switched on, and what it gets now. */
export interface EnabledWebhook {
  created_at: string;
  /** Event types, `call.*`, or `*`. */
  events: string[];
  /** Seconds for which an event is worth sending, by type or pattern; 0 is for ever. */
  expiry: Record<string, number>;
  generated_secret?: string;
  /** Whether there were more than one call takes. */
  has_more: boolean;
  /** Names of custom headers; values are masked. */
  headers: Record<string, string>;
  health: WebhookHealth;
  id: number;
  is_active: boolean;
  /** The end of the last attempt. */
  last_triggered_at: string | null;
  /** Requests at once; 0 is the server's. */
  max_in_flight: number;
  name: string;
  ordered_by: "call" | "none";
  /** While a former secret still signs. */
  previous_secret_valid_until: string | null;
  /** Deliveries that are due again. */
  queued: number;
  /** Attempts per second and node; 0 is no limit. */
  rate_limit: number;
  /** Retries after the first attempt. */
  retry_count: number;
  retry_profile: "standard" | "durable";
  retry_statuses: number[];
  secret_set: boolean;
  tenant_id: string;
  /** Seconds that one attempt may take. */
  timeout: number;
  updated_at: string;
  url: string;
}

/** What stands in the envelope beside `type` and `payload`. */
export interface Envelope {
  /** Its place, where it was sent before earlier ones: not to come back with. */
  ahead?: boolean;
  /** Unique within the tenant: the same id twice is the same event. Answers have none. */
  id?: string;
  /** Its place among the tenant's events: what to come back with. */
  position?: string;
  /** Whose it is. */
  tenant_id?: string;
  /** When it was accepted. */
  timestamp: string;
  /** There when it belongs to a custom topic. */
  topic?: string;
  /** There when it is for the connections of one user only. */
  user_id?: UserId;
}

/** What went wrong. */
export interface Error {
  /** The code for programs. */
  code: "invalid_json" | "invalid_field" | "unknown_command" | "too_many_names" | "reserved_type" | "too_large" | "not_text" | "address_blocked" | "invalid_request" | "unauthorized" | "token_expired" | "forbidden" | "origin_refused" | "not_found" | "method_not_allowed" | "conflict" | "unknown_session" | "upgrade_required" | "not_recovered" | "overloaded" | "draining" | "storage_unavailable" | "request_timeout" | "rate_limited" | "too_many_connections" | "internal" | "messages_dropped";
  /** More for programs, such as the index and field of a bad entry. */
  details?: unknown;
  /** Where it is explained. */
  docs: string;
  /** The sentence for people. */
  message: string;
}

/** Something a client asked for cannot be done, or it missed something; the connection stays. */
export interface ErrorNotice {
  /** With `messages_dropped`: events behind this position are gone. */
  after?: string;
  /** In an event stream, as the last message: why it ends, with the number of a close code. */
  close_code?: number;
  /** The code for programs. */
  code: string;
  /** With `messages_dropped`: how many events were not sent, where that is known. */
  dropped?: number;
  /** The sentence for people. */
  message: string;
  /** With `messages_dropped`: up to this position. */
  until?: string;
}

/** What is known of an event. */
export interface EventTrace {
  /** `null` where nobody remembers more than what follows. */
  event: TracedEvent | null;
  /** For which users it was kept, because they were away. */
  kept: Kept[];
  /** Whether somebody who may know more did not answer: the database, or a node. */
  partial: boolean;
  /** The nodes that did not answer in time. */
  silent?: string[];
  /** With `user_id` only: what became of it for that user. */
  user?: TracedUser;
  /** What webhooks are owed of it, and what was tried; left out where the database did not answer. */
  webhooks?: TracedDelivery[];
}

/** A request that was not carried out. */
export interface Failure {
  error: Error;
  request_id: string;
  success: false;
  timestamp: string;
}

/** Recent history on a node. */
export interface HistoryReport {
  bytes: number;
  events: number;
  /** How far back it goes for the tenant for which it goes back least, in seconds; at most what `HISTORY_AGE` says. */
  shortest_reach: number;
}

export interface Kept {
  at: string;
  node: string;
  user_id: UserId;
}

/** One entry of a log. */
export type LogEntry = Attempt | Skip;

/** A tenant's name for a chat message. */
export type MessageRef = number | string;

/** Event types, `call.*` for all that begin with `call.`, `*` for all; names of custom topics. */
export interface Names {
  /** At most 256 names. */
  events: string[];
}

/** A webhook that is to be made. `null` is the same as leaving a field out. */
export interface NewWebhook {
  /** What it is told. */
  events: string[];
  /** Seconds for which an event is worth sending, by type or pattern; 0 is for ever. */
  expiry?: Record<string, number> | null;
  /** `true`, and no `secret`: we make one, and answer it once. */
  generate_secret?: boolean | null;
  /** Sent with every attempt; `***` keeps the value there is. At most 8 KiB together; some names are reserved. */
  headers?: Record<string, string> | null;
  /** Requests at once; 0 is the server's. */
  max_in_flight?: number | null;
  name: string;
  /** Whether deliveries of one call go in order. */
  ordered_by?: "call" | "none" | null;
  /** Attempts started per second and node; 0 is no limit. */
  rate_limit?: number | null;
  /** Retries after the first attempt, by default 3. */
  retry_count?: number | null;
  /** When retries are made. */
  retry_profile?: "standard" | "durable" | null;
  /** Statuses that are tried again beside 5xx. */
  retry_statuses?: (408 | 425 | 429)[] | null;
  /** Signs the requests; never shown again. After `whsec_` there must be base64. */
  secret?: string | null;
  /** Seconds that one attempt may take in all, by default 30. */
  timeout?: number | null;
  /** Without user name and password; `https://`, and to a public address, unless the operator allows others. */
  url: string;
}

/** What a node says of itself. */
export interface NodeReport {
  /** Redis, the database and the like: `ok`, or what is wrong. */
  checks: Record<string, unknown>;
  connections: number;
  /** Messages handed to connections since the start. */
  deliveries: number;
  /** Messages that connections lost for good since the start; they were told. */
  drops: number;
  /** Since the start. */
  events: number;
  history: HistoryReport;
  /** `single-node` or `cluster`. */
  mode: string;
  /** The mean of the last 10 s or so. */
  per_second: PerSecond;
  queues: QueueReport[];
  started_at: string;
  status: "ready" | "degraded" | "not_ready";
  version: string;
}

/** How every node is. */
export interface Nodes {
  /** The one that answers first. */
  nodes: OneNode[];
  /** Whether there may be more: some are silent, or Redis is away. */
  partial: boolean;
  /** Nodes that count as alive and did not answer in time. */
  silent: string[];
}

/** A note to one user. */
export interface Notification {
  /** Anything more, for programs. */
  data?: Record<string, unknown>;
  /** Which notification. */
  id: NotificationRef;
  /** The text. */
  message: string;
  /** The headline. */
  title: string;
  /** What kind, such as `info` or a deployment's own. */
  type: string;
}

/** A tenant's name for a notification. */
export type NotificationRef = number | string;

export interface OneNode {
  node: string;
  /** As that node's version says it. */
  report: NodeReport;
}

/** What stands beside a list. */
export interface PageMeta {
  /** Most rows in this answer. */
  limit: number;
  /** Whether rows follow. */
  more?: boolean;
  /** What to ask with for those. */
  next?: string;
  /** Rows skipped. */
  offset: number;
  /** Rows in the whole list, counted up to a bound. */
  total: number;
}

/** A call waits in a parking space. */
export interface Parked {
  /** Who parked it. */
  agent_id?: UserId;
  /** The number to dial to have it back. */
  space: string;
  /** Which call, the same through transfers. */
  unique_id: string;
}

/** Events behind a position. */
export interface PastEvents {
  /** In their order, as connections are sent them. */
  events: Envelope[];
  /** Whether there are more behind it already. */
  has_more: boolean;
  /** Where to go on. */
  position: string;
}

/** Means. */
export interface PerSecond {
  deliveries: number;
  drops: number;
  events: number;
}

/** What caused a transition. */
export type PresenceCause = "connected" | "disconnected" | "node_lost" | "drained" | "expired";

/** One transition of a user, over all nodes. */
export interface PresenceChanged {
  /** Why. */
  cause: PresenceCause;
  /** What the user is now. */
  state: PresenceWord;
  /** Who. */
  user_id: UserId;
}

/** The two ends of a transition. */
export type PresenceWord = "online" | "offline";

/** One event, or several under `events`. */
export type PublishBody = PublishedEvent | PublishedEvents;

/** One event. `null` is the same as leaving a field out. */
export interface PublishedEvent {
  /** Your own id: repeated within 24 h with the same content it has no second effect. */
  id?: string | null;
  /** Passed on as it stands; `{}` by default. */
  payload?: Record<string, unknown> | null;
  /** Of an envelope that is published back: set anew. */
  position?: unknown;
  /** Short for `payload.session_id`: an integer or text. */
  session_id?: number | string | null;
  /** Of an envelope that is published back: set anew. */
  tenant_id?: unknown;
  /** Of an envelope that is published back: set anew. */
  timestamp?: unknown;
  /** A topic of your own: only connections that named it get it. */
  topic?: string | null;
  /** One of the known types or your own. Those that the server alone says are refused. */
  type: string;
  /** Only this user's connections get it; kept while the user is away. */
  user_id?: UserId | null;
}

/** Several events: one bad entry, and nothing of them is accepted. */
export interface PublishedEvents {
  events: PublishedEvent[];
}

/** An agent's place in a queue. */
export interface QueueMember {
  /** How the agent is called, such as `SIP/100`. */
  interface: string;
  /** Whether the agent takes no calls at the moment. */
  paused: boolean;
  /** Agents with a lower penalty are called first. */
  penalty?: number;
  /** Which queue. */
  queue_name: string;
  /** Which agent. */
  user_id: UserId;
  /** The agent's name. */
  username: string;
}

/** Something that waits, and the bound it has. */
export interface QueueReport {
  bound: number;
  name: string;
  used: number;
}

/** The figures of one queue. */
export interface QueueStats {
  /** Calls given up by their callers. */
  abandoned_calls: number;
  /** Agents who could take a call now. */
  available_agents: number;
  /** The average wait, in seconds. */
  average_wait_time: number;
  /** Callers waiting. */
  calls_waiting: number;
  /** Calls served. */
  completed_calls: number;
  /** Agents logged in. */
  logged_in_agents: number;
  /** The longest present wait, in seconds. */
  longest_wait_time: number;
  /** Which queue. */
  queue_name: string;
  /** Agents talking. */
  talking_agents: number;
}

/** How the node is. */
export interface Readiness {
  /** `ok`, or what is wrong, by part of the node. */
  checks: Record<string, unknown>;
  /** `single-node` or `cluster`. */
  mode: string;
  status: "ready" | "degraded" | "not_ready";
}

/** The server is about to close the connection: come back after a while. */
export interface Reconnect {
  /** How long after the close, in milliseconds. */
  after_ms: number;
}

/** What is to be sent again. */
export interface ResendBody {
  /** All that ended without a 2xx, of events accepted since then. */
  since: string;
}

/** What was made due again. */
export interface Resent {
  /** Whether there were more than one call takes. */
  has_more: boolean;
  /** Deliveries that are due again. */
  queued: number;
}

/** Where a client was before. */
export interface Resume {
  /** What it subscribes to, in place of what it had subscribed to. */
  events?: string[];
  /** The position of the last event that it had. */
  position: string;
}

/** Why nothing could be replayed. */
export type ResumeReason = "expired" | "epoch" | "degraded" | "too_far";

/** What a client missed was sent before this, or cannot be. */
export interface Resumed {
  /** What follows, follows from here. */
  position?: string;
  /** Why not. */
  reason?: ResumeReason;
  /** Whether it has everything that it may see. */
  recovered: boolean;
  /** How many of the events before this message it had missed. */
  replayed: number;
}

/** A phone rings no longer, and nobody answered there. */
export interface RingEnded {
  /** Whose phone. */
  agent_id: UserId;
  /** `no_answer`, `busy`, `declined`, `elsewhere` (somebody else answered), `cancelled` (the caller gave up or left) or `failed`. */
  reason: string;
  /** Which call, the same through transfers. */
  unique_id: string;
}

/** The new secret, and how long the former one stays valid beside it. */
export interface RotationBody {
  /** By default 86,400, a day. */
  overlap_seconds?: number | null;
  /** Without it we make one, and answer it once. */
  secret?: string | null;
}

/** A tenant's name for a chat session. */
export type SessionRef = number | string;

/** Something that was not. */
export interface Skip {
  created_at: string;
  delivery_id: string | null;
  event: string | null;
  id: number;
  skipped: "expired" | "webhook_disabled" | "webhook_deleted" | "breaker_open";
  webhook_id: number;
}

/** Open connections to this node. */
export interface SocketStats {
  /** Of the tenant. */
  tenant_connections: number;
  /** Of all tenants, visitors included. */
  total_connections: number;
}

/** Which source of events it is about. */
export interface Source {
  /** Its name. */
  source: string;
}

/** What a client wants from now on. */
export interface Subscribe {
  /** `false` keeps everything of this connection in strict order, also when it is behind. */
  classes?: boolean;
  /** At most 256 names. */
  events?: string[];
  /** Another name for `events`. */
  topics?: string[];
}

/** How a test delivery went. */
export interface TestReport {
  duration_ms: number;
  error: string | null;
  response_code: number | null;
}

/** `null` where a phase did not take place. */
export interface Timings {
  body_ms: number | null;
  connect_ms: number | null;
  dns_ms: number | null;
  first_byte_ms: number | null;
  tls_ms: number | null;
}

/** A token in place of the one that the connection came with. */
export interface Token {
  /** The same user's, and of a role that sees the same. */
  token: string;
}

/** An attempt, or why there was none. */
export interface TracedAttempt {
  at: string;
  attempt?: number;
  duration_ms?: number;
  error?: string;
  response_code?: number;
  /** Set where nothing was sent: why. */
  skipped?: string;
}

export interface TracedDelivery {
  /** The newest first. */
  attempts: TracedAttempt[];
  delivery_id: string;
  /** Of one that waits: when its next attempt is due. */
  due_at?: string;
  state: "due" | "leased" | "delivered" | "failed" | "expired" | "cancelled" | "missed";
  webhook_id: number;
}

export interface TracedEvent {
  accepted_at: string;
  id: string;
  /** The node that accepted it, as far as that is remembered. */
  node?: string;
  position?: string;
  type: string;
  user_id?: UserId;
}

export interface TracedUser {
  /** Open ones, then those that closed within the time that history reaches back; none where the user was not connected. */
  connections: UserConnection[];
  user_id: UserId;
}

export interface UserConnection {
  /** As the node sees it: maybe a proxy's. */
  address?: string;
  connection: string;
  node: string;
  /** In traces only: what became of the event. */
  outcome?: "written" | "waiting" | "caught_up" | "dropped" | "unsent" | "not_subscribed" | "not_addressed" | "kept" | "not_connected" | "unknown";
  since: string;
  transport: string;
  until?: string;
}

/** A user's open connections. */
export interface UserConnections {
  /** Node by node, newest first. */
  connections: UserConnection[];
  /** Whether there may be more: some nodes are silent, or Redis is away. */
  partial: boolean;
  /** Nodes that did not answer in time. */
  silent?: string[];
  user_id: UserId;
}

/** A user of the tenant: a number in most deployments, text in others; never 0. */
export type UserId = number | string;

/** Whether a user is connected, over all nodes. */
export interface UserOnline {
  connection_count: number;
  is_online: boolean;
  user_id: UserId;
}

/** Something odd about a request that was carried out all the same. */
export interface Warning {
  /** Which field. */
  field: string;
  /** Which entry of a batch or a list. */
  index?: number;
  /** The sentence for people. */
  message: string;
}

/** A registration: the contract's fields, then ours. */
export interface Webhook {
  created_at: string;
  /** Event types, `call.*`, or `*`. */
  events: string[];
  /** Seconds for which an event is worth sending, by type or pattern; 0 is for ever. */
  expiry: Record<string, number>;
  generated_secret?: string;
  /** Names of custom headers; values are masked. */
  headers: Record<string, string>;
  health: WebhookHealth;
  id: number;
  is_active: boolean;
  /** The end of the last attempt. */
  last_triggered_at: string | null;
  /** Requests at once; 0 is the server's. */
  max_in_flight: number;
  name: string;
  ordered_by: "call" | "none";
  /** While a former secret still signs. */
  previous_secret_valid_until: string | null;
  /** Attempts per second and node; 0 is no limit. */
  rate_limit: number;
  /** Retries after the first attempt. */
  retry_count: number;
  retry_profile: "standard" | "durable";
  retry_statuses: number[];
  secret_set: boolean;
  tenant_id: string;
  /** Seconds that one attempt may take. */
  timeout: number;
  updated_at: string;
  url: string;
}

/** What is to be changed of a webhook; what is left out, or `null`, stays. */
export interface WebhookChange {
  /** What it is told. */
  events?: string[] | null;
  /** Seconds for which an event is worth sending, by type or pattern; 0 is for ever. */
  expiry?: Record<string, number> | null;
  /** `true`, and no `secret`: we make one, and answer it once. */
  generate_secret?: boolean | null;
  /** Sent with every attempt; `***` keeps the value there is. At most 8 KiB together; some names are reserved. */
  headers?: Record<string, string> | null;
  /** Off: what happens meanwhile is missed, and can be delivered later. */
  is_active?: boolean | null;
  /** Requests at once; 0 is the server's. */
  max_in_flight?: number | null;
  name?: string | null;
  /** Whether deliveries of one call go in order. */
  ordered_by?: "call" | "none" | null;
  /** Attempts started per second and node; 0 is no limit. */
  rate_limit?: number | null;
  /** Retries after the first attempt, by default 3. */
  retry_count?: number | null;
  /** When retries are made. */
  retry_profile?: "standard" | "durable" | null;
  /** Statuses that are tried again beside 5xx. */
  retry_statuses?: (408 | 425 | 429)[] | null;
  /** Signs the requests; never shown again. After `whsec_` there must be base64. */
  secret?: string | null;
  /** Seconds that one attempt may take in all, by default 30. */
  timeout?: number | null;
  /** Without user name and password; `https://`, and to a public address, unless the operator allows others. */
  url?: string | null;
}

/** Which webhook, and why. It holds no URL: those of some services are secrets. */
export interface WebhookDisabled {
  /** Failed attempts since the last success. */
  consecutive_failures: number;
  /** When it was switched off. */
  disabled_at: string;
  /** The first of them. */
  failing_since?: string;
  /** The name its owner gave it. */
  name: string;
  /** `failing` or `gone`. */
  reason: string;
  /** The webhook's id. */
  webhook_id: number;
}

/** How its receiver has been doing. */
export interface WebhookHealth {
  breaker: "closed" | "open" | "half_open";
  consecutive_failures: number;
  disabled_at: string | null;
  /** `failing` or `gone`. */
  disabled_reason: string | null;
  /** The first failed attempt since the last success. */
  failing_since: string | null;
}

/** What a webhook is sent when it is tried out. */
export interface WebhookTest {
  /** A sentence for people. */
  message: string;
  /** Which webhook. */
  webhook_id: number;
}

