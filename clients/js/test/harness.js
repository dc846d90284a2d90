// Real nodes, a hostile proxy and tokens, for the tests beside this file.
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readFile } from "node:fs/promises";
import { connect } from "../src/index.js";

const SECRET = "a secret for tests only, of decent length";
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
export const PROGRAM = process.env.HOOKSWITCH_BIN || join(ROOT, "target/debug/hookswitch");
export const PATIENCE = 15_000;

/** Short enough for tests, in the same proportions. */
export const TIMES = { connect: 3_000, heartbeat: 2_000, dead: 1_000, woken: 500, pause: 100, longest: 3_000 };

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits for a condition; says what was waited for. */
export async function until(what, condition, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error("not in time: " + (typeof what === "function" ? what() : what));
    await sleep(10);
  }
}

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token as an identity provider would sign it. */
export function token(claims = {}, seconds = 3_600) {
  const exp = Math.floor(Date.now() / 1000) + seconds;
  const body = `${part({ alg: "HS256" })}.${part({ user_id: 1, tenant_id: "t", role: "agent", exp, ...claims })}`;
  return `${body}.${createHmac("sha256", claims.secret || SECRET).update(body).digest("base64url")}`;
}

export const service = () => token({ user_id: "service", role: "service" });

export class Node {
  #child;
  #env;
  #args;
  #dir = mkdtempSync(join(tmpdir(), "hookswitch-js-"));
  log = "";
  addr = "";

  constructor(env = {}, args = ["serve"]) {
    this.#env = env;
    this.#args = args;
  }

  static async start(t, env, args) {
    const node = new Node(env, args);
    t.after(() => node.dispose());
    await node.run();
    return node;
  }

  async run(more = {}) {
    const env = {
      JWT_SECRET: SECRET,
      SERVER_HOST: "127.0.0.1",
      SERVER_PORT: this.addr.split(":")[1] || "0",
      DATABASE_URL: `sqlite://${this.#dir}/hookswitch.db`,
      WS_THREADS: "1",
      WS_ALLOWED_ORIGINS: "*",
      ...this.#env,
      ...more,
    };
    if (this.#args[0] === "dev") for (const name of ["JWT_SECRET", "DATABASE_URL", "SERVER_HOST", "SERVER_PORT", "WS_ALLOWED_ORIGINS"]) delete env[name];
    this.log = "";
    this.#child = spawn(PROGRAM, this.#args, { env, cwd: this.#dir, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on("data", (text) => (this.log += text));
    await until("the node listens: " + this.log, () => {
      if (this.#child.exitCode !== null) throw new Error("the node ended: " + this.log);
      this.addr = this.log.match(/listening on http:\/\/([\d.]+:\d+)\s/)?.[1] || this.addr;
      return this.log.includes("listening on http://" + (this.addr || "?"));
    });
  }

  get url() {
    return "http://" + this.addr;
  }

  async publish(...events) {
    const answer = await this.fetch("/api/v1/events", { method: "POST", body: JSON.stringify({ events }) });
    if (answer.status !== 202) throw new Error("not published: " + (await answer.text()));
  }

  fetch(path, options = {}) {
    return fetch(this.url + path, { headers: { authorization: "Bearer " + service() }, ...options });
  }

  async stats() {
    return (await this.fetch("/ws/stats")).json();
  }

  /** Ends it in order, or kills it. */
  async stop(signal = "SIGKILL") {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode) return;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill(signal);
    await gone;
  }

  async dispose() {
    await this.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** A Redis server of the test's own, or nothing where there is none. */
export async function redis(t) {
  const port = await freePort();
  const child = spawn("redis-server", ["--port", port, "--save", "", "--appendonly", "no"], { stdio: "ignore" });
  const failed = new Promise((done) => child.once("error", done));
  t.after(() => child.kill("SIGKILL"));
  const up = until("redis listens", () => canConnect(port)).then(() => "redis://127.0.0.1:" + port);
  return Promise.race([up, failed.then(() => undefined)]);
}

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return String(port);
}

const canConnect = (port) =>
  new Promise((done) => {
    const socket = net.connect(port, "127.0.0.1", () => done(socket.destroy()));
    socket.on("connect", () => done(true));
    socket.on("error", () => done(false));
  });

/** Between client and nodes: passes on, cuts, swallows, or ends what is idle. */
export class Proxy {
  /** Addresses of nodes, in turn. */
  targets = [];
  /** When connections came. */
  arrivals = [];
  /** Requests for WebSockets: answered as by a proxy that knows none. */
  refusesSockets = false;
  /** Takes bytes and passes nothing on; so do connections that come while it is set. */
  #swallows = false;
  #idleMs = 0;
  #pairs = new Set();
  #server;
  #next = 0;

  static async start(t, ...nodes) {
    const proxy = new Proxy();
    proxy.targets = nodes.map(({ addr }) => addr);
    proxy.#server = net.createServer((near) => proxy.#serve(near)).listen(0, "127.0.0.1");
    await new Promise((done) => proxy.#server.once("listening", done));
    t.after(() => {
      proxy.cut();
      proxy.#server.close();
    });
    return proxy;
  }

  get url() {
    return "http://127.0.0.1:" + this.#server.address().port;
  }

  #serve(near) {
    this.arrivals.push(Date.now());
    near.on("error", () => {});
    const target = this.targets[this.#next++ % this.targets.length];
    if (!target) return near.destroy();
    const [host, port] = target.split(":");
    const far = net.connect(Number(port), host);
    const pair = { near, far, swallows: this.#swallows };
    this.#pairs.add(pair);
    const end = () => {
      near.destroy();
      far.destroy();
      this.#pairs.delete(pair);
    };
    near.once("data", (first) => {
      const wantsSocket = /\r\nupgrade: websocket/i.test(first.toString("latin1"));
      if (wantsSocket && this.refusesSockets) {
        near.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return far.destroy();
      }
      far.write(first);
      near.on("data", (bytes) => pair.swallows || far.write(bytes));
    });
    far.on("data", (bytes) => pair.swallows || near.write(bytes));
    for (const socket of [near, far]) {
      socket.on("close", () => pair.swallows || end());
      socket.on("error", () => {});
      if (this.#idleMs) socket.setTimeout(this.#idleMs, end);
    }
  }

  get nOpen() {
    return this.#pairs.size;
  }

  cut() {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    this.#pairs.clear();
  }

  /** The connections of now get nothing through any more, and nobody is told. */
  swallow() {
    for (const pair of this.#pairs) pair.swallows = true;
  }

  cutIdleAfter(ms) {
    this.#idleMs = ms;
  }
}

/** A client that notes what it is told; closed at the test's end. */
export function client(t, options) {
  // `order` has the events' numbers, and a word where a gap was told.
  const told = { events: [], states: [], gaps: [], errors: [], order: [] };
  const connection = connect({
    token: options.session === undefined ? token() : undefined,
    times: TIMES,
    onEvent: (event) => told.order.push(event.payload.n) && told.events.push(event),
    onState: (state) => told.states.push(state),
    onGap: (gap) => told.order.push("gap") && told.gaps.push(gap),
    onError: (error) => told.errors.push(error),
    ...options,
  });
  t.after(() => connection.close());
  const is = (name, patience) => until(() => `${name}, is ${JSON.stringify(connection.state)}`, () => connection.state.name === name, patience);
  const numbers = () => told.events.map((event) => event.payload.n);
  return Object.assign(told, { connection, is, numbers, names: () => told.states.map((state) => state.name) });
}

/** Numbered events. */
export const numbered = (from, to) =>
  Array.from({ length: to - from + 1 }, (_, i) => ({ type: "test.number", payload: { n: from + i } }));

export const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

const TYPES = { ".js": "text/javascript", ".html": "text/html" };

/** Serves the client's modules and an empty page, as a web server would. */
export async function pages(t, headers = {}) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://x").pathname;
    try {
      const body = path === "/" ? "<!doctype html><title>t</title>" : await readFile(join(ROOT, "clients/js/src", path));
      response.writeHead(200, { "content-type": TYPES[path.slice(path.lastIndexOf("."))] || "text/html", ...headers });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  }).listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return "http://127.0.0.1:" + server.address().port;
}
