/**
 * An element with properties and children; `class`, `for` and `aria-…` are attributes, `on…` are listeners.
 * @param {string} name
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null | undefined)} children
 */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === false || value === undefined || value === null) continue;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A field with its label. */
export function field(label, control) {
  control.id ||= "f-" + label.toLowerCase().replace(/\W+/g, "-");
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control);
}

/** Copies text, also where the page has no right to the clipboard, and says so on the button. */
export async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "offscreen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = label), 1_500);
}

/** Says something to whoever does not see the page. */
export function announce(text) {
  let region = document.getElementById("announce");
  if (!region) {
    region = h("p", { id: "announce", class: "offscreen", "aria-live": "polite" });
    document.body.append(region);
  }
  region.textContent = text;
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false });

/** The time of day, to the millisecond. */
export const clock = (timestamp) => TIME.format(new Date(timestamp));
