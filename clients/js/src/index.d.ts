import type { EventPayloads } from "../events.d.ts";

export type { EventPayloads };

/** One event as it comes. */
export interface Envelope<Type extends string, Payload> {
  readonly type: Type;
  readonly payload: Payload;
  /** RFC 3339, UTC. */
  readonly timestamp: string;
  readonly tenant_id: string;
  /** Of events for one user only. */
  readonly user_id?: number | string;
  /** Of events of a topic of your own. */
  readonly topic?: string;
  /** Unique within the tenant; the client gives each one once. */
  readonly id?: string;
  readonly position?: string;
}

/** The events that may come, by their types: `switch (event.type)` tells their payloads. */
export type HookswitchEvent<Payloads = EventPayloads> = {
  [Type in keyof Payloads & string]: Envelope<Type, Payloads[Type]>;
}[keyof Payloads & string];

/** How the connection stands, with words that a person can be shown. */
export interface State {
  /**
   * - `connecting`: on its way; nothing was lost yet.
   * - `live`: events come as they happen.
   * - `catching-up`: connected, and being given what was missed.
   * - `degraded`: connected, but less is promised: see `reason`.
   * - `offline`: not connected; tries again at `retryAt`.
   * - `closed`: for good; nothing is tried again.
   */
  readonly name: "connecting" | "live" | "catching-up" | "degraded" | "offline" | "closed";
  /** For programs: `lost`, `no-network`, `restarting`, `later`, `no-token`, `signed-out`, `token-refused`, … */
  readonly reason: string;
  /** For people, in English; translate by `reason`. */
  readonly message: string;
  /** Of `live` and `degraded`: false where events may have been missed; `onGap` was told. */
  readonly recovered?: boolean;
  /** Of `offline`: when the next attempt is due, as `Date.now()` counts. */
  readonly retryAt?: number;
  /** The code of the close that led here. */
  readonly code?: number;
  /** What the server or the system said, for the log. */
  readonly detail?: string;
  readonly transport?: "websocket" | "sse";
}

/** Events that the server cannot give again: fetch the present state. */
export interface Gap {
  /** `expired`, `epoch`, `too_far`, `degraded`, `dropped`, `asleep`. */
  readonly reason: string;
  /** What is behind this position is missing … */
  readonly after?: string;
  /** … up to this one. */
  readonly until?: string;
}

/**
 * Gives a token of your identity provider; called again before it ends, and with `refused` after the server did not
 * take it. `null` or `""` means that nobody is signed in, and closes the connection; an error is tried again.
 */
export type TokenSource = string | ((why: { refused: boolean }) => MaybePromise<string | null | undefined>);
type MaybePromise<T> = T | Promise<T>;

export interface Typing {
  session_id: number | string;
  is_typing: boolean;
  sender_type?: string;
  sender_name?: string;
}

interface Common<Payloads> {
  /** The server, such as `https://events.example.com`; in a page, that page's own by default. */
  url?: string | URL;
  /** Types (`call.*` means all that begin so) and topics; everything the user may see by default. */
  events?: string[];
  onEvent?: (event: HookswitchEvent<Payloads>) => void;
  onState?: (state: State) => void;
  /** Told where events were missed that cannot be given again. */
  onGap?: (gap: Gap) => void;
  /** Told of a command that the server did not take, such as `typing`. */
  onError?: (error: { code: string; message: string }) => void;
  /** Where a snapshot was taken: what is newer than this comes first. */
  position?: string;
  /** One connection for all tabs that ask for the same events as the same user. */
  share?: boolean;
  /** WebSockets, and server-sent events where those do not pass, by default. */
  transport?: "websocket" | "sse";
  /** Where the runtime has none of its own, such as that of `ws` in Node 20. */
  WebSocket?: unknown;
  /** Milliseconds, for tests and odd networks: see the README. */
  times?: Partial<
    Record<"connect" | "heartbeat" | "dead" | "woken" | "pause" | "longest" | "steady" | "token", number>
  >;
}

/** A user's connection. */
export interface UserOptions<Payloads = EventPayloads> extends Common<Payloads> {
  token: TokenSource;
  session?: undefined;
}

/** A visitor's connection to one chat session, by its key. */
export interface VisitorOptions<Payloads = EventPayloads> extends Common<Payloads> {
  session: string;
  token?: undefined;
}

export interface Connection {
  readonly state: State;
  /** The place up to which everything was given; "" where events have none. */
  readonly position: string;
  /** Adds types and topics; the first one narrows a connection that had everything. */
  subscribe(names: string[]): void;
  unsubscribe(names: string[]): void;
  /** Tells the others of a chat session that somebody types; false where that could not be said now. */
  typing(typing: Typing): boolean;
  /** Looks at once whether the connection stands. */
  check(): void;
  /** Tries at once, for a button. */
  reconnect(): void;
  /** Ends it for good. */
  close(): void;
}

/** Opens a connection that comes back by itself and misses nothing in silence. */
export function connect<Payloads = EventPayloads>(options: UserOptions<Payloads> | VisitorOptions<Payloads>): Connection;
