// An event made by hand: from the catalogue's description where the node has it, as JSON everywhere.
import { announce, field, h } from "./dom.js";
import { EXAMPLES } from "./examples.js";

/** The catalogue's events by type; none where the node has no such page. */
async function described() {
  const answer = await fetch("/api/v1/asyncapi.json").catch(() => undefined);
  if (!answer?.ok) return undefined;
  const { components } = await answer.json();
  const resolve = (schema) => {
    const name = schema?.$ref?.split("/").pop();
    return name ? { ...resolve(components.schemas[name]), ...schema } : (schema ?? {});
  };
  const types = new Map();
  for (const [type, { payload, examples, summary }] of Object.entries(components.messages)) {
    if (/^(answer|command|delivery)\./.test(type)) continue;
    const parts = [payload, ...(payload?.allOf ?? [])].map(resolve);
    const of = resolve(parts.map(({ properties }) => properties?.payload).find(Boolean));
    types.set(type, { schema: of, resolve, summary, example: examples?.[0]?.payload?.payload });
  }
  return types;
}

/** What stands in a field as the schema wants it; `undefined` where nothing does. */
function valueOf(control, schema) {
  if (control.type === "checkbox") return control.checked || undefined;
  const text = control.value.trim();
  if (!text) return undefined;
  const kinds = [schema.type, ...(schema.anyOf ?? schema.oneOf ?? []).map(({ type }) => type)].flat();
  if (kinds.includes("integer") || kinds.includes("number")) {
    if (/^-?\d+(\.\d+)?$/.test(text) && Number.isSafeInteger(Math.trunc(Number(text)))) return Number(text);
    if (!kinds.includes("string")) return text;
  }
  if (schema.type === "object" || schema.type === "array" || !kinds.some(Boolean)) return JSON.parse(text);
  return text;
}

function controlOf(schema, id) {
  if (schema.type === "boolean") return h("input", { type: "checkbox", id });
  if (schema.enum) return h("select", { id }, h("option", { value: "" }), ...schema.enum.map((value) => h("option", { value }, value)));
  if (schema.type === "object") return h("textarea", { rows: 2, id, spellcheck: "false" });
  return h("input", { id, autocomplete: "off", inputmode: schema.type === "integer" ? "numeric" : false });
}

export function publishPage({ api }) {
  const type = h("input", { list: "publish-types", required: true, autocomplete: "off", spellcheck: "false", value: "call.incoming", "aria-describedby": "type-help" });
  const help = h("p", { class: "hint", id: "type-help" });
  const list = h("datalist", { id: "publish-types" });
  const payload = h("textarea", { rows: 12, spellcheck: "false", "aria-describedby": "payload-help" });
  const fields = h("div", { class: "fields" });
  const whole = h("div", {}, field("Payload", payload), h("p", { class: "hint", id: "payload-help" }, "A JSON object; passed on as it stands."));
  const target = {
    user_id: h("input", { autocomplete: "off" }),
    topic: h("input", { autocomplete: "off" }),
    id: h("input", { autocomplete: "off" }),
  };
  const answer = h("div", { class: "answer", role: "status" });
  const asFields = h("input", { type: "checkbox", id: "f-as-fields", checked: true });
  const choice = h("div", { class: "check", hidden: true }, asFields, h("label", { for: "f-as-fields" }, "A field for each value"));
  let types;
  let isEdited = false;
  let controls = new Map();

  const made = () => {
    if (!controls.size) return payload.value.trim() ? JSON.parse(payload.value) : {};
    const entries = [...controls].map(([name, { control, schema }]) => [name, valueOf(control, schema)]);
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  };
  const draw = () => {
    const known = types?.get(type.value);
    help.textContent = known?.summary ?? (types ? "No known type: a type of your own is fine." : "");
    controls = new Map();
    const isForm = !!known?.schema.properties && asFields.checked;
    fields.replaceChildren();
    fields.hidden = !isForm;
    whole.hidden = isForm;
    const example = known?.example ?? EXAMPLES[type.value] ?? {};
    // What a person wrote stays.
    if (!isEdited) payload.value = JSON.stringify(example, null, 2);
    if (!isForm) return;
    for (const [name, raw] of Object.entries(known.schema.properties)) {
      const schema = known.resolve(raw);
      const control = controlOf(schema, "p-" + name);
      const isNeeded = known.schema.required?.includes(name);
      control.setAttribute("aria-describedby", "h-" + name);
      const value = example[name];
      if (control.type === "checkbox") control.checked = !!value;
      else if (value !== undefined) control.value = typeof value === "object" ? JSON.stringify(value) : String(value);
      controls.set(name, { control, schema });
      const words = schema.description ?? raw.description ?? "";
      fields.append(h("div", { class: "field" }, h("label", { for: control.id }, name + (isNeeded ? " *" : "")), control, h("p", { class: "hint", id: "h-" + name }, words)));
    }
  };

  const publish = async (submitted) => {
    submitted.preventDefault();
    document.querySelectorAll("[aria-invalid]").forEach((control) => control.removeAttribute("aria-invalid"));
    let event;
    try {
      event = { type: type.value.trim(), payload: made() };
    } catch (error) {
      payload.setAttribute("aria-invalid", "true");
      answer.replaceChildren(h("p", { class: "problem" }, "The payload is no JSON: " + error.message));
      return;
    }
    for (const [name, { value }] of Object.entries(target)) if (value.trim()) event[name] = value.trim();
    try {
      const { data } = await api("/api/v1/events", { method: "POST", body: JSON.stringify(event) });
      answer.replaceChildren(h("p", { class: "good" }, "Accepted: it is on its way."), h("p", {}, "id ", h("code", {}, data.ids[0])), h("p", {}, h("a", { href: "#live" }, "See it live")));
    } catch (error) {
      answer.replaceChildren(h("p", { class: "problem" }, error.message));
      const named = error.field?.split(".").pop();
      const wrong = { type, payload, ...target }[named] ?? controls.get(named)?.control;
      wrong?.setAttribute("aria-invalid", "true");
      wrong?.focus();
    }
  };

  type.addEventListener("input", draw);
  payload.addEventListener("input", () => (isEdited = true));
  asFields.addEventListener("change", () => {
    if (!asFields.checked) payload.value = JSON.stringify(made(), null, 2);
    isEdited = !asFields.checked;
    draw();
  });
  draw();
  described().then((found) => {
    types = found;
    choice.hidden = !types;
    list.replaceChildren(...[...(types?.keys() ?? Object.keys(EXAMPLES))].map((value) => h("option", { value })));
    draw();
  });
  const element = h(
    "div",
    { class: "page" },
    h("h1", {}, "Publish"),
    h(
      "form",
      { class: "split", onsubmit: publish },
      h("div", { class: "scroll panel", tabindex: "0", role: "region", "aria-label": "The event" }, field("Type", type), help, list, choice, fields, whole),
      h("div", { class: "details" },
        h("h2", {}, "For whom"),
        field("User", target.user_id),
        field("Topic", target.topic),
        field("Id of your own", target.id),
        h("p", { class: "hint" }, "Without a user or a topic it is for the whole tenant."),
        h("p", { class: "actions" }, h("button", { class: "primary" }, "Publish")),
        answer),
    ),
  );
  return { element, end: () => announce("") };
}
