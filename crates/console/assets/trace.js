// What became of one event.
import { clock, h } from "./dom.js";

const table = (name, head, rows) =>
  h("table", {}, h("caption", {}, name), h("thead", {}, h("tr", {}, ...head.map((word) => h("th", { scope: "col" }, word)))), h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell))))));

const tried = ({ attempt, at, response_code, error, duration_ms }) =>
  `${attempt}: ${response_code ?? error ?? "–"} in ${duration_ms ?? "–"} ms at ${clock(at)}`;

/**
 * Asks the node and shows what it knows, or why it does not.
 * @param {{ id: string, user_id?: number | string }} event
 * @param {(path: string) => Promise<{ data: any }>} api
 */
export async function traceView({ id, user_id }, api) {
  const user = user_id === undefined ? "" : "?user_id=" + encodeURIComponent(user_id);
  try {
    const { data } = await api(`/api/v1/events/${encodeURIComponent(id)}/trace${user}`);
    const { event, webhooks = [], user: to, partial } = data;
    return h("div", {},
      event ? h("p", {}, `Accepted at ${clock(event.accepted_at)}${event.kept ? ", kept for its user, who was away" : ""}`) : null,
      webhooks.length
        ? table("Deliveries", ["Webhook", "State", "Attempts"], webhooks.map((one) => [String(one.webhook_id), one.state.replace("_", " "), (one.attempts ?? []).map(tried).join("; ") || "none yet"]))
        : h("p", { class: "hint" }, "No webhook wanted it."),
      to?.connections.length ? table("Connections of " + to.user_id, ["Connection", "Outcome"], to.connections.map((one) => [one.connection, one.outcome.replace("_", " ")])) : null,
      to && !to.connections.length ? h("p", { class: "hint" }, `${to.user_id} was not connected here.`) : null,
      partial ? h("p", { class: "hint" }, "A part did not answer in time, or there are other nodes.") : null);
  } catch (error) {
    return h("p", { class: "problem" }, error.code === "not_found" ? "Nothing is known of it here any more." : error.message);
  }
}
