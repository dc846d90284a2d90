import { Seen } from "./seen.js";
import { endOf } from "./token.js";
import { openSocket, openStream } from "./transports.js";
import { isOffline, watchNetwork } from "./watch.js";
import { WORDS, finalReason } from "./words.js";

/** @typedef {import("./index.d.ts").State} State */
/** @typedef {import("./index.d.ts").Gap} Gap */
/** @typedef {import("./transports.js").Link} Link */
/** @typedef {import("./transports.js").End} End */

/**
 * What a connection is made of: what was given to `connect`, checked.
 * @typedef {object} Settings
 * @property {string} base  The server's address, without a slash at its end.
 * @property {string} [session]
 * @property {import("./index.d.ts").TokenSource} [token]
 * @property {string} [firstToken]  Asked for already.
 * @property {string[]} [events]
 * @property {string} [position]
 * @property {"websocket" | "sse"} [transport]
 * @property {typeof WebSocket} [WebSocket]
 * @property {Partial<typeof TIMES>} [times]
 * @property {(event: any) => void} [onEvent]
 * @property {(state: State) => void} [onState]
 * @property {(gap: Gap) => void} [onGap]
 * @property {(error: { code: string, message: string }) => void} [onError]
 * @property {(position: string) => void} [onPosition]
 */

/** In milliseconds. */
const TIMES = {
  /** How long the server may be silent before the connection stands. */
  connect: 10_000,
  /** Between two questions whether the server is there; proxies close what is idle for a minute, some sooner. */
  heartbeat: 20_000,
  /** How long its answer may take. */
  dead: 10_000,
  /** The same after the device slept or changed its network. */
  woken: 4_000,
  /** The first pause is up to this long, each further one up to twice as long as the one before. */
  pause: 1_000,
  longest: 30_000,
  /** A connection that lasted so long ends the growth. */
  steady: 10_000,
  /** How long `token` may take. */
  token: 15_000,
};

/** What a server says of a `token` command that it does not take; another token will not be better. */
const TOKEN_ERRORS = ["unauthorized", "token_expired", "forbidden", "unknown_command", "too_large"];

/** Longer timers would go off at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Calls what the page gave; what it throws is the page's, and does not end the connection.
 * @template T
 * @param {((value: T) => void) | undefined} callback
 * @param {T} value
 */
function call(callback, value) {
  try {
    callback?.(value);
  } catch (error) {
    setTimeout(() => {
      throw error;
    });
  }
}

/** One connection that comes back until it is closed, or until that is of no use. */
export class Connection {
  /** The place up to which everything was given; "" where events have none. */
  position;
  /** @type {State} */
  state = { name: "connecting", reason: "starting", message: WORDS.starting };

  #settings;
  #times;
  #seen = new Seen();
  /** @type {Set<string> | undefined} */
  #names;
  /** @type {Link | undefined} */
  #link;
  /** Counts attempts, so that what an earlier one still says is not heard. */
  #turn = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #ticker;
  #tickedAt = Date.now();
  #unwatch;

  /** Attempts since a connection lasted. */
  #failures = 0;
  /** WebSockets in a row that did not come to stand. */
  #failedSockets = 0;
  #liveAt = 0;
  #wasLive = false;
  #heardAt = 0;
  /** When the server was asked whether it is there, and how long it has to answer. */
  #probedAt = 0;
  #probeTime = 0;
  #askedAt = 0;
  #heartbeat;
  /** When the next attempt is due, and whether that is the server's wish. */
  #dueAt = 0;
  #mustWait = false;
  /** @type {{ reason: string, more: Partial<State> }} */
  #pausedBy = { reason: "lost", more: {} };
  /** @type {number | undefined} */
  #afterMs;
  #askedFor = "";

  #token = "";
  #isTokenGood = false;
  /** Tokens in a row that the server refused. */
  #refusals = 0;
  #renewedToken = "";
  /** By the server's clock. */
  #renewAt = Infinity;
  /** The server's clock minus ours. */
  #skew = 0;

  /** @param {Settings} settings */
  constructor(settings) {
    this.#settings = settings;
    this.#times = { ...TIMES, ...settings.times };
    this.#heartbeat = this.#times.heartbeat;
    this.#names = settings.events && new Set(settings.events);
    this.position = settings.position || "";
    this.#token = settings.firstToken || "";
    this.#isTokenGood = !!this.#token;
    this.#ticker = setInterval(() => this.#tick(), Math.min(1_000, this.#heartbeat / 4));
    this.#unwatch = watchNetwork(
      () => this.check(),
      () => this.#onOffline(),
    );
    queueMicrotask(() => this.#connect());
  }

  /**
   * Adds event types (`call.*` means all that begin so) or topics.
   * @param {string[]} names
   */
  subscribe(names) {
    this.#names ??= new Set();
    for (const name of names) this.#names.add(name);
    this.#command("subscribe", { events: names });
  }

  /** @param {string[]} names */
  unsubscribe(names) {
    for (const name of names) this.#names?.delete(name);
    this.#command("unsubscribe", { events: names });
  }

  /**
   * Tells the others of a chat session that somebody types.
   * @param {import("./index.d.ts").Typing} typing
   */
  typing(typing) {
    return this.#command("chat.typing", typing);
  }

  /** Looks whether the connection stands, or tries at once to have one. */
  check() {
    if (this.#link?.kind === "sse") {
      // It cannot be asked; the server says something every 15 s.
      if (Date.now() - this.#heardAt > 16_000) this.#drop();
    } else if (this.#link) this.#probe(this.#times.woken);
    else if (this.#dueAt && !this.#mustWait) this.#schedule(Math.random() * this.#times.pause, true);
  }

  /** Tries at once, whatever the server wished: for a button that a person presses. */
  reconnect() {
    if (this.#dueAt) this.#connect();
  }

  /** Ends it for good. */
  close() {
    this.#stop("stopped");
  }

  /**
   * @param {State["name"]} name
   * @param {string} reason
   * @param {Partial<State>} [more]
   */
  #tell(name, reason, more) {
    const { name: before, reason: because, retryAt } = this.state;
    this.state = { name, reason, message: WORDS[reason], transport: this.#link?.kind, ...more };
    if (name !== before || reason !== because || retryAt !== this.state.retryAt) {
      call(this.#settings.onState, this.state);
    }
  }

  /**
   * @param {string} type
   * @param {object} [payload]
   * @returns {boolean} Whether it could be said.
   */
  #command(type, payload) {
    const can = !!this.#link?.send && !!this.#liveAt;
    if (can) this.#link?.send?.({ type, payload });
    // An event stream has its subscription in its address.
    else if (this.#link && type.endsWith("subscribe")) this.#reopen();
    return can;
  }

  async #connect() {
    clearTimeout(this.#timer);
    this.#dueAt = 0;
    const turn = ++this.#turn;
    if (this.state.name === "closed") return;
    // The connection broke before its answer came.
    if (this.#renewedToken) this.#token = this.#renewedToken;
    this.#renewedToken = "";
    this.#tell("connecting", this.#wasLive ? "lost" : "starting");
    const { session } = this.#settings;
    if (session === undefined) {
      try {
        await this.#ensureToken();
      } catch (error) {
        if (turn === this.#turn) this.#pause("no-token", { detail: String(error) });
        return;
      }
      if (turn !== this.#turn) return;
      if (!this.#token) return this.#stop("signed-out");
    }
    this.#open(turn);
  }

  /** @param {number} turn */
  #open(turn) {
    const { base, session, transport } = this.#settings;
    this.#askedFor = this.position;
    this.#heardAt = Date.now();
    this.#probedAt = this.#liveAt = 0;
    this.#afterMs = undefined;
    const query = new URLSearchParams({ resume: this.position });
    // A name that nothing has, where all were taken away.
    if (this.#names) query.set("events", [...this.#names].join() || "-");
    /** @type {<A>(then: (value: A) => void) => (value: A) => void} */
    const heard = (then) => (value) => {
      if (turn !== this.#turn) return;
      this.#heardAt = Date.now();
      then(value);
    };
    const listener = {
      opened: heard((/** @type {void} */ _) => this.#askedFor && this.#tell("catching-up", "catching-up")),
      message: heard((/** @type {any} */ message) => this.#onMessage(message)),
      at: heard((/** @type {string} */ position) => this.#at(position)),
      ended: heard((/** @type {End} */ end) => this.#onEnd(end)),
    };
    const address = { base, session, token: this.#token, query };
    const Socket = this.#settings.WebSocket || globalThis.WebSocket;
    const isStream = transport ? transport === "sse" : this.#failedSockets > 1;
    try {
      this.#link = isStream || !Socket ? openStream(address, listener) : openSocket(address, listener, Socket);
    } catch (error) {
      // The address is none, or the page may not use it.
      this.#stop("refused", { detail: String(error) });
    }
  }

  /** @param {any} message */
  #onMessage(message) {
    const { type, payload } = message;
    if (type === "resumed") this.#onResumed(message);
    else if (type === "pong") this.#onPong(message);
    else if (type === "reconnect") this.#afterMs = payload.after_ms;
    else if (type === "error") this.#onError(payload, message);
    else this.#onEvent(message);
    if (this.#liveAt && /^(unanswered|no-network)$/.test(this.state.reason)) this.#tell("live", "ok");
  }

  /** @param {any} event */
  #onEvent(event) {
    // A place from which one can come back; what went ahead of others has none.
    if (event.position && !event.ahead) this.#at(event.position);
    if (this.#seen.isNew(event.id)) call(this.#settings.onEvent, event);
  }

  /** @param {string} position */
  #at(position) {
    if (!position) return;
    this.position = position;
    this.#settings.onPosition?.(position);
    if (this.state.reason === "no-positions") this.#tell("live", "ok");
  }

  /** @param {{ payload: { recovered: boolean, reason?: string, position?: string }, timestamp: string }} message */
  #onResumed({ payload, timestamp }) {
    const { recovered, reason, position } = payload;
    this.#liveAt = this.#askedAt = Date.now();
    this.#failedSockets = this.#refusals = 0;
    this.#skew = Date.parse(timestamp) - this.#liveAt || 0;
    this.#planRenewal();
    const isDegraded = reason === "degraded";
    const hasGap = (this.#wasLive || this.#askedFor) && !(recovered && this.#askedFor);
    this.#wasLive = true;
    if (position && !isDegraded) this.#at(position);
    if (hasGap) call(this.#settings.onGap, { reason: reason || "degraded", after: this.#askedFor, until: position });
    this.#tell(isDegraded ? "degraded" : "live", isDegraded ? "no-positions" : "ok", { recovered: !hasGap });
  }

  /** @param {{ position?: string }} pong */
  #onPong({ position }) {
    this.#probedAt = 0;
    this.#at(position || "");
    if (this.#renewedToken) {
      this.#token = this.#renewedToken;
      this.#renewedToken = "";
      this.#planRenewal();
    }
  }

  /**
   * @param {{ code: string, message: string }} error
   * @param {{ after?: string, until?: string }} message
   */
  #onError(error, { after, until }) {
    if (error.code === "messages_dropped") call(this.#settings.onGap, { reason: "dropped", after, until });
    else if (this.#renewedToken && TOKEN_ERRORS.includes(error.code)) {
      this.#token = this.#renewedToken;
      this.#renewedToken = "";
      // Another role, or a server that knows no renewal.
      if (/^(fo|un)/.test(error.code)) this.#reopen();
    } else call(this.#settings.onError, error);
  }

  /** @param {End} end */
  #onEnd({ code, text, afterMs = this.#afterMs }) {
    const link = /** @type {Link} */ (this.#link);
    const lasted = this.#liveAt ? Date.now() - this.#liveAt : 0;
    this.#link = undefined;
    if (link.kind === "sse") this.#failedSockets = this.#liveAt ? 1 : 0;
    else if (!this.#liveAt && code === 1006) this.#failedSockets += 1;
    else if (code === 1006 && lasted) this.#learnIdleTime();
    this.#liveAt = 0;
    if (lasted >= this.#times.steady) this.#failures = 0;
    const reason = finalReason(code);
    if (reason) return this.#stop(reason, { code, detail: text });
    if (code === 4401) return this.#onRefusedToken(text, lasted);
    const { pause } = this.#times;
    this.#pause(code === 1012 ? "restarting" : code === 1013 ? "later" : "lost", { code, detail: text }, afterMs, code === 1013 ? 5 * pause : pause);
  }

  /** What was cut off after a silence is asked sooner the next time: there is a proxy that ends what is idle. */
  #learnIdleTime() {
    const silence = Date.now() - this.#heardAt;
    if (silence < this.#heartbeat) this.#heartbeat = Math.max(silence / 2, this.#times.heartbeat / 4);
  }

  /**
   * @param {string} detail
   * @param {number} lasted
   */
  #onRefusedToken(detail, lasted) {
    if (this.#settings.session !== undefined) return this.#stop("refused", { detail });
    this.#isTokenGood = false;
    this.#refusals += 1;
    // One that was asked for just now will not be better when it is asked for again.
    if (this.#refusals > 1) return this.#stop("token-refused", { code: 4401, detail });
    if (lasted >= this.#times.steady || !lasted) this.#connect();
    else this.#pause("lost", { code: 4401, detail });
  }

  /**
   * @param {string} reason
   * @param {Partial<State>} more
   * @param {number} [afterMs]  The server's wish.
   * @param {number} [base]
   */
  #pause(reason, more, afterMs, base = this.#times.pause) {
    // Full jitter: whoever lost the connection together shall not come back together.
    const longest = Math.min(this.#times.longest, base * 2 ** this.#failures++);
    this.#mustWait = afterMs !== undefined || reason === "later";
    this.#pausedBy = { reason: isOffline() ? "no-network" : reason, more };
    this.#schedule(afterMs ?? Math.random() * (reason === "restarting" ? 5 * base : longest));
  }

  /**
   * @param {number} wait
   * @param {boolean} [onlySooner]
   */
  #schedule(wait, onlySooner) {
    const dueAt = Date.now() + wait;
    if (onlySooner && dueAt >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => this.#connect(), Math.min(wait, LONGEST_TIMER));
    const { reason, more } = this.#pausedBy;
    this.#tell("offline", reason, { ...more, retryAt: dueAt });
  }

  /** A new connection in place of the one that is open, from the same position on. */
  #reopen() {
    this.#link?.close();
    this.#link = undefined;
    this.#connect();
  }

  #onOffline() {
    if (this.#link) {
      if (this.#liveAt) this.#tell("degraded", "no-network");
      this.#probe(this.#times.woken);
    }
  }

  /** @param {number} time  How long the answer may take. */
  #probe(time) {
    this.#askedAt = Date.now();
    this.#probedAt ||= this.#askedAt;
    this.#probeTime = time;
    if (this.#liveAt) this.#link?.send?.({ type: "ping" });
  }

  #tick() {
    const now = Date.now();
    const asleep = now - this.#tickedAt;
    this.#tickedAt = now;
    if (asleep > 5_000) this.check();
    if (!this.#link) return;
    const { connect, dead } = this.#times;
    const silence = now - Math.max(this.#heardAt, this.#probedAt);
    if (!this.#liveAt) {
      if (silence > connect) this.#drop();
    } else if (this.#link.kind === "sse") {
      if (now - this.#heardAt > this.#times.heartbeat + dead) this.#drop();
    } else if (!this.#probedAt) {
      // Whatever else comes: the answer moves the position on, where the subscription leaves most events out.
      if (now - this.#askedAt > this.#heartbeat) this.#probe(dead);
    } else if (silence > this.#probeTime) this.#drop();
    else if (silence > dead / 3 && this.state.reason === "ok") this.#tell("degraded", "unanswered");
    if (now + this.#skew >= this.#renewAt) this.#renew();
  }

  /** Gives a connection up that does not answer. */
  #drop() {
    this.#link?.close();
    this.#turn += 1;
    this.#onEnd({ code: 1006, text: "the server does not answer" });
  }

  async #ensureToken() {
    if (this.#isTokenGood && endOf(this.#token) > Date.now() + this.#skew + 5_000) return;
    const refused = !this.#isTokenGood && !!this.#refusals;
    this.#token = (await this.#askForToken(refused)) || "";
    this.#isTokenGood = true;
  }

  /**
   * @param {boolean} refused  Whether the server refused the last one.
   * @returns {Promise<string | null | undefined>}
   */
  async #askForToken(refused) {
    const { token } = this.#settings;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(reject, this.#times.token, new Error("token took too long"));
    });
    try {
      return await /** @type {any} */ (Promise.race([typeof token === "function" ? token({ refused }) : token, late]));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Some time before the token ends, and not when all others do. */
  #planRenewal() {
    const end = endOf(this.#token);
    const left = end - Date.now() - this.#skew;
    const early = Math.min(60_000, left / 4) * (1 + Math.random() / 2);
    this.#renewAt = this.#settings.session === undefined && left > 0 ? end - early : Infinity;
  }

  async #renew() {
    this.#renewAt = Infinity;
    const turn = this.#turn;
    const token = await this.#askForToken(false).catch(() => "");
    if (turn !== this.#turn) return;
    if (!token || token === this.#token) {
      const left = endOf(this.#token) - Date.now() - this.#skew;
      // Without a new one the server ends the connection, and it is asked for again.
      if (left > 2_000) this.#renewAt = Date.now() + this.#skew + left / 2;
    } else if (this.#link?.send) {
      this.#renewedToken = token;
      this.#command("token", { token });
      // Its answer proves that the token was taken.
      this.#probe(this.#times.dead);
    } else {
      this.#token = token;
      this.#reopen();
    }
  }

  /**
   * @param {string} reason
   * @param {Partial<State>} [more]
   */
  #stop(reason, more) {
    if (this.state.name === "closed") return;
    this.#turn += 1;
    clearTimeout(this.#timer);
    clearInterval(this.#ticker);
    this.#unwatch();
    this.#link?.close();
    this.#link = undefined;
    this.#dueAt = this.#liveAt = 0;
    this.#tell("closed", reason, more);
  }
}
