// The events of this tab, and a list that shows thousands of them with a few elements.
import { clock, h } from "./dom.js";

const KEPT = 10_000;
/** More are dropped at once, so that dropping costs nothing per event. */
const SLACK = 1_000;
const SECONDS = 60;

/** Everything that came since the page was opened, up to a bound. */
export class EventLog extends EventTarget {
  /** Oldest first. @type {any[]} */
  events = [];
  /** How many came in all. */
  total = 0;
  /** Counts of the last minute, by second and type. @type {{ second: number, types: Map<string, number> }[]} */
  seconds = [];

  add(event) {
    event.n = ++this.total;
    this.events.push(event);
    if (this.events.length >= KEPT + SLACK) this.events.splice(0, SLACK);
    this.#count(event.type);
    this.dispatchEvent(new CustomEvent("added", { detail: { event } }));
  }

  clear() {
    this.events = [];
    this.total = 0;
    this.seconds = [];
  }

  #count(type) {
    const second = Math.floor(Date.now() / 1000);
    let last = this.seconds.at(-1);
    if (last?.second !== second) {
      last = { second, types: new Map() };
      this.seconds.push(last);
      while (this.seconds[0].second <= second - SECONDS) this.seconds.shift();
    }
    last.types.set(type, (last.types.get(type) || 0) + 1);
  }
}

const ROW = 28;

const summary = ({ payload }) =>
  Object.entries(payload)
    .filter(([, value]) => typeof value !== "object" && value !== "")
    .map(([key, value]) => `${key}=${value}`)
    .join("  ");

/** A list box: one row per event, the newest first; only what is in sight has elements. */
export class EventList {
  /** What the filter lets through, oldest first. @type {any[]} */
  #rows = [];
  #selected;
  #choose;
  #frame = 0;
  #space = h("div", { class: "space", role: "presentation" });
  element = h("div", {
    class: "events",
    role: "listbox",
    tabindex: "0",
    "aria-label": "Events, the newest first",
  }, this.#space);

  /** @param {(event: any) => void} choose */
  constructor(choose) {
    this.#choose = choose;
    this.element.addEventListener("scroll", () => this.draw());
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
    this.element.addEventListener("click", (event) => {
      const row = /** @type {HTMLElement} */ (event.target).closest("[role=option]");
      if (row) this.select(Number(row.getAttribute("data-n")));
    });
  }

  get length() {
    return this.#rows.length;
  }

  /** Shows these instead. */
  set(rows) {
    this.#rows = rows;
    this.element.scrollTop = 0;
    this.draw();
  }

  /** Shows more, all newer; whoever has scrolled away goes on seeing what is seen. */
  append(rows, oldest) {
    // What the log let go goes here, too.
    if (this.#rows.length && this.#rows[0].n < oldest) {
      const kept = this.#rows.findIndex((event) => event.n >= oldest);
      this.#rows.splice(0, kept < 0 ? this.#rows.length : kept);
    }
    this.#rows.push(...rows);
    if (this.element.scrollTop > 0) this.element.scrollTop += rows.length * ROW;
    this.draw();
  }

  /** In the next frame, however often it is asked for. */
  draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
    });
  }

  #paint() {
    const { scrollTop, clientHeight } = this.element;
    const n = this.#rows.length;
    this.#space.style.height = n * ROW + "px";
    const first = Math.max(0, Math.floor(scrollTop / ROW) - 5);
    const last = Math.min(n, Math.ceil((scrollTop + clientHeight) / ROW) + 5);
    const shown = [];
    for (let at = first; at < last; at++) shown.push(this.#row(this.#rows[n - 1 - at], at, n));
    this.#space.replaceChildren(...shown);
    const active = this.#selected && this.#space.querySelector("#e" + this.#selected.n);
    if (active) this.element.setAttribute("aria-activedescendant", active.id);
    else this.element.removeAttribute("aria-activedescendant");
  }

  #row(event, at, n) {
    const row = h(
      "div",
      {
        id: "e" + event.n,
        role: "option",
        class: "event",
        "data-n": event.n,
        "aria-selected": String(event === this.#selected),
        "aria-posinset": at + 1,
        "aria-setsize": n,
      },
      h("span", { class: "time" }, clock(event.timestamp)),
      h("span", { class: "type", "data-category": event.type.split(".")[0] }, event.type),
      h("span", { class: "to" }, event.user_id !== undefined ? "→ " + event.user_id : event.topic ? "# " + event.topic : ""),
      h("span", { class: "summary" }, summary(event)),
    );
    row.style.top = at * ROW + "px";
    return row;
  }

  #onKey(event) {
    const n = this.#rows.length;
    if (!n) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW) - 1);
    const at = this.#selected ? n - 1 - this.#rows.indexOf(this.#selected) : -1;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: n - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const place = Math.min(n - 1, Math.max(0, to));
    this.select(this.#rows[n - 1 - place].n);
    const { scrollTop, clientHeight } = this.element;
    if (place * ROW < scrollTop) this.element.scrollTop = place * ROW;
    else if ((place + 1) * ROW > scrollTop + clientHeight) this.element.scrollTop = (place + 1) * ROW - clientHeight;
  }

  select(number) {
    this.#selected = this.#rows.find((event) => event.n === number);
    if (this.#selected) this.#choose(this.#selected);
    this.draw();
  }
}
