/**
 * How a connection ended. `code` is a WebSocket's close code, and for an event stream the one that says the same.
 * @typedef {{ code: number, text: string, afterMs?: number }} End
 *
 * @typedef {object} Listener
 * @property {() => void} opened
 * @property {(message: any) => void} message
 * @property {(position: string) => void} at  Everything up to here was given.
 * @property {(end: End) => void} ended  Once, and nothing after it.
 *
 * @typedef {object} Link
 * @property {"websocket" | "sse"} kind
 * @property {(command: object) => void} [send]
 * @property {() => void} close  Nothing is told any more.
 *
 * @typedef {object} Address
 * @property {string} base
 * @property {string | undefined} session  A visitor's; users have a token.
 * @property {string} token
 * @property {URLSearchParams} query
 */

/** Subprotocols may hold these letters; other tokens go into the URL, which the server does not log. */
const SUBPROTOCOL = /^[\w.~!#$%&'*+^`|-]+$/;

/**
 * @param {Address} address
 * @param {Listener} listener
 * @param {typeof WebSocket} Socket
 * @returns {Link}
 */
export function openSocket({ base, session, token, query }, listener, Socket) {
  const protocols = ["hookswitch.v1"];
  if (token && SUBPROTOCOL.test(token)) protocols.push("bearer", token);
  else if (token) query.set("token", token);
  const path = session === undefined ? "/ws" : "/ws/public/" + encodeURIComponent(session);
  const socket = new Socket(`${base.replace(/^http/, "ws")}${path}?${query}`, protocols);
  let isOver = false;
  /** @param {End} end */
  const end = (end) => {
    if (!isOver) {
      isOver = true;
      listener.ended(end);
    }
  };
  socket.onopen = () => isOver || listener.opened();
  socket.onmessage = ({ data }) => isOver || listener.message(JSON.parse(data));
  socket.onclose = ({ code, reason }) => end({ code, text: reason });
  // Some runtimes tell an error and no close.
  socket.onerror = () => setTimeout(end, 50, { code: 1006, text: "" });
  return {
    kind: "websocket",
    send: (command) => socket.readyState === 1 && socket.send(JSON.stringify(command)),
    close() {
      isOver = true;
      socket.close();
    },
  };
}

/**
 * The same events as one HTTP answer, for networks that break WebSockets. By `fetch`, because an `EventSource` tells no status.
 * @param {Address} address
 * @param {Listener} listener
 * @returns {Link}
 */
export function openStream({ base, session, token, query }, listener) {
  const path = session === undefined ? "" : "/public/" + encodeURIComponent(session);
  const abort = new AbortController();
  /** @type {End} */
  let end = { code: 1006, text: "" };
  const read = async () => {
    const headers = /** @type {Record<string, string>} */ ({ accept: "text/event-stream" });
    if (token) headers.authorization = "Bearer " + token;
    const url = `${base}/api/v1/events/stream${path}?${query}`;
    const answer = await fetch(url, { headers, signal: abort.signal, cache: "no-store" });
    if (answer.status !== 200 || !answer.body) {
      end = await refusal(answer, session);
      return;
    }
    let hasOpened = false;
    await lines(answer.body, (name, value) => {
      if (!name && !hasOpened) end = { code: 1013, text: value };
      else if (!hasOpened && end.code === 1006) {
        hasOpened = true;
        end.code = 1012;
        listener.opened();
      }
      if (name === "retry") end.afterMs = Number(value);
      else if (name === "data") {
        const message = JSON.parse(value);
        const code = message.type === "error" && message.payload.close_code;
        if (code) end = { code, text: message.payload.message };
        else listener.message(message);
      } else listener.at(name === "id" ? value : "");
    });
  };
  read()
    .catch(() => {
      // Broken off: when to come back after an end in good order does not count.
      end = { code: 1006, text: "" };
    })
    .then(() => abort.signal.aborted || listener.ended(end));
  return { kind: "sse", close: () => abort.abort() };
}

/**
 * @param {Response} answer
 * @param {string | undefined} session
 * @returns {Promise<End>}
 */
async function refusal(answer, session) {
  const { status } = answer;
  const text = await answer.json().then(({ error }) => `${error.code}: ${error.message}`).catch(() => "HTTP " + status);
  if (status === 401 || (status === 204 && session === undefined)) return { code: 4401, text };
  if (status === 204 || status === 410) return { code: 4410, text };
  if (status === 404) return { code: session === undefined ? 4412 : 4414, text };
  if (status === 403) return { code: 4413, text };
  if (status === 429 || status > 499) {
    const seconds = Number(answer.headers.get("retry-after"));
    return { code: 1013, text, afterMs: seconds ? seconds * 1000 * (1 + Math.random()) : undefined };
  }
  return { code: 4412, text };
}

/**
 * Reads `name: value` lines; a comment has no name.
 * @param {ReadableStream<Uint8Array>} body
 * @param {(name: string, value: string) => void} on
 */
async function lines(body, on) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const whole = rest.split("\n");
    rest = whole.pop() || "";
    for (const line of whole) {
      const at = line.indexOf(":");
      if (at >= 0) on(line.slice(0, at), line.slice(at + 1).trim());
    }
  }
}
