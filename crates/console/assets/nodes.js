// How all nodes are, as each says it.
import { clock, h } from "./dom.js";

const EVERY = 3_000;

const number = (value) => (value === undefined ? "–" : value.toLocaleString(undefined, { maximumFractionDigits: 1 }));

/** What is not well, in words. */
const unwell = (checks) => Object.entries(checks ?? {}).filter(([, state]) => state !== "ok");

/** One node as a row: the same columns for every version, whatever it does not say is a dash. */
function row({ node, report }) {
  const { version, started_at, status, connections, per_second = {}, drops, history, checks } = report;
  const bad = unwell(checks).map(([name, state]) => `${name}: ${state}`);
  const cells = [connections, per_second.events, per_second.deliveries, drops, history?.shortest_reach];
  return h("tr", {},
    h("th", { scope: "row" }, h("code", {}, node)),
    h("td", { class: status === "ready" ? "good" : "bad" }, [status ?? "–", ...bad].join("; ")),
    ...cells.map((value) => h("td", { class: "number" }, number(value))),
    h("td", {}, started_at ? clock(started_at) : "–"),
    h("td", {}, version ?? "–"));
}

/** What waits on a node, beside the bound it has. */
function queues({ node, report }) {
  const one = ({ name, used, bound }) => h("tr", {},
    h("th", { scope: "row" }, name.replaceAll("_", " ")),
    h("td", { class: "number" }, number(used)),
    h("td", { class: "number" }, number(bound)),
    h("td", {}, h("meter", { min: 0, max: bound, value: used, high: bound * 0.8, "aria-label": `${name} on ${node}` })));
  return h("details", {},
    h("summary", {}, "What waits on ", h("code", {}, node)),
    table("What waits, and its bounds", ["Queue", "Used", "Bound", ""], (report.queues ?? []).map(one), [1, 2]));
}

function table(name, head, rows, numbers) {
  const cell = (word, at) => (word ? h("th", { scope: "col", class: numbers.includes(at) ? "number" : false }, word) : h("td", {}));
  return h("table", {}, h("caption", { class: "offscreen" }, name), h("thead", {}, h("tr", {}, ...head.map(cell))), h("tbody", {}, ...rows));
}

const HEAD = ["Node", "State", "Connections", "Events /s", "Deliveries /s", "Dropped", "History, s", "Since", "Version"];

/** @param {(path: string) => Promise<{ data: any }>} api */
export function allNodes(api) {
  const list = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "All nodes" });
  const waiting = h("div");
  const told = h("p", { role: "status", class: "hint" }, "Asking…");
  let open = new Set();
  let isOver = false;

  const load = async () => {
    try {
      const { data } = await api("/api/v1/nodes");
      if (isOver) return;
      const { nodes, silent, partial } = data;
      list.replaceChildren(table("All nodes", HEAD, nodes.map(row), [2, 3, 4, 5, 6]));
      open = new Set([...waiting.children].filter((one) => one.open).map((one) => one.dataset.node));
      waiting.replaceChildren(...nodes.map((one) => Object.assign(queues(one), { open: open.has(one.node) })));
      [...waiting.children].forEach((element, at) => (element.dataset.node = nodes[at].node));
      const missing = silent.length ? `; no answer from ${silent.join(", ")}` : partial ? "; the others cannot be asked, Redis is away" : "";
      told.textContent = `${nodes.length} told how they are${missing}`;
    } catch (error) {
      if (!isOver) told.textContent = error.message;
    }
  };

  load();
  const timer = setInterval(load, EVERY);
  const element = h("section", { "aria-label": "Nodes" }, told, list, waiting);
  const end = () => {
    isOver = true;
    clearInterval(timer);
  };
  return { element, end };
}
