// Bars of a minute, a second each, in the colours of the categories.
import { h } from "./dom.js";

export const CATEGORIES = ["call", "agent", "queue", "chat", "other"];
const SECONDS = 60;

const categoryOf = (type) => {
  const category = type.split(".")[0];
  return CATEGORIES.includes(category) ? category : "other";
};

/**
 * A picture of how many events come, and its legend. What it shows stands as numbers in the table beside it.
 * @param {{ seconds: { second: number, types: Map<string, number> }[] }} log
 */
export function chart(log) {
  const canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { class: "chart", role: "img", "aria-label": "Events per second" }));
  const legend = h("ul", { class: "legend" }, ...CATEGORIES.map((name) => h("li", { "data-category": name }, name)));
  const draw = () => paint(canvas, log);
  draw();
  const timer = setInterval(draw, 1_000);
  return { element: h("div", { class: "chart-box" }, canvas, legend), end: () => clearInterval(timer) };
}

function paint(canvas, { seconds }) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width) return requestAnimationFrame(() => canvas.clientWidth && paint(canvas, { seconds }));
  const scale = devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const style = getComputedStyle(canvas);
  // The running second is not over yet.
  const last = Math.floor(Date.now() / 1000) - 1;
  const bars = Array.from({ length: SECONDS }, () => Object.fromEntries(CATEGORIES.map((name) => [name, 0])));
  for (const { second, types } of seconds) {
    const bar = bars[second - last + SECONDS - 1];
    if (bar) for (const [type, n] of types) bar[categoryOf(type)] += n;
  }
  const totals = bars.map((bar) => Object.values(bar).reduce((sum, n) => sum + n, 0));
  const most = Math.max(4, ...totals);
  const step = width / SECONDS;
  pen.fillStyle = style.getPropertyValue("--muted");
  pen.font = "11px system-ui";
  pen.fillText(`${most}/s`, 2, 10);
  bars.forEach((bar, at) => {
    let bottom = height;
    for (const name of CATEGORIES) {
      const size = (bar[name] / most) * (height - 14);
      pen.fillStyle = style.getPropertyValue("--" + name);
      pen.fillRect(at * step, bottom - size, Math.max(1, step - 1), size);
      bottom -= size;
    }
  });
  const mean = totals.reduce((sum, n) => sum + n, 0) / SECONDS;
  canvas.setAttribute("aria-label", `Events per second over the last minute: ${mean.toFixed(1)} on average, ${Math.max(...totals)} at most`);
}
