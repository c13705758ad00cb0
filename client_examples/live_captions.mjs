// Live captions of samples on standard input, with OpenAI's Node client (npm install openai ws).
// Usage: ffmpeg -v error -re -i talk.mp3 -f s16le -ar 24000 -ac 1 - | node live_captions.mjs [BASE_URL]
import net from "node:net";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

const [baseURL = "http://127.0.0.1:8000"] = process.argv.slice(2);
const openai = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: process.env.OPENAI_API_KEY ?? "unused" });
// The client asks for TLS whatever the address says; without a proxy that has a certificate it is to go without.
const options = baseURL.startsWith("https:") ? {} : { createConnection: ({ host, port }) => net.connect(port, host) };
const captions = new OpenAIRealtimeWS({ intent: "transcription", options }, openai);
let [heard, turns, isSent] = ["", 0, false];

captions.on("session.created", async () => {
  for await (const block of process.stdin) {
    captions.send({ type: "input_audio_buffer.append", audio: block.toString("base64") });
  }
  captions.send({ type: "input_audio_buffer.commit" }); // the last turn, which no silence ends
  captions.send({ type: "input_audio_buffer.clear" }); // answered when all before it was worked on
});
captions.on("event", (event) => {
  if (event.type === "conversation.item.input_audio_transcription.delta") {
    heard += event.delta;
    process.stdout.write(event.delta);
  } else if (event.type === "conversation.item.input_audio_transcription.completed") {
    const { transcript } = event;
    if (heard || transcript) console.log(transcript.startsWith(heard) ? transcript.slice(heard.length) : ` -> ${transcript}`);
    heard = "";
  } else if (event.type === "input_audio_buffer.committed") turns += 1;
  else if (event.type === "input_audio_buffer.cleared") isSent = true;
  if (/transcription\.(completed|failed)$/.test(event.type)) turns -= 1;
  if (isSent && turns === 0) captions.close();
});
captions.on("error", ({ error, message }) => {
  if (error?.code !== "input_audio_buffer_commit_empty") throw new Error(message);
});
