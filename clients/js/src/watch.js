/**
 * Tells when this device may have a network again, or none any more; on anything but a browser never.
 * @param {() => void} back
 * @param {() => void} gone
 * @returns {() => void} Stops it.
 */
export function watchNetwork(back, gone) {
  const stop = new AbortController();
  /** @type {(target: EventTarget | undefined, name: string, then: () => void) => void} */
  const on = (target, name, then) => target?.addEventListener?.(name, then, { signal: stop.signal });
  const all = /** @type {any} */ (globalThis);
  on(all, "online", back);
  on(all, "offline", gone);
  // From the back-forward cache.
  on(all, "pageshow", back);
  on(all.document, "visibilitychange", () => all.document.visibilityState === "visible" && back());
  on(all.document, "resume", back);
  on(all.navigator?.connection, "change", back);
  return () => stop.abort();
}

/** Whether this device says itself that it has no network. */
export const isOffline = () => globalThis.navigator?.onLine === false;
