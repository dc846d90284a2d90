// The console by a person's steps, in headless Chromium, on `hookswitch dev`.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { browser, missing } from "./chromium.js";
import { Node, until } from "./harness.js";

/** A folder for pictures to look at. */
const { SCREENSHOTS } = process.env;
const options = { skip: missing };

async function opened(t, { args = ["--rate", "10"], ...how } = {}) {
  const node = await Node.start(t, { PATH: process.env.PATH }, ["dev", "--port", "0", ...args]);
  const startedAt = Date.now();
  const link = await until("a link", () => node.log.match(/http:\/\/[\d.:]+\/console#token=\S+/)?.[0]);
  const context = await browser(t, { viewport: { width: 1280, height: 800 }, ...how });
  const page = await context.newPage();
  const origin = new URL(link).origin;
  const foreign = [];
  const problems = [];
  page.on("request", (request) => request.url().startsWith(origin) || foreign.push(request.url()));
  page.on("websocket", (socket) => socket.url().replace("ws", "http").startsWith(origin) || foreign.push(socket.url()));
  page.on("pageerror", (error) => problems.push(String(error)));
  // What the browser itself says of an answer such as 400 is no problem of the page.
  page.on("console", (message) => message.type() === "error" && !/^Failed to load/.test(message.text()) && problems.push(message.text()));
  await page.goto(link);
  const secrets = Object.fromEntries([...node.log.matchAll(/export (\w+)=(\S+)/g)].map(([, name, value]) => [name, value]));
  return { node, context, page, startedAt, foreign, problems, secrets };
}

const picture = async (page, name) => SCREENSHOTS && page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
const rows = (page) => page.locator("[role=option]");
const shown = async (page) => Number((await page.locator(".counts").innerText()).match(/[\d,.]+/)[0].replace(/\D/g, ""));
const publish = (node, secrets, events) =>
  node.fetch("/api/v1/events", { method: "POST", headers: { authorization: "Bearer " + secrets.SERVICE }, body: JSON.stringify({ events }) });

/** What axe finds that is serious, on the page as it is. */
async function barriers(page) {
  const axe = await readFile(fileURLToPath(new URL("../node_modules/axe-core/axe.min.js", import.meta.url)), "utf8");
  // Not as a script element: the page's policy forbids that.
  const { violations } = await page.evaluate(`${axe}; axe.run()`);
  return violations.filter(({ impact }) => /serious|critical/.test(impact)).map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).slice(0, 3)}`);
}

test("a newcomer sees the call centre live, and finds one event", options, async (t) => {
  const { node, page, startedAt, foreign, problems, secrets, context } = await opened(t);
  await rows(page).first().waitFor();
  assert.ok(Date.now() - startedAt < 10_000, "events move within ten seconds");
  assert.equal(new URL(page.url()).hash, "#live", "the token does not stay in the address");
  assert.equal(await page.locator("#state").innerText(), "Live");
  await publish(node, secrets, [{ type: "call.incoming", payload: { unique_id: "42.1", caller_id: "O'Hara" } }]);

  await page.getByLabel("Type").fill("call.inc*");
  await page.getByLabel("Text").fill("o'hara");
  await until("one", async () => (await shown(page)) === 1);
  await page.getByRole("listbox").focus();
  await page.keyboard.press("ArrowDown");
  await page.getByRole("heading", { name: "call.incoming" }).waitFor();
  assert.equal(await rows(page).first().getAttribute("aria-selected"), "true");
  const json = JSON.parse(await page.locator(".details pre").innerText());
  assert.equal(json.payload.unique_id, "42.1");
  await picture(page, "live-chosen");

  await page.getByRole("button", { name: "What became of it" }).click();
  await page.locator(".trace").getByText("Accepted at").waitFor();
  await page.locator(".trace").getByText("No webhook wanted it.").waitFor();

  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByRole("button", { name: "Copy as curl" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  const answer = execFileSync("sh", ["-c", command], { env: { PATH: process.env.PATH, SERVICE: secrets.SERVICE } });
  assert.equal(JSON.parse(answer).success, true);
  await until("it came once more", async () => (await shown(page)) === 2);

  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await publish(node, secrets, [{ type: "call.incoming", payload: { caller_id: "O'Hara" } }]);
  await until("told", async () => /paused, 1 new/.test(await page.locator(".counts").innerText()));
  assert.equal(await shown(page), 2);
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await until("all", async () => (await shown(page)) === 3);
  await page.getByLabel("Type").fill("");
  await page.getByLabel("Text").fill("");
  await page.locator(".rates tbody button").first().click();
  const type = await page.getByLabel("Type").inputValue();
  await until("only that type", async () => (await rows(page).locator(".type").allInnerTexts()).every((text) => text === type));
  await page.getByLabel("Type").fill("");
  await picture(page, "live");
  assert.deepEqual([foreign, problems], [[], []]);
});

test("ten thousand events do not make it slow", options, async (t) => {
  const { node, page, secrets, problems } = await opened(t, { args: ["--no-simulate"] });
  await until("live", async () => (await page.locator("#state").innerText()) === "Live");
  for (let batch = 0; batch < 11; batch++) {
    const events = Array.from({ length: 1_000 }, (_, n) => ({ type: n % 2 ? "queue.joined" : "call.incoming", payload: { unique_id: `${batch}.${n}` } }));
    const answer = await publish(node, secrets, events);
    assert.equal(answer.status, 202);
    await until("they came", async () => Number((await page.locator(".counts").innerText()).match(/([\d,.]+) came/)[1].replace(/\D/g, "")) >= (batch + 1) * 1_000);
  }
  const n = await shown(page);
  assert.ok(n >= 10_000 && n <= 11_000, String(n));
  assert.ok((await rows(page).count()) < 100, "only what is in sight has elements");
  const took = await page.evaluate(async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const input = document.querySelector("#f-text");
    const list = document.querySelector(".events");
    const times = [];
    for (let at = 0; at < 10; at++) {
      const begun = performance.now();
      input.value = "10." + at;
      input.dispatchEvent(new Event("input"));
      await frame();
      list.scrollTop = at * 1_000;
      await frame();
      times.push(performance.now() - begun);
    }
    return times.sort((a, b) => a - b)[5];
  });
  t.diagnostic(`a filter and a scroll take ${took.toFixed(0)} ms`);
  assert.ok(took < 500, String(took));
  assert.deepEqual(problems, []);
});

test("pages have no barriers, in light and dark", options, async (t) => {
  const { page, foreign, problems } = await opened(t);
  const look = async (name) => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      assert.deepEqual(await barriers(page), [], `${name}, ${colorScheme}`);
      await picture(page, `${name}-${colorScheme}`);
    }
  };
  const visit = async (name, seen) => {
    await page.getByRole("link", { name, exact: true }).click();
    await seen().waitFor();
    await look(name.toLowerCase());
  };
  await rows(page).first().waitFor();
  await page.getByRole("listbox").focus();
  await page.keyboard.press("ArrowDown");
  await look("live");
  await visit("People", () => page.getByRole("rowheader", { name: "admin" }));
  await page.getByRole("rowheader", { name: "admin" }).getByRole("button").click();
  const connections = page.getByRole("table", { name: "Connections of admin" });
  await connections.getByRole("cell", { name: "127.0.0.1" }).first().waitFor();
  await connections.getByRole("cell", { name: /^websocket/ }).first().waitFor();
  await look("person");
  await visit("Publish", () => page.getByRole("heading", { name: "For whom" }));
  await visit("Webhooks", () => page.getByText("There is no webhook yet."));
  await page.getByRole("button", { name: "New webhook" }).click();
  await look("webhook-form");
  await visit("Nodes", () => page.getByRole("rowheader", { name: "events_accepted_total" }));
  const nodes = page.getByRole("table", { name: "All nodes" });
  await nodes.getByRole("cell", { name: "ready" }).waitFor();
  await page.getByText("1 told how they are").waitFor();
  await page.getByText("What waits on").click();
  await page.getByRole("rowheader", { name: "webhooks in flight" }).waitFor();
  await look("nodes-open");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await look("sign-in");
  assert.deepEqual([foreign, problems], [[], []]);
});

test("an event is published by hand, and the server's word for a wrong one is shown", options, async (t) => {
  const { page, problems } = await opened(t, { args: ["--no-simulate"] });
  // As it stands, whatever this node describes; a catalogue has a form of it.
  await page.route("**/api/v1/asyncapi.json", (route) => route.fulfill({ json: CATALOGUE }));
  await page.getByRole("link", { name: "Publish" }).click();
  await page.getByLabel("caller_id *").fill("+49301");
  await page.getByLabel("duration").fill("7");
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.getByText("Accepted").waitFor();
  await page.getByLabel("A field for each value").uncheck();
  await page.getByLabel("Payload").fill("{");
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.getByText("The payload is no JSON").waitFor();
  await page.getByLabel("Type").fill("ping");
  await page.getByLabel("Payload").fill("{}");
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.getByText("is reserved for the server (reserved_type)").waitFor();
  assert.equal(await page.getByLabel("Type").getAttribute("aria-invalid"), "true");
  await page.getByRole("link", { name: "Live", exact: true }).click();
  await page.getByLabel("Text").fill("+49301");
  await rows(page).first().click();
  const { payload } = JSON.parse(await page.locator(".details pre").innerText());
  assert.deepEqual(payload, { unique_id: "42.1", caller_id: "+49301", duration: 7 });
  assert.deepEqual(problems, []);
});

const CATALOGUE = {
  components: {
    messages: {
      "call.incoming": {
        summary: "A call comes in.",
        examples: [{ payload: { payload: { unique_id: "42.1", caller_id: "+1" } } }],
        payload: { allOf: [{ properties: { payload: { $ref: "#/components/schemas/Call" } } }] },
      },
      "answer.pong": { payload: {} },
    },
    schemas: {
      Call: {
        required: ["unique_id", "caller_id"],
        properties: {
          unique_id: { type: "string", description: "Its name." },
          caller_id: { type: "string" },
          duration: { type: "integer", description: "In seconds." },
          queue_name: { type: "string" },
        },
      },
    },
  },
};

test("a webhook is made, tried, changed, looked into and deleted", options, async (t) => {
  const receiver = createServer((request, response) => {
    request.resume().on("end", () => {
      response.statusCode = request.headers["x-webhook-event"] === "webhook.test" ? 200 : 418;
      response.end("thank you");
    });
  }).listen(0, "127.0.0.1");
  t.after(() => receiver.close());
  await until("the receiver listens", () => receiver.address());
  const { page, node, secrets, problems, context } = await opened(t, { args: ["--no-simulate"] });
  const button = (name) => page.getByRole("button", { name, exact: true });
  await page.getByRole("link", { name: "Webhooks" }).click();
  await button("New webhook").click();
  await page.getByLabel("Name").fill("CRM");
  await page.getByLabel("URL").fill("http://10.0.0.1/");
  await button("Make it").click();
  await page.getByRole("alert").filter({ hasText: "address_blocked" }).waitFor();
  await page.getByLabel("URL").fill(`http://127.0.0.1:${receiver.address().port}/in`);
  await page.getByLabel("Headers").fill("X-Site: north");
  await button("Make it").click();
  assert.match(await page.locator(".secret code").innerText(), /^whsec_/);
  await button("Send a test").click();
  await page.getByText(/^Answered 200 in/).waitFor();
  await publish(node, secrets, [{ type: "call.incoming", payload: { unique_id: "42.1" } }]);
  await page.getByRole("row").filter({ hasText: "418" }).getByRole("button").click();
  assert.match(await page.getByLabel("What was sent").innerText(), /"unique_id": "42.1"/);
  assert.equal(await page.getByLabel("What was answered").innerText(), "thank you");
  await page.getByRole("img", { name: /attempts: / }).waitFor();
  await picture(page, "webhook");
  await button("Send again").click();
  await page.getByText("Queued again").waitFor();
  await page.getByRole("row").filter({ hasText: "418" }).nth(1).waitFor();
  await button("Change").click();
  await page.getByLabel("Retries", { exact: true }).fill("7");
  await button("Save").click();
  await page.getByText(/7 retries/).waitFor();
  await button("Switch off").click();
  await button("Switch on").click();
  await button("Switch off").waitFor();
  // A supervisor reads, and an agent is not shown the way.
  const other = await context.newPage();
  await other.goto(new URL("/", page.url()) + "#token=" + secrets.SUPERVISOR);
  await other.getByRole("link", { name: "Webhooks" }).click();
  await other.getByRole("button", { name: /CRM/ }).click();
  await other.getByRole("heading", { name: "CRM" }).waitFor();
  assert.equal(await other.getByRole("button", { name: "Delete" }).count(), 0);
  await other.goto(new URL("/", page.url()) + "#token=" + secrets.AGENT);
  await other.getByText(/^101 · agent/).waitFor();
  await other.getByRole("link", { name: "Nodes" }).click();
  await other.getByRole("heading", { name: "This node" }).waitFor();
  assert.equal(await other.getByRole("region", { name: "All nodes" }).count(), 0);
  assert.deepEqual(await other.locator("#pages a").allInnerTexts(), ["Live", "People", "Nodes"]);
  await other.close();
  await button("Delete").click();
  await button("Really?").click();
  await page.getByText("There is no webhook yet.").waitFor();
  assert.deepEqual(problems, []);
});

test("somebody signs in, is told of a token that is none, and sees who comes and goes", options, async (t) => {
  const { page, context, secrets } = await opened(t, { args: ["--no-simulate"] });
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token").fill("nonsense");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  assert.match(await page.getByRole("alert").innerText(), /^unauthorized: token is malformed/);
  await page.getByLabel("Token").fill(secrets.AGENT);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "People" }).click();
  await page.getByRole("rowheader", { name: "101" }).waitFor();
  const other = await context.newPage();
  await other.goto(new URL("/", page.url()) + "#token=" + secrets.SUPERVISOR);
  await until("the supervisor is there", async () => (await page.getByRole("rowheader").count()) === 2);
  await other.close();
  await until("and gone", async () => (await page.getByRole("rowheader").count()) === 1);
  assert.match(await page.locator(".comings li").first().innerText(), /went offline \(disconnected\)/);
  await page.getByRole("cell", { name: "1", exact: true }).waitFor();
});
