// Captions that somebody else speaks, as the server relays them to whoever has the link.

import { base } from "./server.js";

const AGAIN_MS = 3_000;

export function watch(token, stage) {
  const url = new URL(`captions/${encodeURIComponent(token)}`, base);
  const source = new EventSource(url);
  source.addEventListener("open", () => stage.note(""));
  source.addEventListener("message", ({ data }) => {
    const event = JSON.parse(data);
    if (event.type === "captions.snapshot") stage.clear();
    for (const caption of event.captions) {
      stage.show({ ...caption, state: caption.settled ? "settled" : "heard" }, "changed");
    }
  });
  source.addEventListener("error", () => {
    stage.note("Waiting for the speaker…");
    // A browser comes back by itself where the connection broke, but not where it was refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => watch(token, stage), AGAIN_MS);
  });
}
