// The tenant's webhooks: how they are, what they are, what was sent.
import { announce, clock, h } from "./dom.js";
import { webhookForm } from "./webhook-form.js";
import { deliveries } from "./webhook-log.js";

const BASE = "/api/v1/webhooks";

/** In one word, and why. */
function healthOf({ is_active, health }) {
  if (!is_active) return ["off", health?.disabled_reason ? `switched off: ${health.disabled_reason}` : "switched off"];
  if (health?.breaker && health.breaker !== "closed") return ["bad", "breaker " + health.breaker.replace("_", " ")];
  if (health?.failing_since) return ["bad", `${health.consecutive_failures} failures in a row since ${clock(health.failing_since)}`];
  return ["good", "well"];
}

export function webhooksPage({ api, may }) {
  const list = h("ul", { class: "webhooks" });
  const place = h("section", { class: "details", "aria-label": "The chosen webhook" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  let chosen;
  let shown;
  let isOver = false;

  const tell = (error) => {
    problem.hidden = !error;
    problem.textContent = error ? error.message : "";
  };
  const send = (path, body, method = "POST") => api(BASE + path, { method, body: body && JSON.stringify(body) });

  const load = async () => {
    try {
      const { data } = await api(BASE + "?limit=1000");
      if (isOver) return;
      tell(undefined);
      const entry = (webhook) => {
        const [kind, words] = healthOf(webhook);
        return h("li", {}, h("button", { "aria-current": webhook.id === chosen ? "true" : false, onclick: () => choose(webhook.id) },
          h("span", { class: "name" }, webhook.name), h("span", { class: "health " + kind }, words), h("span", { class: "hint" }, webhook.url)));
      };
      list.replaceChildren(...(data.length ? data.map(entry) : [h("li", { class: "hint" }, "There is no webhook yet.")]));
    } catch (error) {
      tell(error);
    }
  };

  const edit = (webhook) => {
    shown?.end?.();
    shown = undefined;
    chosen = webhook?.id;
    const save = async (fields) => {
      const { data } = await send(webhook ? "/" + webhook.id : "", fields, webhook ? "PUT" : "POST");
      announce(webhook ? "Saved" : "Made");
      await load();
      await choose(data.id);
      if (data.generated_secret) showSecret(data.generated_secret);
    };
    const back = () => (webhook ? choose(webhook.id) : place.replaceChildren());
    place.replaceChildren(webhookForm(webhook, save, back));
    place.querySelector("input")?.focus();
  };

  const showSecret = (secret) =>
    place.prepend(h("p", { class: "secret", role: "status" }, "The secret, shown this once: ", h("code", {}, secret)));

  const choose = async (id) => {
    chosen = id;
    shown?.end?.();
    try {
      const { data: webhook } = await api(`${BASE}/${id}`);
      if (isOver || chosen !== id) return;
      const result = h("p", { role: "status", class: "hint" });
      /** A button that does something and says what came of it. */
      const act = (name, then, isHarmful) =>
        h("button", {
          class: isHarmful ? "harmful" : false,
          onclick: async ({ currentTarget }) => {
            if (isHarmful && currentTarget.textContent === name) {
              currentTarget.textContent = "Really?";
              return;
            }
            result.textContent = "…";
            try {
              result.textContent = await then();
            } catch (error) {
              result.textContent = error.message;
            }
          },
        }, name);
      const again = async (words) => {
        await load();
        await choose(id);
        announce(words);
        return words;
      };
      const actions = may.change ? [
        act("Send a test", async () => {
          const { data } = await send(`/${id}/test`);
          shown?.refresh();
          return data.error ? `Failed: ${data.error}` : `Answered ${data.response_code} in ${data.duration_ms} ms`;
        }),
        h("button", { onclick: () => edit(webhook) }, "Change"),
        act("Replace the secret", async () => {
          const { data } = await send(`/${id}/rotate-secret`, { generate_secret: true });
          if (data.generated_secret) showSecret(data.generated_secret);
          return "Both secrets sign until " + new Date(data.previous_secret_valid_until ?? Date.now()).toLocaleString();
        }),
        webhook.is_active
          ? act("Switch off", async () => (await send("/" + id, { is_active: false }, "PUT"), again("Switched off")))
          : act("Switch on", async () => (await send(`/${id}/enable`, {}), again("Switched on"))),
        act("Resend failed of the last day", async () => {
          const { data } = await send(`/${id}/resend`, { since: new Date(Date.now() - 86_400_000).toISOString() });
          return `${data.queued} queued again`;
        }),
        act("Delete", async () => {
          await send("/" + id, undefined, "DELETE");
          place.replaceChildren();
          await load();
          announce("Deleted");
          return "";
        }, true),
      ] : [];
      const [kind, words] = healthOf(webhook);
      const figures = h("p");
      const onNew = async () => {
        const { data } = await api(`${BASE}/${id}/stats`);
        const { total_deliveries: n, successful_count: well } = data;
        figures.textContent = `Last 24 hours: ${n} attempts` + (n ? `, ${Math.round((100 * well) / n)} % well` : "");
      };
      const log = deliveries({ api, base: `${BASE}/${id}`, may, onNew });
      shown = log;
      place.replaceChildren(
        h("h2", {}, webhook.name),
        h("p", {}, h("span", { class: "health " + kind }, words), " ", h("code", {}, webhook.url)),
        h("p", { class: "hint" }, `${webhook.events.join(", ")} · ${webhook.secret_set ? "signed" : "not signed"} · ${webhook.retry_count} retries, ${webhook.retry_profile} · ${webhook.timeout} s`),
        h("p", { class: "actions" }, ...actions),
        result,
        figures,
        log.element,
      );
      load();
    } catch (error) {
      tell(error);
    }
  };

  load();
  const timer = setInterval(load, 10_000);
  const element = h(
    "div",
    { class: "page" },
    h("h1", {}, "Webhooks"),
    problem,
    h("p", { class: "actions" }, may.change ? h("button", { class: "primary", onclick: () => edit(undefined) }, "New webhook") : null),
    h("div", { class: "split narrow-first" }, h("nav", { class: "scroll", "aria-label": "Webhooks" }, list), place),
  );
  const end = () => {
    isOver = true;
    clearInterval(timer);
    shown?.end?.();
  };
  return { element, end };
}
