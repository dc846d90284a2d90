// Faults of networks and nodes, with real nodes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Node, Proxy, TIMES, client, numbered, range, redis, service, sleep, token, until } from "./harness.js";

const SOCKETS = { skip: globalThis.WebSocket ? false : "run node with --experimental-websocket" };

async function behind(t, env) {
  const node = await Node.start(t, env);
  const proxy = await Proxy.start(t, node);
  return { node, proxy, url: proxy.url };
}

test("events come as they are published, and a subscription leaves others out", SOCKETS, async (t) => {
  const node = await Node.start(t);
  const all = client(t, { url: node.url });
  const calls = client(t, { url: node.url, events: ["call.*"] });
  await Promise.all([all.is("live"), calls.is("live")]);
  await node.publish({ type: "alert", payload: { title: "a" } }, { type: "call.incoming", payload: { unique_id: "1.2" } });
  await until("the call", () => calls.events.length);
  await until("both", () => all.events.length === 2);
  assert.deepEqual([calls.events[0].type, calls.events[0].payload.unique_id], ["call.incoming", "1.2"]);
  assert.equal(calls.connection.position, all.connection.position);
});

for (const transport of ["websocket", "sse"]) {
  test(`a cut connection misses nothing and gives nothing twice, by ${transport}`, SOCKETS, async (t) => {
    const { node, proxy, url } = await behind(t);
    const { is, connection, numbers, gaps } = client(t, { url, transport });
    await is("live");
    assert.equal(connection.state.transport, transport);
    await node.publish(...numbered(1, 3));
    await until("three", () => numbers().length === 3);
    proxy.cut();
    await node.publish(...numbered(4, 6));
    await until("six", () => numbers().length === 6);
    await node.publish(...numbered(7, 7));
    await until("seven", () => numbers().length === 7);
    assert.deepEqual([numbers(), gaps], [range(1, 7), []]);
  });
}

test("a killed node that comes back is found again, and what it forgot is told", SOCKETS, async (t) => {
  const { node, url } = await behind(t);
  const { is, gaps, names, numbers } = client(t, { url });
  await is("live");
  await node.publish(...numbered(1, 1));
  await until("one", () => numbers().length === 1);
  await node.stop("SIGKILL");
  await is("offline");
  await node.run();
  await is("live");
  assert.equal(gaps.length, 1);
  assert.ok(gaps[0].reason === "epoch" && gaps[0].after, JSON.stringify(gaps));
  await node.publish(...numbered(2, 2));
  await until("two", () => numbers().length === 2);
  assert.ok(names().includes("offline") && names().at(-1) === "live", names().join());
});

test("a rolling restart misses nothing, and comes back when it is told to", SOCKETS, async (t) => {
  const shared = await redis(t);
  if (!shared) return t.skip("redis-server is not installed");
  const env = { REDIS_URL: shared, DRAIN_WINDOW: "1s" };
  const [a, b] = [await Node.start(t, env), await Node.start(t, env)];
  const proxy = await Proxy.start(t, a, b);
  const { numbers, gaps, states, order, connection } = client(t, { url: proxy.url });
  const isConnected = () => until(() => JSON.stringify(connection.state), () => /^(live|degraded)$/.test(connection.state.name));
  await isConnected();
  let n = 0;
  let isOver = false;
  const publishing = (async () => {
    for (; !isOver; await sleep(20)) {
      const node = proxy.targets.includes(b.addr) ? b : a;
      await node.publish(...numbered(n + 1, n + 1)).then(() => n++, () => {});
    }
  })();
  for (const [gone, other] of [[a, b], [b, a], [a, b]]) {
    proxy.targets = [other.addr];
    await gone.stop("SIGTERM");
    await gone.run();
    proxy.targets = [gone.addr, other.addr];
    await isConnected();
  }
  isOver = true;
  await publishing;
  await until("the last of them: " + n, () => numbers().at(-1) === n);
  const isTold = states.some((state) => state.reason === "no-positions");
  // Where nodes give no positions, each hole is told.
  if (isTold) {
    let last = 0;
    let isGap = false;
    for (const one of order) {
      if (one === "gap") isGap = true;
      else {
        assert.ok(one === last + 1 || (isGap && one > last), `${one} after ${last}`);
        [last, isGap] = [one, false];
      }
    }
  } else {
    assert.deepEqual(numbers(), range(1, n));
    // A node that has just come to the others may say that something was missed, though nothing was.
    assert.deepEqual(gaps.filter((gap) => gap.reason !== "dropped" || gap.after !== undefined), []);
  }
  assert.ok(states.some((state) => state.reason === "restarting" && state.code === 1012), JSON.stringify(states));
});

test("a dead network is noticed by silence", SOCKETS, async (t) => {
  for (const transport of ["websocket", "sse"]) {
    const { node, proxy, url } = await behind(t);
    const times = transport === "sse" ? { ...TIMES, heartbeat: 1_000 } : TIMES;
    const { is, numbers, names } = client(t, { url, transport, times });
    await is("live");
    const before = proxy.arrivals.length;
    proxy.swallow();
    await node.publish(...numbered(1, 3));
    await until("what went into the dead connection", () => numbers().length === 3, 8_000);
    assert.deepEqual(numbers(), range(1, 3));
    assert.ok(proxy.arrivals.length > before, "over a new connection");
    assert.ok(names().includes("offline"));
  }
});

test("a proxy that ends what is idle is learnt from", SOCKETS, async (t) => {
  const { proxy, url } = await behind(t);
  proxy.cutIdleAfter(1_200);
  const { is, names } = client(t, { url });
  await is("live");
  await until("cut once", () => names().includes("offline"));
  await is("live");
  const before = proxy.arrivals.length;
  await sleep(3_500);
  assert.equal(proxy.arrivals.length, before, "it stays");
});

test("a token is renewed without a reconnect", SOCKETS, async (t) => {
  const { node, proxy, url } = await behind(t);
  let nAsked = 0;
  const source = () => (nAsked++, token({}, 3));
  const { is, names, numbers } = client(t, { url, token: source });
  await is("live");
  const before = proxy.arrivals.length;
  await sleep(7_000);
  await node.publish(...numbered(1, 1));
  await until("it", () => numbers().length === 1);
  assert.equal(proxy.arrivals.length, before);
  assert.deepEqual(names().filter((name) => name !== "live"), []);
  assert.ok(nAsked >= 3, String(nAsked));
});

test("an expired token is replaced, and missed events come", SOCKETS, async (t) => {
  for (const transport of ["websocket", "sse"]) {
    const { node, url } = await behind(t);
    const asked = [];
    // A page that keeps its token until it is told that it is refused.
    const first = token({}, 2);
    const source = ({ refused }) => (asked.push(refused), refused ? token() : first);
    const { is, numbers, gaps } = client(t, { url, transport, token: source });
    await is("live");
    await until("asked for another: " + asked, () => asked.includes(true));
    await node.publish(...numbered(1, 2));
    await until("both", () => numbers().length === 2);
    await is("live");
    assert.deepEqual([numbers(), gaps], [[1, 2], []]);
  }
});

test("refusals that will not change end it, and say why", SOCKETS, async (t) => {
  const { node, proxy, url } = await behind(t, { WS_CONNECTIONS_PER_USER: "1" });
  for (const transport of ["websocket", "sse"]) {
    const wrong = client(t, { url, transport, token: () => token({ secret: "another" }) });
    const before = proxy.arrivals.length;
    await wrong.is("closed");
    assert.equal(wrong.connection.state.reason, "token-refused");
    assert.match(wrong.connection.state.detail, /^unauthorized: token's signature/);
    const nobody = client(t, { url, transport, session: "nobodys" });
    await nobody.is("closed");
    assert.equal(nobody.connection.state.reason, "no-session");
    const odd = client(t, { url, transport, events: ["a b"] });
    await odd.is("closed");
    assert.match(odd.connection.state.detail, /^invalid_field: events/);
    await sleep(3 * TIMES.pause);
    assert.ok(proxy.arrivals.length - before <= 4, String(proxy.arrivals.length - before));
  }
  // This one will change.
  const first = client(t, { url });
  await first.is("live");
  const second = client(t, { url });
  await until("told", () => second.states.some((state) => state.reason === "later" && /^too_many/.test(state.detail)));
  first.connection.close();
  await second.is("live");
  assert.equal((await node.stats()).tenant_connections, 1);
});

test("where WebSockets do not pass, events do", SOCKETS, async (t) => {
  const { node, proxy, url } = await behind(t);
  proxy.refusesSockets = true;
  const { is, connection, numbers, gaps } = client(t, { url });
  await is("live");
  assert.equal(connection.state.transport, "sse");
  await node.publish(...numbered(1, 2));
  await until("two", () => numbers().length === 2);
  proxy.cut();
  await node.publish(...numbered(3, 4));
  await until("four", () => numbers().length === 4);
  proxy.refusesSockets = false;
  proxy.cut();
  await until("a WebSocket again", () => connection.state.transport === "websocket");
  await node.publish(...numbered(5, 5));
  await until("five", () => numbers().length === 5);
  assert.deepEqual([numbers(), gaps], [range(1, 5), []]);
});

test("a runtime without WebSockets has events", async (t) => {
  const node = await Node.start(t);
  const given = globalThis.WebSocket;
  globalThis.WebSocket = undefined;
  t.after(() => (globalThis.WebSocket = given));
  const { is, numbers, connection } = client(t, { url: node.url });
  await is("live");
  await node.publish(...numbered(1, 1));
  await until("it", () => numbers().length === 1);
  assert.equal(connection.state.transport, "sse");
});

test("a visitor hears its own chat until that ends", SOCKETS, async (t) => {
  const { node, proxy, url } = await behind(t);
  const said = (n, session = "k-1") => ({ type: "chat.message", payload: { session_id: session, n, body: "hi" } });
  await node.publish(...["k-1", "k-2"].map((key) => ({ type: "chat.session.started", payload: { session_id: key, status: "waiting" } })));
  for (const transport of ["websocket", "sse"]) {
    const session = transport === "sse" ? "k-2" : "k-1";
    const visitor = client(t, { url, session, transport });
    const agent = client(t, { url, events: ["chat.typing"] });
    await Promise.all([visitor.is("live"), agent.is("live")]);
    await node.publish(said(1, session), said(9, "k-3"));
    await until("one", () => visitor.numbers().length === 1);
    assert.equal(visitor.connection.typing({ session_id: session, is_typing: true, sender_name: "M" }), transport === "websocket");
    if (transport === "websocket") await until("typing", () => agent.events.length === 1);
    proxy.cut();
    await node.publish(said(2, session));
    await until("two", () => visitor.numbers().length === 2);
    await node.publish({ type: "chat.session.ended", payload: { session_id: session, status: "ended" } });
    await visitor.is("closed");
    assert.equal(visitor.connection.state.reason, "session-ended");
    assert.deepEqual(visitor.events.map((event) => event.type), ["chat.message", "chat.message", "chat.session.ended"]);
    agent.connection.close();
  }
  void service;
});
