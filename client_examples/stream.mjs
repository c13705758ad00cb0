// Streams a transcript, word by word, with OpenAI's Node client (npm install openai).
// Usage: node stream.mjs [FILE] [BASE_URL]
import fs from "node:fs";
import OpenAI from "openai";

const sample = new URL("../tests/samples/jfk.flac", import.meta.url).pathname;
const [file = sample, baseURL = "http://127.0.0.1:8000"] = process.argv.slice(2);
const openai = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: process.env.OPENAI_API_KEY ?? "unused" });

const stream = await openai.audio.transcriptions.create({
  file: fs.createReadStream(file),
  model: "gpt-4o-transcribe",
  stream: true,
});
for await (const event of stream) {
  if (event.type === "transcript.text.delta") process.stdout.write(event.delta);
  if (event.type === "transcript.text.done") console.log(`\n${event.usage.total_tokens} tokens`);
}
