// What the client decides, against a server that says anything: no network, no node.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/index.js";
import { fakeSockets } from "./fake-socket.js";
import { sleep, token, until } from "./harness.js";

const TIMES = { pause: 20, longest: 200, heartbeat: 400, dead: 200, woken: 100, connect: 300, steady: 50, token: 200 };

function open(t, options = {}) {
  const sockets = fakeSockets();
  const told = { events: [], states: [], gaps: [] };
  const connection = connect({
    url: "https://events.example.com/ws",
    token: token(),
    transport: "websocket",
    WebSocket: sockets.FakeSocket,
    times: TIMES,
    onEvent: (event) => told.events.push(event),
    onState: (state) => told.states.push(state),
    onGap: (gap) => told.gaps.push(gap),
    ...options,
  });
  t.after(() => connection.close());
  const socket = (n) => until("socket " + n, () => sockets.all[n - 1], 3_000);
  return Object.assign(told, sockets, { connection, socket });
}

test("the token is a subprotocol, and the address says what is wanted", async (t) => {
  const secret = token();
  const { socket, connection, states } = open(t, { token: () => secret, events: ["call.*", "alert"] });
  const first = await socket(1);
  assert.deepEqual(first.protocols, ["hookswitch.v1", "bearer", secret]);
  assert.equal(first.url.href, "wss://events.example.com/ws?resume=&events=call.*%2Calert");
  first.accept();
  assert.equal(connection.state.name, "live");
  assert.equal(connection.position, "1:1");
  assert.deepEqual(states.map((state) => state.name), ["live"]);
});

test("addresses of every form mean the same server", async (t) => {
  for (const url of ["wss://a.example/x/api/v1/ws", "https://a.example/x/", "https://a.example/x/ws/"]) {
    const { socket } = open(t, { url, token: undefined, session: "k 7/ü" });
    assert.equal((await socket(1)).url.href, "wss://a.example/x/ws/public/k%207%2F%C3%BC?resume=");
  }
  for (const options of [{ url: "ftp://a.example" }, { token: undefined }, { session: "k" }, { events: [] }]) {
    assert.throws(() => connect({ url: "https://a.example", token: "t", ...options }), TypeError);
  }
});

test("an event that comes twice is given once, and only safe positions are kept", async (t) => {
  const { socket, events, connection } = open(t);
  const first = await socket(1);
  first.accept();
  first.tell({ type: "call.incoming", id: "a", position: "1:5", ahead: true, payload: {} });
  assert.equal(connection.position, "1:1", "what went ahead is no place to come back to");
  first.tell({ type: "alert", id: "b", position: "1:2", payload: {} });
  first.end(1006);
  const second = await socket(2);
  assert.equal(second.url.searchParams.get("resume"), "1:2");
  second.tell({ type: "call.incoming", id: "a", position: "1:5", payload: {} });
  second.accept({ recovered: true, replayed: 1, position: "1:5" });
  assert.deepEqual(events.map((event) => event.id), ["a", "b"]);
  assert.equal(connection.position, "1:5");
});

test("what is lost is told: no recovery, no positions, dropped", async (t) => {
  const { socket, gaps, connection } = open(t);
  (await socket(1)).accept();
  (await socket(1)).end(1006);
  (await socket(2)).accept({ recovered: false, reason: "expired", replayed: 0, position: "1:90" });
  assert.deepEqual(gaps.splice(0), [{ reason: "expired", after: "1:1", until: "1:90" }]);
  assert.equal(connection.state.recovered, false);
  (await socket(2)).end(1006);
  (await socket(3)).accept({ recovered: false, reason: "degraded", replayed: 0, position: null });
  assert.equal(connection.position, "1:90", "the old one is kept");
  assert.deepEqual([connection.state.name, connection.state.reason], ["degraded", "no-positions"]);
  assert.equal(gaps.splice(0)[0].reason, "degraded");
  (await socket(3)).tell({ type: "error", payload: { code: "messages_dropped" }, after: "1:90", until: "1:95" });
  assert.deepEqual(gaps, [{ reason: "dropped", after: "1:90", until: "1:95" }]);
  (await socket(3)).tell({ type: "pong", position: "1:99" });
  assert.deepEqual([connection.state.name, connection.position], ["live", "1:99"]);
});

test("who never had a position is told of every interruption", async (t) => {
  const { socket, gaps } = open(t);
  (await socket(1)).accept({ recovered: false, reason: "degraded", position: null });
  assert.deepEqual(gaps, [], "nothing was missed yet");
  (await socket(1)).end(1006);
  (await socket(2)).accept({ recovered: true, replayed: 0, position: "1:4" });
  assert.equal(gaps.length, 1);
});

for (const [code, reason] of [[4410, "session-ended"], [4413, "forbidden"], [4414, "no-session"], [4412, "refused"], [4419, "refused"]]) {
  test(`after ${code} nothing is tried again`, async (t) => {
    const { socket, connection, all, states } = open(t);
    (await socket(1)).end(code, "origin_refused: no");
    await sleep(5 * TIMES.pause);
    assert.equal(all.length, 1);
    const { name, detail, message } = connection.state;
    assert.deepEqual([name, connection.state.reason, detail, connection.state.code], ["closed", reason, "origin_refused: no", code]);
    assert.ok(message.length > 10 && states.at(-1) === connection.state);
  });
}

test("a pause may be of any length up to its bound: who went together does not come together", async (t) => {
  const chance = t.mock.method(Math, "random", () => 0);
  const { socket, connection } = open(t, { times: { ...TIMES, pause: 1_000, longest: 10_000 } });
  const first = await socket(1);
  first.end(1006);
  assert.ok(connection.state.retryAt - Date.now() < 20);
  const second = await socket(2);
  chance.mock.mockImplementation(() => 0.5);
  second.end(1006);
  const wait = connection.state.retryAt - Date.now();
  assert.ok(wait > 950 && wait <= 1_000, String(wait));
});

test("each pause may be twice as long as the one before, up to a bound", async (t) => {
  t.mock.method(Math, "random", () => 0.999);
  const { socket, connection } = open(t, { times: { ...TIMES, pause: 20, longest: 100 } });
  const waits = [];
  for (let n = 1; n <= 5; n++) {
    const open = await socket(n);
    const endedAt = Date.now();
    open.end(1006);
    waits.push(Math.round((connection.state.retryAt - endedAt) / 20));
  }
  assert.deepEqual(waits, [1, 2, 4, 5, 5]);
});

test("the server's wish is kept to the millisecond, and no network hurries it", async (t) => {
  const { socket, connection, all } = open(t);
  const first = await socket(1);
  first.accept();
  first.tell({ type: "reconnect", payload: { after_ms: 150 } });
  const endedAt = Date.now();
  first.end(1012, "node is restarting, reconnect");
  assert.equal(connection.state.reason, "restarting");
  connection.check();
  await sleep(100);
  assert.equal(all.length, 1);
  await socket(2);
  const took = Date.now() - endedAt;
  assert.ok(took >= 149 && took < 400, String(took));
});

test("a server that takes nobody is left alone for longer", async (t) => {
  t.mock.method(Math, "random", () => 0.999);
  const { socket, connection } = open(t);
  (await socket(1)).end(1013, "too_many_connections: the user has 5");
  const { name, reason, detail, retryAt } = connection.state;
  assert.deepEqual([name, reason, detail], ["offline", "later", "too_many_connections: the user has 5"]);
  assert.ok(retryAt - Date.now() > 4 * TIMES.pause);
});

test("a token that is refused is asked for once more, and a fresh one that is refused is the end", async (t) => {
  const asked = [];
  const source = (why) => (asked.push(why.refused), token({ email: asked.length }));
  const { socket, connection, all } = open(t, { token: source });
  (await socket(1)).end(4401, "unauthorized: no");
  (await socket(2)).end(4401, "unauthorized: no");
  await sleep(5 * TIMES.pause);
  assert.deepEqual([asked, all.length], [[false, true], 2]);
  assert.deepEqual([connection.state.name, connection.state.reason], ["closed", "token-refused"]);
});

test("a refused token that is replaced is no end, however often", async (t) => {
  const { socket, connection } = open(t, { token: () => token() });
  for (let n = 1; n <= 3; n++) {
    (await socket(2 * n - 1)).end(4401);
    const good = await socket(2 * n);
    good.accept();
    await sleep(TIMES.steady + 10);
    if (n < 3) {
      good.end(1006);
    }
  }
  assert.equal(connection.state.name, "live");
});

test("a token source that fails is asked again, and who has none is signed out", async (t) => {
  let n = 0;
  const flaky = open(t, {
    token: async () => {
      if (++n < 3) throw new Error("no network");
      return token();
    },
  });
  await flaky.socket(1);
  assert.equal(n, 3);
  assert.ok(flaky.states.some((state) => state.reason === "no-token" && state.detail.includes("no network")));
  const out = open(t, { token: () => null });
  await until("closed", () => out.connection.state.name === "closed");
  assert.deepEqual([out.connection.state.reason, out.all.length], ["signed-out", 0]);
  const slow = open(t, { token: () => new Promise(() => {}) });
  await until("told", () => slow.states.some((state) => state.reason === "no-token"));
});

test("a good token is used again, and an ended one is not", async (t) => {
  let n = 0;
  const { socket } = open(t, { token: () => (n++, token({}, n === 1 ? 3_600 : 1)) });
  (await socket(1)).accept();
  (await socket(1)).end(1006);
  (await socket(2)).accept();
  assert.equal(n, 1);
});

test("a server that says nothing is dropped, when it should open and when it should answer", async (t) => {
  const { socket, states, connection } = open(t);
  await socket(1);
  const second = await socket(2);
  second.accept();
  await until("asked", () => second.said.some((said) => said.type === "ping"), 3_000);
  await until("told", () => states.some((state) => state.reason === "unanswered"), 3_000);
  second.tell({ type: "pong", position: "1:7" });
  assert.deepEqual([connection.state.name, connection.position], ["live", "1:7"]);
  await socket(3);
});

test("after a sleep the connection is asked at once, and soon given up", async (t) => {
  const { socket } = open(t, { times: { ...TIMES, heartbeat: 60_000, dead: 60_000 } });
  const first = await socket(1);
  first.accept();
  const now = Date.now;
  let jump = 0;
  t.mock.method(Date, "now", () => now() + jump);
  await sleep(1_100);
  assert.deepEqual(first.said, []);
  jump = 3_600_000;
  await socket(2);
  assert.equal(first.said[0].type, "ping");
});

test("what the page's callback throws is the page's", async (t) => {
  const { socket, connection } = open(t, {
    onEvent: () => {
      throw new Error("of the page");
    },
  });
  const thrown = [];
  t.mock.method(globalThis, "setTimeout", (then) => thrown.push(then));
  connection.check();
  t.mock.restoreAll();
  const first = await socket(1);
  first.accept();
  const timers = t.mock.method(globalThis, "setTimeout", (then) => thrown.push(then));
  first.tell({ type: "alert", id: "a", position: "1:2", payload: {} });
  timers.mock.restore();
  assert.equal(connection.position, "1:2");
  assert.throws(thrown.at(-1), /of the page/);
});

test("subscriptions are said, kept for the next connection, and narrowed", async (t) => {
  const { socket, connection } = open(t, { events: ["call.*"] });
  const first = await socket(1);
  first.accept();
  connection.subscribe(["alert"]);
  connection.unsubscribe(["call.*"]);
  assert.deepEqual(first.said.map((said) => said.type), ["subscribe", "unsubscribe"]);
  assert.equal(connection.typing({ session_id: 7, is_typing: true }), true);
  first.end(1006);
  assert.equal(connection.typing({ session_id: 7, is_typing: true }), false);
  assert.equal((await socket(2)).url.searchParams.get("events"), "alert");
});

test("close is the end", async (t) => {
  const { socket, connection, all, states } = open(t);
  (await socket(1)).accept();
  connection.close();
  connection.close();
  (await socket(1)).end(1006);
  await sleep(3 * TIMES.pause);
  assert.equal(all.length, 1);
  assert.deepEqual(states.map((state) => state.name), ["live", "closed"]);
});
