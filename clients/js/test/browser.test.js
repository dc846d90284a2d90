// Real nodes and real pages in headless Chromium.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, missing } from "./chromium.js";
import { Node, Proxy, TIMES, numbered, pages, range, token, until } from "./harness.js";

const options = { skip: missing };

/** Opens a connection in a page and notes what it is told. */
async function open(page, settings, { prepare } = {}) {
  if (prepare) await page.addInitScript(prepare);
  if (!page.url().startsWith("http")) await page.goto(settings.origin);
  await page.evaluate(async ({ given, times, ...settings }) => {
    const { connect } = await import("/index.js");
    window.told = { events: [], states: [], gaps: [] };
    window.connection = connect({
      token: given,
      times,
      ...settings,
      onEvent: (event) => told.events.push(event),
      onState: (state) => told.states.push(state),
      onGap: (gap) => told.gaps.push(gap),
    });
  }, { given: settings.session ? undefined : token(), times: TIMES, ...settings });
  return page;
}

const state = (page) => page.evaluate(() => connection.state);
const is = (page, name) => until("the page is " + name, async () => (await state(page)).name === name);
const numbers = (page) => page.evaluate(() => told.events.map((event) => event.payload.n));
const got = (page, n) => until(`number ${n}`, async () => (await numbers(page)).at(-1) === n);

test("a page is told why it is refused", options, async (t) => {
  const origin = await pages(t);
  const node = await Node.start(t, { WS_ALLOWED_ORIGINS: "https://desk.example" });
  const context = await browser(t);
  const page = await open(await context.newPage(), { origin, url: node.url });
  await is(page, "closed");
  const { reason, detail, code } = await state(page);
  assert.deepEqual([reason, code], ["forbidden", 4413]);
  assert.match(detail, /^origin_refused: .* is not in WS_ALLOWED_ORIGINS/);
  assert.match(node.log, /would allow it/);
});

test("a laptop that loses its network is back when that is back", options, async (t) => {
  const origin = await pages(t);
  const node = await Node.start(t);
  const proxy = await Proxy.start(t, node);
  const context = await browser(t);
  // Without a word from the browser the next attempt would be a minute away.
  const times = { ...TIMES, pause: 120_000, longest: 120_000 };
  // Nor by its other word for it.
  const prepare = () => Object.defineProperty(navigator, "connection", { value: undefined });
  const page = await open(await context.newPage(), { origin, url: proxy.url, times }, { prepare });
  await page.evaluate(() => (Math.random = () => 0.99));
  await is(page, "live");
  await context.setOffline(true);
  await until("told", async () => (await state(page)).reason === "no-network");
  proxy.cut();
  await is(page, "offline");
  await node.publish(...numbered(1, 3));
  await page.evaluate(() => (Math.random = () => 0));
  await context.setOffline(false);
  await is(page, "live");
  await got(page, 3);
  assert.deepEqual(await numbers(page), range(1, 3));
});

test("50 tabs have one connection, whichever of them go", options, async (t) => {
  const origin = await pages(t);
  const node = await Node.start(t);
  for (const [nTabs, prepare] of [[50, undefined], [12, () => delete window.SharedWorker]]) {
    const context = await browser(t);
    const tabs = [];
    for (let n = 0; n < nTabs; n++) tabs.push(context.newPage().then((page) => open(page, { origin, url: node.url, share: true }, { prepare })));
    const all = await Promise.all(tabs);
    await Promise.all(all.map((page) => is(page, "live")));
    assert.equal((await node.stats()).tenant_connections, 1);
    await node.publish(...numbered(1, 3));
    await Promise.all(all.map((page) => got(page, 3)));
    // The first one leads where there is no worker.
    await Promise.all(all.splice(0, nTabs - 8).map((page) => page.close()));
    await node.publish(...numbered(4, 5));
    await Promise.all(all.map((page) => got(page, 5)));
    for (const page of all) assert.deepEqual(await numbers(page), range(1, 5));
    assert.deepEqual(await all[0].evaluate(() => told.gaps), []);
    await until("one connection", async () => (await node.stats()).tenant_connections === 1);
    await Promise.all(all.splice(0).map((page) => page.close()));
    await until("none", async () => (await node.stats()).tenant_connections === 0);
    await context.close();
  }
});

test("tabs of two users have a connection each, and a tab's token serves all of one", options, async (t) => {
  const origin = await pages(t);
  const node = await Node.start(t);
  const context = await browser(t);
  const settings = { origin, url: node.url, share: true };
  const [anna, again, otto] = await Promise.all([0, 0, 0].map(() => context.newPage()));
  // Lives shorter than the test: a tab is asked for another.
  await open(anna, { ...settings, given: token({ user_id: 7 }, 3) });
  await open(again, { ...settings, given: token({ user_id: 7 }) });
  await open(otto, { ...settings, given: token({ user_id: 8 }) });
  await Promise.all([anna, again, otto].map((page) => is(page, "live")));
  assert.equal((await node.stats()).tenant_connections, 2);
  await anna.close();
  await new Promise((done) => setTimeout(done, 3_500));
  await node.publish({ type: "notification", user_id: 7, payload: { n: 1 } });
  await got(again, 1);
  assert.deepEqual(await numbers(otto), []);
  assert.deepEqual((await again.evaluate(() => told.states.map((state) => state.name))).includes("closed"), false);
});
