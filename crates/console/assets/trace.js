// What became of one event.
import { clock, h } from "./dom.js";

const table = (name, head, rows) =>
  h("table", {}, h("caption", {}, name), h("thead", {}, h("tr", {}, ...head.map((word) => h("th", { scope: "col" }, word)))), h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell))))));

const tried = ({ attempt, at, response_code, error, duration_ms, skipped }) =>
  skipped ? `not sent: ${words(skipped)} at ${clock(at)}` : `${attempt}: ${response_code ?? error ?? "–"} in ${duration_ms} ms at ${clock(at)}`;

const words = (name) => name.replaceAll("_", " ");

const span = ({ since, until }) => `${clock(since)} – ${until ? clock(until) : "now"}`;

/**
 * Asks the node and shows what it knows, or why it does not.
 * @param {{ id: string, user_id?: number | string }} event
 * @param {(path: string) => Promise<{ data: any }>} api
 */
export async function traceView({ id, user_id }, api) {
  const user = user_id === undefined ? "" : "?user_id=" + encodeURIComponent(user_id);
  try {
    const { data } = await api(`/api/v1/events/${encodeURIComponent(id)}/trace${user}`);
    const { event, kept, webhooks, user: to, partial } = data;
    const deliveries = (webhooks ?? []).map((one) => [String(one.webhook_id), words(one.state), one.attempts.map(tried).join("; ") || "none yet"]);
    return h("div", {},
      event ? h("p", {}, `Accepted at ${clock(event.accepted_at)}`) : null,
      kept.length ? h("p", {}, `Kept for ${kept.map((one) => one.user_id).join(", ")}, who was away`) : null,
      deliveries.length ? table("Deliveries", ["Webhook", "State", "Attempts"], deliveries) : null,
      webhooks && !deliveries.length ? h("p", { class: "hint" }, "No webhook wanted it.") : null,
      to?.connections.length
        ? table("Connections of " + to.user_id, ["Connection", "From", "Open", "Outcome"], to.connections.map((one) => [one.connection, one.address ?? "–", span(one), words(one.outcome)]))
        : null,
      to && !to.connections.length ? h("p", { class: "hint" }, `${to.user_id} was not connected.`) : null,
      partial ? h("p", { class: "hint" }, "Other nodes, or the database, may know more.") : null);
  } catch (error) {
    return h("p", { class: "problem" }, error.code === "not_found" ? "Nothing is known of it here any more." : error.message);
  }
}
