/**
 * What a person can be shown, by reason.
 * @type {Record<string, string>}
 */
export const WORDS = {
  starting: "Connecting…",
  "catching-up": "Connected, catching up with what was missed…",
  ok: "Connected.",
  "no-positions": "Connected. What is missed during an interruption cannot be given again at the moment.",
  unanswered: "The connection does not answer at the moment.",
  "no-network": "This device is offline.",
  lost: "The connection was lost; trying again.",
  restarting: "The server is restarting; connecting to another one.",
  later: "The server takes no connections at the moment; trying again later.",
  "no-token": "The sign-in could not be renewed; trying again.",
  "signed-out": "Signed out.",
  "token-refused": "The sign-in is not accepted. Sign in again.",
  "session-ended": "The chat has ended.",
  "no-session": "There is no such chat.",
  forbidden: "This page or user may not connect.",
  refused: "The server refuses this connection.",
  stopped: "Disconnected.",
};

/** Codes of closes after which nothing is gained by coming back. */
const FINAL = /** @type {Record<number, string>} */ ({
  4410: "session-ended",
  4413: "forbidden",
  4414: "no-session",
});

/**
 * Why a connection of this close code will not be opened again; "" where it may be.
 * @param {number} code
 */
export const finalReason = (code) => (code >= 4410 && code < 4420 ? FINAL[code] || "refused" : "");
