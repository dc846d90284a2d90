import { Connection } from "./connection.js";
import { Seen } from "./seen.js";
import { claims } from "./token.js";
import { WORDS } from "./words.js";

/**
 * What whoever has the connection tells the tabs that share it.
 * @typedef {object} Told
 * @property {any} [event]
 * @property {import("./index.d.ts").State} [state]
 * @property {import("./index.d.ts").Gap} [gap]
 * @property {{ code: string, message: string }} [error]
 * @property {string} [position]
 * @property {number} [ask]  A token is wanted.
 * @property {boolean} [refused]
 *
 * What a tab says to it.
 * @typedef {object} Said
 * @property {import("./connection.js").Settings} [start]
 * @property {boolean} [bye]
 * @property {number} [answer]  To `ask`.
 * @property {string | null} [token]
 * @property {string} [failed]
 * @property {"subscribe" | "unsubscribe" | "typing" | "check" | "reconnect"} [call]
 * @property {any} [argument]
 */

/**
 * The one connection of several tabs, wherever it lives.
 */
export class Host {
  /** @type {Connection | undefined} */
  #connection;
  #tell;
  #askForToken;

  /**
   * @param {(told: Told) => void} tell
   * @param {import("./index.d.ts").TokenSource | undefined} askForToken
   */
  constructor(tell, askForToken) {
    this.#tell = tell;
    this.#askForToken = askForToken;
  }

  /** @param {import("./connection.js").Settings} settings */
  start(settings) {
    const tell = this.#tell;
    const before = this.#connection;
    // What has ended for good may begin again for a new tab: somebody has signed in.
    if (before && before.state.name !== "closed") {
      return tell({ state: before.state, position: before.position });
    }
    this.#connection = new Connection({
      ...settings,
      position: before?.position || settings.position,
      token: settings.session === undefined ? this.#askForToken : undefined,
      onEvent: (event) => tell({ event }),
      onState: (state) => tell({ state, position: this.#connection?.position }),
      onGap: (gap) => tell({ gap }),
      onError: (error) => tell({ error }),
      onPosition: (position) => tell({ position }),
    });
  }

  /** @param {Said} said */
  call({ call, argument }) {
    const connection = /** @type {any} */ (this.#connection);
    if (call && connection) connection[call](argument);
  }

  close() {
    const connection = this.#connection;
    this.#tell = () => {};
    connection?.close();
  }
}

/** A tab's share of a connection: the same face as a connection of its own. */
export class SharedConnection {
  position;
  /** @type {import("./index.d.ts").State} */
  state = { name: "connecting", reason: "starting", message: WORDS.starting };

  #settings;
  #seen = new Seen();
  /** @type {Set<string> | undefined} */
  #names;
  /** @type {(said: Said) => void} */
  #say = () => {};
  /** @type {Said[]} Before there is anybody to say it to. */
  #unsaid = [];
  #end = new AbortController();

  /** @param {import("./connection.js").Settings} settings */
  constructor(settings) {
    this.#settings = settings;
    this.#names = settings.events && new Set(settings.events);
    this.position = settings.position || "";
    this.#say = (said) => this.#unsaid.push(said);
    this.#begin();
  }

  /** @param {string[]} names */
  subscribe(names) {
    this.#names ??= new Set();
    for (const name of names) this.#names.add(name);
    this.#say({ call: "subscribe", argument: names });
  }

  /** @param {string[]} names */
  unsubscribe(names) {
    // The other tabs may want them still.
    for (const name of names) this.#names?.delete(name);
  }

  /** @param {import("./index.d.ts").Typing} typing */
  typing(typing) {
    this.#say({ call: "typing", argument: typing });
    return this.state.name === "live";
  }

  check() {
    this.#say({ call: "check" });
  }

  reconnect() {
    this.#say({ call: "reconnect" });
  }

  close() {
    this.#hear({ state: { name: "closed", reason: "stopped", message: WORDS.stopped } });
    this.#end.abort();
  }

  async #begin() {
    const { token, session, base, events } = this.#settings;
    // Whoever signs in as somebody else has a connection of his own, and so has a page that wants other events.
    let who = session;
    let firstToken;
    if (session === undefined) {
      try {
        firstToken = typeof token === "function" ? await token({ refused: false }) : token;
      } catch (error) {
        const wait = 1_000 + 4_000 * Math.random();
        const more = { detail: String(error), retryAt: Date.now() + wait };
        setTimeout(() => this.#begin(), wait);
        return this.#hear({ state: { name: "offline", reason: "no-token", message: WORDS["no-token"], ...more } });
      }
      if (!firstToken) {
        return this.#hear({ state: { name: "closed", reason: "signed-out", message: WORDS["signed-out"] } });
      }
      const { tenant_id, user_id, role } = claims(firstToken);
      who = user_id === undefined ? firstToken : JSON.stringify([tenant_id, user_id, role]);
    }
    if (this.#end.signal.aborted) return;
    const { onEvent, onState, onGap, onError, onPosition, token: _, WebSocket: __, ...plain } = this.#settings;
    const start = { ...plain, firstToken };
    const key = ["hookswitch", base, who, events?.slice().sort().join()].join(" ");
    if (!this.#joinWorker(key, start)) this.#joinTabs(key, start);
  }

  /** @param {(said: Said) => void} say */
  #ready(say) {
    this.#say = say;
    for (const said of this.#unsaid.splice(0)) say(said);
  }

  /**
   * @param {string} key
   * @param {import("./connection.js").Settings} start
   * @returns {boolean} Whether there may be such a worker.
   */
  #joinWorker(key, start) {
    if (!globalThis.SharedWorker) return false;
    try {
      const worker = new SharedWorker(new URL("./shared-worker.js", import.meta.url), { type: "module", name: key });
      const { port } = worker;
      let isThere = false;
      port.onmessage = ({ data }) => {
        isThere = true;
        this.#hear(data);
      };
      worker.onerror = () => isThere || this.#end.signal.aborted || this.#joinTabs(key, start);
      port.postMessage({ start });
      this.#ready((said) => port.postMessage(said));
      const bye = () => port.postMessage({ bye: true });
      this.#end.signal.addEventListener("abort", bye);
      this.#onPage("pagehide", bye);
      // Back from the back-forward cache: what was told meanwhile is lost.
      this.#onPage("pageshow", (/** @type {any} */ { persisted }) => {
        if (!persisted) return;
        port.postMessage({ start });
        this.#hear({ gap: { reason: "asleep", after: this.position } });
      });
      return true;
    } catch {
      // From another origin, or forbidden by the page's policy.
      return false;
    }
  }

  /**
   * One of the tabs has the connection; when it goes, another one.
   * @param {string} key
   * @param {import("./connection.js").Settings} start
   */
  #joinTabs(key, start) {
    const { signal } = this.#end;
    if (!globalThis.navigator?.locks || !globalThis.BroadcastChannel) return this.#goAlone();
    const channel = new BroadcastChannel(key);
    signal.addEventListener("abort", () => channel.close());
    channel.onmessage = ({ data }) => this.#hear(data);
    this.#ready((said) => channel.postMessage({ said }));
    channel.postMessage({ said: { start } });
    const lead = () =>
      new Promise((done) => {
        const tell = (/** @type {Told} */ told) => {
          channel.postMessage(told);
          this.#hear(told);
        };
        const host = new Host(tell, this.#settings.token);
        const listen = (/** @type {Said} */ said) => (said.start ? host.start(said.start) : host.call(said));
        channel.onmessage = ({ data }) => data.said && listen(data.said);
        this.#ready(listen);
        host.start({ ...start, position: this.position });
        signal.addEventListener("abort", () => {
          host.close();
          done(undefined);
        });
      });
    navigator.locks.request(key, { signal }, lead).catch(() => {});
  }

  #goAlone() {
    const connection = new Connection({
      ...this.#settings,
      onEvent: (event) => this.#hear({ event }),
      onState: (state) => this.#hear({ state }),
      onGap: (gap) => this.#hear({ gap }),
      onError: (error) => this.#hear({ error }),
      onPosition: (position) => this.#hear({ position }),
    });
    this.#ready(({ call, argument }) => call && /** @type {any} */ (connection)[call](argument));
    this.#end.signal.addEventListener("abort", () => connection.close());
  }

  /**
   * @param {string} name
   * @param {(event: Event) => void} then
   */
  #onPage(name, then) {
    globalThis.addEventListener?.(name, then, { signal: this.#end.signal });
  }

  /** @param {Told} told */
  #hear({ event, state, gap, error, position, ask, refused }) {
    if (this.#end.signal.aborted) return;
    const { onEvent, onState, onGap, onError } = this.#settings;
    if (position) this.position = position;
    if (event) {
      if (event.position && !event.ahead) this.position = event.position;
      if (this.#wants(event) && this.#seen.isNew(event.id)) onEvent?.(event);
    }
    if (state && JSON.stringify(state) !== JSON.stringify(this.state)) {
      this.state = state;
      onState?.(state);
    }
    if (gap) onGap?.(gap);
    if (error) onError?.(error);
    if (ask) this.#answer(ask, !!refused);
  }

  /** @param {{ type: string, topic?: string }} event */
  #wants({ type, topic }) {
    const names = this.#names;
    if (!names || names.has(topic ?? type) || names.has("*")) return true;
    for (const name of names) if (name.endsWith("*") && type.startsWith(name.slice(0, -1))) return true;
    return false;
  }

  /**
   * @param {number} answer
   * @param {boolean} refused
   */
  async #answer(answer, refused) {
    const { token } = this.#settings;
    try {
      this.#say({ answer, token: typeof token === "function" ? await token({ refused }) : token });
    } catch (error) {
      this.#say({ answer, failed: String(error) });
    }
  }
}
