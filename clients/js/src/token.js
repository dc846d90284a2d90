/**
 * @typedef {{ exp?: number, tenant_id?: unknown, user_id?: unknown, role?: unknown }} Claims
 */

/**
 * What a JSON Web Token says, unchecked; nothing where it is no such token.
 * @param {string} token
 * @returns {Claims}
 */
export function claims(token) {
  try {
    const part = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) || {};
  } catch {
    return {};
  }
}

/**
 * When it ends, in milliseconds of the server's clock; `Infinity` where it does not say.
 * @param {string} token
 */
export const endOf = (token) => Number(claims(token).exp) * 1000 || Infinity;
