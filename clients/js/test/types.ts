// A page in TypeScript: compiled, never run. Each expected error is one that a page's author should see.
import { connect, type Connection, type HookswitchEvent } from "../src/index.js";

const connection: Connection = connect({
  url: "https://events.example.com",
  token: async ({ refused }) => (refused ? "new" : "cached"),
  events: ["call.*"],
  onEvent: (event) => {
    if (event.type === "call.incoming") event.payload.unique_id.toUpperCase();
    // @ts-expect-error: there is no such type
    if (event.type === "call.arriving") event.payload;
  },
  onState: ({ name, message, retryAt }) => {
    const shown: string = name === "offline" && retryAt ? message : "";
    // @ts-expect-error: there is no such state
    return shown && name === "broken";
  },
  onGap: ({ reason }) => reason.length,
});
connection.subscribe(["alert"]);

connect<{ "survey.completed": { score: number } }>({
  session: "k-7f3a",
  onEvent: (event: HookswitchEvent<{ "survey.completed": { score: number } }>) => event.payload.score + 1,
});

// @ts-expect-error: a user's token or a visitor's session is needed
connect({ url: "https://events.example.com" });
// @ts-expect-error: and not both
connect({ token: "t", session: "k" });
