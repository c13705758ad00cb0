// The view for programmers: what to change in a client, with this server's address in it.

import { byId, element } from "./elements.js";
import { base } from "./server.js";

const url = base.href.replace(/\/$/, "");

const SNIPPETS = [
  ["Base URL", `${url}/v1`],
  ["Coming from OpenAI", `- client = OpenAI()\n+ client = OpenAI(base_url="${url}/v1", api_key="unused")`],
  ["curl", `curl ${url}/v1/audio/transcriptions \\\n  -F model=whisper-1 -F file=@recording.mp3`],
  [
    "Python, word by word",
    `from openai import OpenAI

client = OpenAI(base_url="${url}/v1", api_key="unused")
stream = client.audio.transcriptions.create(
    model="whisper-1", file=open("recording.mp3", "rb"), stream=True)
for event in stream:
    if event.type == "transcript.text.delta":
        print(event.delta, end="", flush=True)`,
  ],
  [
    "Node",
    `import fs from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${url}/v1", apiKey: "unused" });
const { text } = await client.audio.transcriptions.create({
  model: "whisper-1", file: fs.createReadStream("recording.mp3") });
console.log(text);`,
  ],
  ["Subtitles", `curl ${url}/v1/audio/transcriptions -F model=whisper-1 \\\n  -F response_format=srt -F file=@film.mkv -o film.srt`],
  ["Live captions", `${url.replace("http", "ws")}/v1/realtime?intent=transcription`],
];

export function startApi() {
  byId("snippets").replaceChildren(
    ...SNIPPETS.map(([title, text]) => {
      const copy = element("button", { type: "button", textContent: "Copy", ariaLabel: `Copy: ${title}` });
      copy.addEventListener("click", async () => {
        await navigator.clipboard.writeText(text);
        copy.textContent = "Copied";
      });
      const code = element("pre", { tabIndex: 0, ariaLabel: title, role: "region" }, element("code", { textContent: text }));
      return element("figure", {}, element("figcaption", {}, element("span", { textContent: title }), copy), code);
    }),
  );
}
