// The frame: who looks, the connection that all pages share, and which page is shown.
import { connect } from "./client/index.js";
import { claims } from "./client/token.js";
import { announce, field, h } from "./dom.js";
import { EventLog } from "./event-list.js";
import { livePage } from "./live.js";
import { nodePage } from "./node.js";
import { peoplePage } from "./people.js";
import { publishPage } from "./publish.js";
import { webhooksPage } from "./webhooks.js";

const CHANGERS = ["admin", "service"];
const SUPERVISORS = [...CHANGERS, "supervisor"];
const PAGES = [
  { path: "live", name: "Live", make: livePage },
  { path: "people", name: "People", make: peoplePage },
  { path: "publish", name: "Publish", make: publishPage, roles: CHANGERS },
  { path: "webhooks", name: "Webhooks", make: webhooksPage, roles: SUPERVISORS },
  { path: "nodes", name: "Nodes", make: nodePage },
];
const KEPT = "hookswitch.token";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const log = new EventLog();
let connection;
let shown;
let role = "agent";

/** What the API would let this role see. */
const allowed = () => PAGES.filter(({ roles }) => !roles || roles.includes(role));

/** `#token=…` signs in, as the link of `hookswitch dev` does; it does not stay in the address. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(KEPT, given);
    history.replaceState(null, "", location.pathname + "#live");
  }
  return sessionStorage.getItem(KEPT) || "";
}

/** Asks the node. */
export async function api(path, options = {}) {
  const headers = { authorization: "Bearer " + sessionStorage.getItem(KEPT), ...options.headers };
  const answer = await fetch(path, { ...options, headers });
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  const { message, code, details } = body.error ?? { message: "HTTP " + answer.status, code: "" };
  throw Object.assign(new Error(code ? `${message} (${code})` : message), { code, field: details?.field });
}

function tell(state) {
  const badge = /** @type {HTMLElement} */ (document.getElementById("state"));
  badge.className = "state " + state.name;
  badge.textContent = state.name === "live" ? "Live" : state.message;
  badge.title = state.detail || "";
  if (state.name === "closed" && state.reason !== "stopped") signIn(state.detail || state.message);
}

function signOut() {
  sessionStorage.removeItem(KEPT);
  connection?.close();
  log.clear();
  signIn("");
}

function signIn(problem) {
  connection?.close();
  connection = undefined;
  shown?.end?.();
  shown = undefined;
  document.getElementById("pages").replaceChildren();
  document.getElementById("who").replaceChildren();
  document.title = "Sign in · Hookswitch";
  const token = h("textarea", { rows: 4, required: true, spellcheck: "false", autocomplete: "off", "aria-describedby": "token-help" });
  const form = h(
    "form",
    {
      class: "sign-in",
      onsubmit: (event) => {
        event.preventDefault();
        sessionStorage.setItem(KEPT, token.value.trim());
        begin();
      },
    },
    h("h1", {}, "Sign in"),
    problem ? h("p", { class: "problem", role: "alert" }, problem) : null,
    field("Token", token),
    h("p", { id: "token-help", class: "hint" }, "A token of your identity provider, or of ", h("code", {}, "hookswitch token"), ". It stays in this tab."),
    h("button", { class: "primary" }, "Sign in"),
  );
  main.replaceChildren(form);
  token.focus();
}

function begin() {
  const token = takeToken();
  if (!token) return signIn("");
  connection?.close();
  shown?.end?.();
  shown = undefined;
  // Another person's, where somebody else has signed in.
  log.clear();
  const who = claims(token);
  role = String([who.role].flat()[0] ?? "agent");
  document.getElementById("who").replaceChildren(
    h("span", { class: "user" }, `${who.user_id ?? "?"} · ${who.role ?? "agent"} · ${who.tenant_id ?? "?"}`),
    h("button", { onclick: signOut }, "Sign out"),
  );
  document.getElementById("pages").replaceChildren(
    h("ul", {}, ...allowed().map(({ path, name }) => h("li", {}, h("a", { href: "#" + path }, name)))),
  );
  connection = connect({
    url: location.origin,
    token,
    // Also types of the node's own, which come to nobody who does not name them.
    events: ["*"],
    onEvent: (event) => log.add(event),
    onState: tell,
    onGap: () => announce("Some events were missed."),
  });
  show();
}

function show() {
  if (!connection) return;
  const wanted = location.hash.slice(1);
  const page = allowed().find(({ path }) => path === wanted) || PAGES[0];
  if (shown?.path === page.path) return;
  shown?.end?.();
  document.title = page.name + " · Hookswitch";
  for (const link of document.querySelectorAll("#pages a")) {
    if (link.getAttribute("href") === "#" + page.path) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const { element, end } = page.make({ log, api, may: { change: CHANGERS.includes(role), supervise: SUPERVISORS.includes(role) } });
  shown = { path: page.path, end };
  main.replaceChildren(element);
}

addEventListener("hashchange", () => (location.hash.includes("token=") ? begin() : show()));
begin();
