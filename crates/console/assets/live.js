// Events as they come.
import { chart } from "./chart.js";
import { announce, copy, field, h } from "./dom.js";
import { EventList } from "./event-list.js";
import { traceView } from "./trace.js";

/** What a shell takes as one word. */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The request that would publish this event once more. */
export function asCurl({ type, payload, user_id, topic }) {
  const body = JSON.stringify({ type, payload, user_id, topic });
  return `curl -s ${quoted(location.origin + "/api/v1/events")} -H "Authorization: Bearer $SERVICE" -d ${quoted(body)}`;
}

/** An event as it came. */
const asJson = ({ n, text, ...event }) => JSON.stringify(event, null, 2);

/** A test of one event by what stands in the fields; nothing where they are empty. */
function filterOf({ type, user, session, text }) {
  const tests = [];
  if (type) {
    const pattern = type.split(",").map((one) => one.trim().replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*"));
    const regexp = new RegExp(`^(${pattern.join("|")})`);
    tests.push((event) => regexp.test(event.type));
  }
  const same = (...values) => (wanted) => values.some((value) => value !== undefined && String(value) === wanted);
  if (user) tests.push(({ user_id, payload }) => same(user_id, payload.user_id, payload.agent_id, payload.sender_id)(user));
  if (session) tests.push(({ payload }) => same(payload.session_id, payload.session_key)(session));
  if (text) {
    const wanted = text.toLowerCase();
    tests.push((event) => (event.text ??= JSON.stringify(event).toLowerCase()).includes(wanted));
  }
  return tests.length ? (event) => tests.every((test) => test(event)) : undefined;
}

export function livePage({ log, api, may }) {
  const details = h("section", { class: "details", "aria-label": "The chosen event" });
  const list = new EventList((event) => showEvent(details, event, may.change ? api : undefined));
  const counts = h("p", { class: "counts" });
  const state = { isPaused: false, filter: undefined, held: 0 };
  const types = h("datalist", { id: "types" });
  const inputs = {
    type: h("input", { type: "search", list: "types", placeholder: "call.*", autocomplete: "off", spellcheck: "false" }),
    user: h("input", { type: "search", autocomplete: "off" }),
    session: h("input", { type: "search", autocomplete: "off" }),
    text: h("input", { type: "search", autocomplete: "off" }),
  };

  const matching = () => (state.filter ? log.events.filter(state.filter) : [...log.events]);
  const count = () => {
    const shown = `${list.length.toLocaleString()} shown of ${log.events.length.toLocaleString()} kept, ${log.total.toLocaleString()} came`;
    counts.textContent = state.isPaused ? `${shown}; paused, ${state.held.toLocaleString()} new` : shown;
  };
  const refresh = () => {
    const values = Object.fromEntries(Object.entries(inputs).map(([name, { value }]) => [name, value.trim()]));
    state.filter = filterOf(values);
    state.held = 0;
    list.set(matching());
    count();
  };
  Object.values(inputs).forEach((input) => input.addEventListener("input", refresh));

  let fresh = [];
  let frame = 0;
  const flush = () => {
    frame = 0;
    if (state.isPaused) state.held += fresh.length;
    else list.append(fresh, log.events[0]?.n);
    fresh = [];
    count();
  };
  const onAdded = ({ detail: { event } }) => {
    if (!state.filter || state.filter(event)) fresh.push(event);
    frame ||= requestAnimationFrame(flush);
  };
  log.addEventListener("added", onAdded);

  const pause = h("button", {
    "aria-pressed": "false",
    onclick: () => {
      state.isPaused = !state.isPaused;
      pause.setAttribute("aria-pressed", String(state.isPaused));
      pause.textContent = state.isPaused ? "Resume" : "Pause";
      announce(state.isPaused ? "Paused" : "Going on");
      if (state.isPaused) count();
      else refresh();
    },
  }, "Pause");
  const picture = chart(log);
  const rates = ratesTable(log, types, (type) => {
    inputs.type.value = inputs.type.value === type ? "" : type;
    refresh();
  });
  const element = h(
    "div",
    { class: "live" },
    h("h1", { class: "offscreen" }, "Live events"),
    h("section", { class: "overview", "aria-label": "Rates" }, picture.element, rates.element),
    h(
      "form",
      { class: "filters", role: "search", "aria-label": "Filter", onsubmit: (event) => event.preventDefault() },
      field("Type", inputs.type),
      field("User", inputs.user),
      field("Session", inputs.session),
      field("Text", inputs.text),
      pause,
      types,
    ),
    counts,
    h("div", { class: "split" }, list.element, details),
  );
  showEvent(details, undefined);
  refresh();
  const end = () => {
    log.removeEventListener("added", onAdded);
    cancelAnimationFrame(frame);
    picture.end();
    rates.end();
  };
  return { element, end };
}

/** How often each type came in the last minute; a type that is pressed becomes the filter. */
function ratesTable(log, types, choose) {
  const body = h("tbody");
  const draw = () => {
    if (body.contains(document.activeElement)) return;
    const sums = new Map();
    for (const second of log.seconds) for (const [type, n] of second.types) sums.set(type, (sums.get(type) || 0) + n);
    const most = [...sums].sort(([, a], [, b]) => b - a);
    const row = ([type, n]) =>
      h("tr", {}, h("td", {}, h("button", { class: "link", onclick: () => choose(type) }, type)), h("td", { class: "number" }, (n / 60).toFixed(2)), h("td", { class: "number" }, String(n)));
    body.replaceChildren(...(most.length ? most.slice(0, 6).map(row) : [h("tr", {}, h("td", { colspan: 3 }, "Nothing came yet."))]));
    types.replaceChildren(...most.map(([type]) => h("option", { value: type })));
  };
  draw();
  const timer = setInterval(draw, 1_000);
  const head = ["Type", "per second", "last minute"].map((name, at) => h("th", { scope: "col", class: at ? "number" : false }, name));
  const element = h("div", { class: "rates" }, h("table", {}, h("caption", { class: "offscreen" }, "The most frequent types"), h("thead", {}, h("tr", {}, ...head)), body));
  return { element, end: () => clearInterval(timer) };
}

/** `api` where this role may ask what became of an event. */
function showEvent(details, event, api) {
  if (!event) return details.replaceChildren(h("p", { class: "hint" }, "Choose an event to see all of it. In the list, the arrow keys move."));
  const json = asJson(event);
  const button = (name, text) => h("button", { onclick: ({ currentTarget }) => copy(currentTarget, text()) }, name);
  const traced = h("div", { class: "trace", role: "status" });
  const ask = async () => traced.replaceChildren(await traceView(event, api));
  const trace = api && event.id ? h("button", { onclick: ask }, "What became of it") : null;
  details.replaceChildren(
    h("h2", {}, event.type),
    h("p", { class: "actions" }, button("Copy JSON", () => json), button("Copy as curl", () => asCurl(event)), trace),
    traced,
    h("pre", { tabindex: "0", "aria-label": "The event as JSON" }, json),
  );
}
