/** More than a node repeats: events that went ahead of others, and those that had no position. */
const REMEMBERED = 4096;

/** The ids of the last events. */
export class Seen {
  /** @type {Set<string>} */
  #ids = new Set();

  /**
   * Whether this is a new one; from now on it is not.
   * @param {string | undefined} id
   */
  isNew(id) {
    if (!id) return true;
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > REMEMBERED) this.#ids.delete(/** @type {string} */ (this.#ids.values().next().value));
    return true;
  }
}
