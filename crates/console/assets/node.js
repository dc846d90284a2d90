// How all nodes are, and the figures of the one that answers.
import { h } from "./dom.js";
import { allNodes } from "./nodes.js";

const EVERY = 2_000;

/** What most want to know; `rate` is per second since the last look. */
const FIGURES = [
  { name: "Connections", of: "connections" },
  { name: "Events", of: "events_total", rate: true },
  { name: "Messages to clients", of: "messages_queued_total", rate: true },
  { name: "Dropped for clients", of: "messages_dropped_total" },
  { name: "Delivery attempts", of: "delivery_attempts_total", rate: true },
  { name: "Deliveries under way", of: "deliveries_in_flight" },
  { name: "Deliveries that wait", of: "deliveries_ready" },
  { name: "Breakers open", of: "breakers_open" },
  { name: "Events in history", of: "history_events" },
  { name: "Bytes of history", of: "history_bytes" },
  { name: "Writes that wait", of: "store_waiting" },
  { name: "HTTP connections", of: "http_connections" },
];

/** The text of `/metrics`: values by name and labels, and what each name means. */
export function parseMetrics(text) {
  const values = new Map();
  const meanings = new Map();
  for (const line of text.split("\n")) {
    const help = line.match(/^# HELP (\S+) (.*)/);
    const sample = line.match(/^(\w+)(\{.*\})? (\S+)$/);
    if (help) meanings.set(help[1], help[2]);
    else if (sample) values.set(sample[1] + (sample[2] ?? ""), Number(sample[3]));
  }
  return { values, meanings };
}

export function nodePage({ api, may }) {
  const all = may.supervise ? allNodes(api) : undefined;
  const cards = h("dl", { class: "cards" });
  const checks = h("dl", { class: "cards" });
  const rows = h("tbody");
  const search = h("input", { type: "search", id: "f-figure", autocomplete: "off" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  let before;
  let now;
  let isOver = false;

  const shown = ({ of, rate }) => {
    const value = now.values.get("hookswitch_" + of);
    if (value === undefined) return "–";
    if (!rate) return value.toLocaleString();
    if (!before) return "…";
    const gained = value - (before.values.get("hookswitch_" + of) ?? value);
    return ((gained * 1_000) / (now.at - before.at)).toLocaleString(undefined, { maximumFractionDigits: 1 }) + " /s";
  };
  const card = (name, value, kind) => h("div", {}, h("dt", {}, name), h("dd", { class: kind ?? false }, value));
  const draw = () => {
    if (!now) return;
    cards.replaceChildren(...FIGURES.map((figure) => card(figure.name, shown(figure))));
    const wanted = search.value.trim().toLowerCase();
    const all = [...now.values].filter(([name]) => {
      const meaning = now.meanings.get(name.split("{")[0]) ?? "";
      return (name + meaning).toLowerCase().includes(wanted);
    });
    rows.replaceChildren(...all.map(([name, value]) =>
      h("tr", {}, h("th", { scope: "row" }, h("code", {}, name.replace("hookswitch_", ""))), h("td", { class: "number" }, value.toLocaleString()), h("td", {}, now.meanings.get(name.split("{")[0]) ?? ""))));
  };
  const load = async () => {
    try {
      const [figures, ready] = await Promise.all([fetch("/metrics").then((answer) => answer.text()), fetch("/readyz").then((answer) => answer.json())]);
      if (isOver) return;
      before = now;
      now = { at: performance.now(), ...parseMetrics(figures) };
      const well = Object.entries(ready.checks ?? {}).map(([name, state]) => card(name, String(state), state === "ok" ? "good" : "bad"));
      checks.replaceChildren(card("ready", ready.status, ready.status === "ready" ? "good" : "bad"), card("mode", ready.mode ?? "–"), ...well);
      problem.hidden = true;
      draw();
    } catch (error) {
      problem.hidden = false;
      problem.textContent = "The node does not answer: " + error.message;
    }
  };

  search.addEventListener("input", draw);
  load();
  const timer = setInterval(load, EVERY);
  const head = ["Figure", "Value", "Meaning"].map((name, at) => h("th", { scope: "col", class: at === 1 ? "number" : false }, name));
  const element = h("div", { class: "page" },
    h("h1", {}, "Nodes"),
    all?.element ?? null,
    h("h2", {}, "This node"),
    h("p", { class: "hint" }, "The one that answers; with several behind a balancer, each look may reach another."),
    problem,
    checks,
    cards,
    h("div", { class: "filters" }, h("div", { class: "field" }, h("label", { for: "f-figure" }, "Figure"), search)),
    h("div", { class: "scroll figures", tabindex: "0", role: "region", "aria-label": "Every figure" },
      h("table", {}, h("caption", { class: "offscreen" }, "Every figure of the node"), h("thead", {}, h("tr", {}, ...head)), rows)));
  const end = () => {
    isOver = true;
    all?.end();
    clearInterval(timer);
  };
  return { element, end };
}
