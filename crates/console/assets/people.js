// Who is online.
import { announce, clock, h } from "./dom.js";

/** Asked for one by one: as many as a person looks through. */
const ASKED = 100;

/** A person's connections: since when, to which node, from where. */
async function connectionsOf(id, api) {
  try {
    const { data } = await api(`/api/v1/presence/${encodeURIComponent(id)}/connections`);
    const row = (one) => h("tr", {}, ...[new Date(one.since).toLocaleString(), one.address ?? "–", one.transport, one.node].map((cell) => h("td", {}, cell)));
    const head = ["Since", "From", "By", "Node"].map((word) => h("th", { scope: "col" }, word));
    return h("div", {},
      data.connections.length ? h("table", {}, h("caption", { class: "offscreen" }, `Connections of ${id}`), h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...data.connections.map(row))) : h("p", { class: "hint" }, "Not connected."),
      data.partial ? h("p", { class: "hint" }, "Not every node has answered.") : null);
  } catch (error) {
    return h("p", { class: "problem" }, error.message);
  }
}

export function peoplePage({ log, api, may }) {
  /** @type {Map<string, { id: number | string, since?: string, connections?: number }>} */
  const online = new Map();
  const body = h("tbody");
  const count = h("p", { role: "status" }, "Asking…");
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const search = h("input", { type: "search", id: "f-person", autocomplete: "off" });
  const left = h("ol", { class: "comings" });
  const person = h("div", { "aria-live": "polite" });
  let isOver = false;

  const choose = async (id) => {
    const told = await connectionsOf(id, api);
    if (!isOver) person.replaceChildren(h("h2", {}, `Connections of ${id}`), told);
  };

  const draw = () => {
    const wanted = search.value.trim();
    const people = [...online.values()].filter(({ id }) => String(id).includes(wanted));
    people.sort((a, b) => String(a.id).localeCompare(String(b.id), undefined, { numeric: true }));
    count.textContent = `${online.size.toLocaleString()} online` + (wanted ? `, ${people.length.toLocaleString()} shown` : "");
    const name = (id) => (may.supervise ? h("button", { class: "link", onclick: () => choose(id) }, String(id)) : String(id));
    const row = ({ id, since, connections }) =>
      h("tr", {}, h("th", { scope: "row" }, name(id)), h("td", {}, since ? clock(since) : "before this page"), h("td", { class: "number" }, connections === undefined ? "…" : String(connections)));
    body.replaceChildren(...people.slice(0, 1_000).map(row));
  };

  const askConnections = async () => {
    const unknown = [...online.values()].filter(({ connections }) => connections === undefined).slice(0, ASKED);
    for (const person of unknown) {
      if (isOver) return;
      const answer = await api(`/api/v1/ws/users/${encodeURIComponent(person.id)}/online`).catch(() => undefined);
      if (answer) person.connections = answer.connection_count;
    }
    draw();
  };

  const load = async () => {
    try {
      const { data } = await api("/api/v1/presence/online");
      const before = new Map(online);
      online.clear();
      for (const id of data) online.set(String(id), { id, since: before.get(String(id))?.since });
      problem.hidden = true;
      draw();
      await askConnections();
    } catch (error) {
      problem.hidden = false;
      problem.textContent = String(error.message || error);
    }
  };

  const onAdded = ({ detail: { event } }) => {
    if (event.type !== "presence.changed") return;
    const { user_id, state, cause } = event.payload;
    if (state === "online") online.set(String(user_id), { id: user_id, since: event.timestamp });
    else online.delete(String(user_id));
    left.prepend(h("li", {}, h("span", { class: "time" }, clock(event.timestamp)), ` ${user_id} went ${state} (${cause})`));
    while (left.children.length > 50) left.lastChild?.remove();
    draw();
    askConnections();
  };
  log.addEventListener("added", onAdded);
  search.addEventListener("input", draw);
  load();
  // Counts of connections change without a word.
  const timer = setInterval(load, 30_000);

  const head = ["User", "Online since", "Connections"].map((name, at) => h("th", { scope: "col", class: at === 2 ? "number" : false }, name));
  const element = h(
    "div",
    { class: "people" },
    h("h1", {}, "People"),
    problem,
    h("div", { class: "filters" }, h("div", { class: "field" }, h("label", { for: "f-person" }, "User"), search), h("button", { onclick: () => load().then(() => announce("Read again")) }, "Read again")),
    count,
    h("div", { class: "split" },
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Who is online" }, h("table", {}, h("caption", { class: "offscreen" }, "Users who are connected, over all nodes"), h("thead", {}, h("tr", {}, ...head)), body)),
      h("section", { class: "details", tabindex: "0", "aria-label": "Comings and goings" }, person, h("h2", {}, "Comings and goings"), left)),
  );
  const end = () => {
    isOver = true;
    clearInterval(timer);
    log.removeEventListener("added", onAdded);
  };
  return { element, end };
}
