import { Connection } from "./connection.js";
import { SharedConnection } from "./shared.js";

/**
 * Opens a connection that comes back by itself and misses nothing in silence.
 * @type {typeof import("./index.d.ts").connect}
 */
export const connect = (/** @type {any} */ options) => {
  const { url, share, ...settings } = options;
  const address = new URL(url ?? "/", globalThis.location?.href);
  if (!/^(http|ws)s?:$/.test(address.protocol)) throw new TypeError("url must begin with https:// or wss://");
  if ((settings.token === undefined) === (settings.session === undefined)) {
    throw new TypeError("give a token, or a visitor's session");
  }
  if (settings.events && !settings.events.length) throw new TypeError("events must name at least one type");
  const path = address.pathname.replace(/(\/api\/v1)?(\/ws)?\/*$/, "");
  settings.base = `${address.protocol.replace("ws", "http")}//${address.host}${path}`;
  return share ? new SharedConnection(settings) : new Connection(settings);
};
