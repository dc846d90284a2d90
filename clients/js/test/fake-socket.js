// A WebSocket whose server is the test.

/** Every socket that was opened, the newest last. */
export function fakeSockets() {
  const all = [];
  class FakeSocket {
    readyState = 0;
    said = [];

    constructor(url, protocols) {
      Object.assign(this, { url: new URL(url), protocols });
      all.push(this);
    }

    /** Opens, and says where the client begins. */
    accept(resumed = { recovered: true, replayed: 0, position: "1:1" }) {
      this.readyState = 1;
      this.onopen();
      this.tell({ type: "resumed", payload: resumed });
    }

    tell(message) {
      this.onmessage({ data: JSON.stringify({ timestamp: new Date().toISOString(), ...message }) });
    }

    end(code, reason = "") {
      this.readyState = 3;
      this.onclose({ code, reason });
    }

    send(text) {
      this.said.push(JSON.parse(text));
    }

    close() {
      this.readyState = 3;
    }
  }
  return { all, FakeSocket, last: () => all[all.length - 1] };
}
