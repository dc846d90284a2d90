// All that may be set of a webhook.
import { field, h } from "./dom.js";

const lines = (object) => Object.entries(object ?? {}).map(([name, value]) => `${name}: ${value}`).join("\n");

/** `name: value` lines as an object. */
function readLines(text, read) {
  const entries = text.split("\n").filter((line) => line.trim()).map((line) => {
    const at = line.indexOf(":");
    return [line.slice(0, at).trim(), read(line.slice(at + 1).trim())];
  });
  return Object.fromEntries(entries);
}

/**
 * @param {any} webhook  Nothing for a new one.
 * @param {(fields: object) => Promise<void>} save
 * @param {() => void} back
 */
export function webhookForm(webhook, save, back) {
  const of = webhook ?? { events: ["call.*"], retry_count: 3, timeout: 30, retry_profile: "standard", ordered_by: "none", max_in_flight: 0, rate_limit: 0, retry_statuses: [] };
  const text = (value, more) => h("input", { value: value ?? "", autocomplete: "off", ...more });
  const number = (value, min, max) => h("input", { type: "number", value, min, max });
  const choice = (value, ...all) => h("select", {}, ...all.map((one) => h("option", { value: one, selected: one === value }, one)));
  const fields = {
    name: text(of.name, { required: true, maxlength: 255 }),
    url: text(of.url, { required: true, type: "url", maxlength: 500 }),
    events: text(of.events.join(", "), { required: true }),
    secret: text("", { type: "password", placeholder: of.secret_set ? "as it is" : "none" }),
    retry_count: number(of.retry_count, 0, 20),
    timeout: number(of.timeout, 1, 120),
    retry_profile: choice(of.retry_profile, "standard", "durable"),
    ordered_by: choice(of.ordered_by, "none", "call"),
    max_in_flight: number(of.max_in_flight, 0, 100),
    rate_limit: number(of.rate_limit, 0, 10_000),
    retry_statuses: text((of.retry_statuses ?? []).join(", ")),
    expiry: h("textarea", { rows: 2, placeholder: "queue.stats: 30" }, lines(of.expiry)),
    headers: h("textarea", { rows: 2, placeholder: "X-Site: north" }, lines(of.headers)),
  };
  const generate = h("input", { type: "checkbox", id: "f-generate", checked: !webhook });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const split = (value) => value.split(",").map((one) => one.trim()).filter(Boolean);
  const read = () => {
    const { name, url, secret } = fields;
    const given = {
      name: name.value,
      url: url.value,
      events: split(fields.events.value),
      retry_count: Number(fields.retry_count.value),
      timeout: Number(fields.timeout.value),
      retry_profile: fields.retry_profile.value,
      ordered_by: fields.ordered_by.value,
      max_in_flight: Number(fields.max_in_flight.value),
      rate_limit: Number(fields.rate_limit.value),
      retry_statuses: split(fields.retry_statuses.value).map(Number),
      expiry: readLines(fields.expiry.value, Number),
      headers: readLines(fields.headers.value, String),
    };
    if (secret.value) return { ...given, secret: secret.value };
    return generate.checked && !webhook ? { ...given, generate_secret: true } : given;
  };
  const submit = async (event) => {
    event.preventDefault();
    problem.hidden = true;
    try {
      await save(read());
    } catch (error) {
      problem.hidden = false;
      problem.textContent = error.message;
      const wrong = fields[error.field?.split(/[.[]/)[0]];
      wrong?.setAttribute("aria-invalid", "true");
      wrong?.focus();
    }
  };
  return h(
    "form",
    { class: "webhook-form", onsubmit: submit },
    h("h2", {}, webhook ? "Change " + webhook.name : "New webhook"),
    problem,
    field("Name", fields.name),
    field("URL", fields.url),
    field("Event types, separated by commas", fields.events),
    field("Secret", fields.secret),
    webhook ? null : h("div", { class: "check" }, generate, h("label", { for: "f-generate" }, "Have one made, if none is given")),
    h("div", { class: "grid" },
      field("Retries", fields.retry_count),
      field("Seconds per attempt", fields.timeout),
      field("Retry profile", fields.retry_profile),
      field("In order per", fields.ordered_by),
      field("Requests at once (0: the server's)", fields.max_in_flight),
      field("Attempts per second (0: no limit)", fields.rate_limit)),
    field("Statuses to retry beside 5xx", fields.retry_statuses),
    field("Expiry in seconds by type", fields.expiry),
    field("Headers", fields.headers),
    h("p", { class: "actions" }, h("button", { class: "primary" }, webhook ? "Save" : "Make it"), h("button", { type: "button", onclick: back }, "Back")),
  );
}
