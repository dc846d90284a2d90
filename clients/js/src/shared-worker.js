// One connection for all tabs of a page, in a worker that lives as long as one of them.
import { Host } from "./shared.js";

/** @typedef {import("./shared.js").Said} Said */

/** @type {Set<MessagePort>} */
const ports = new Set();
/** @type {Map<number, (said: Said) => void>} */
const asked = new Map();
let nAsked = 0;

/** How long a tab may take; one that sleeps never answers. */
const ANSWER_MS = 5_000;

const host = new Host(
  (told) => ports.forEach((port) => port.postMessage(told)),
  async ({ refused }) => {
    for (const port of [...ports].reverse()) {
      const ask = ++nAsked;
      const answer = await new Promise((/** @type {(said: Said) => void} */ resolve) => {
        asked.set(ask, resolve);
        setTimeout(resolve, ANSWER_MS, {});
        port.postMessage({ ask, refused });
      });
      asked.delete(ask);
      if ("token" in answer) return answer.token;
      if (answer.failed) throw new Error(answer.failed);
    }
    throw new Error("no tab answered");
  },
);

/** @type {any} */ (globalThis).onconnect = (/** @type {MessageEvent} */ { ports: [port] }) => {
  port.onmessage = ({ data }) => {
    const said = /** @type {Said} */ (data);
    if (said.start) {
      ports.add(port);
      host.start(said.start);
    } else if (said.bye) ports.delete(port);
    else if (said.answer) asked.get(said.answer)?.(said);
    else host.call(said);
  };
};
