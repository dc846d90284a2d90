// What was sent to a webhook, and how it went.
import { clock, h } from "./dom.js";

const SHOWN = 100;
const TIMINGS = ["dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "body_ms"];

/** The last attempts, oldest first: a bar each, as high as it took long, in the colour of its end. */
function picture(attempts) {
  const svg = (name, properties) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(properties)) element.setAttribute(key, String(value));
    return element;
  };
  const most = Math.max(1, ...attempts.map(({ duration_ms }) => duration_ms ?? 0));
  const well = attempts.filter(isWell).length;
  const words = `The last ${attempts.length} attempts: ${well} well, ${most} ms at most`;
  const image = svg("svg", { viewBox: `0 0 ${SHOWN * 6} 60`, preserveAspectRatio: "none", class: "attempts", role: "img", "aria-label": words });
  attempts.toReversed().forEach((attempt, at) => {
    const height = 4 + (52 * (attempt.duration_ms ?? 0)) / most;
    image.append(svg("rect", { x: at * 6, y: 60 - height, width: 5, height, class: isWell(attempt) ? "good" : "bad" }));
  });
  return h("figure", {}, image, h("figcaption", { class: "hint" }, words));
}

const isWell = ({ response_code }) => response_code >= 200 && response_code < 300;

/** @param {{ api: Function, base: string, may: { change: boolean }, onNew: () => void }} of */
export function deliveries({ api, base, may, onNew }) {
  const rows = h("tbody");
  const chart = h("div");
  const more = h("div", { "aria-live": "polite" });
  const status = h("select", { id: "f-status" }, ...["all", "success", "failed"].map((value) => h("option", { value }, value)));
  let isOver = false;
  let seen = "";

  const show = (attempt) => {
    const { timings, payload, response_body, error, delivery_id } = attempt;
    const result = h("span", { role: "status" });
    const resend = async () => {
      const answer = await api(`${base}/deliveries/${delivery_id}/resend`, { method: "POST" }).catch((problem) => problem);
      result.textContent = answer instanceof Error ? answer.message : "Queued again";
    };
    more.replaceChildren(h("div", {},
      h("h3", {}, `${attempt.event}, attempt ${attempt.attempt}, ${clock(attempt.created_at)}`),
      error ? h("p", { class: "problem" }, error) : null,
      h("p", { class: "hint" }, timings ? TIMINGS.filter((name) => timings[name] !== null && timings[name] !== undefined).map((name) => `${name.replace("_ms", "").replace("_", " ")} ${timings[name]} ms`).join(" · ") : ""),
      may.change && delivery_id ? h("p", { class: "actions" }, h("button", { onclick: resend }, "Send again"), result) : null,
      h("p", {}, "Request"),
      h("pre", { tabindex: "0", "aria-label": "What was sent" }, typeof payload === "string" ? payload : JSON.stringify(payload, null, 2)),
      h("p", {}, `Answer ${attempt.response_code ?? "none"}`),
      response_body ? h("pre", { tabindex: "0", "aria-label": "What was answered" }, response_body) : null,
    ));
  };

  const refresh = async () => {
    const wanted = status.value === "all" ? "include=skipped" : "status=" + status.value;
    const answer = await api(`${base}/logs?limit=${SHOWN}&${wanted}`).catch(() => undefined);
    if (!answer || isOver) return;
    const now = JSON.stringify(answer.data.map(({ id, skipped }) => [id, skipped]));
    if (now === seen) return;
    seen = now;
    onNew();
    const row = (line) =>
      h("tr", {},
        h("td", {}, line.skipped ? clock(line.created_at) : h("button", { class: "link", onclick: () => show(line) }, clock(line.created_at))),
        h("td", {}, line.event ?? ""),
        h("td", { class: line.skipped ? "" : isWell(line) ? "good" : "bad" }, line.skipped ? "not sent: " + line.skipped : String(line.response_code ?? line.error?.split(":")[0] ?? "–")),
        h("td", { class: "number" }, line.attempt === undefined ? "" : String(line.attempt)),
        h("td", { class: "number" }, line.duration_ms === undefined ? "" : String(line.duration_ms ?? "–")));
    const attempts = answer.data.filter(({ skipped }) => !skipped);
    chart.replaceChildren(...(attempts.length ? [picture(attempts)] : []));
    rows.replaceChildren(...(answer.data.length ? answer.data.map(row) : [h("tr", {}, h("td", { colspan: 5 }, "Nothing yet."))]));
  };

  status.addEventListener("change", refresh);
  refresh();
  const timer = setInterval(refresh, 3_000);
  const head = ["When", "Type", "Answer", "Attempt", "ms"].map((name, at) => h("th", { scope: "col", class: at > 2 ? "number" : false }, name));
  const element = h("div", { class: "log" },
    chart,
    h("div", { class: "field" }, h("label", { for: "f-status" }, "Attempts"), status),
    more,
    h("table", {}, h("caption", { class: "offscreen" }, "The last attempts, newest first"), h("thead", {}, h("tr", {}, ...head)), rows));
  const end = () => {
    isOver = true;
    clearInterval(timer);
  };
  return { element, end, refresh };
}
