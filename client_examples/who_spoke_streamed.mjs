// Who said what, each segment as soon as its speaker is known (npm install openai).
// Usage: node client_examples/who_spoke_streamed.mjs [FILE] [BASE_URL] [NAME REFERENCE.wav]
import fs from "node:fs";
import OpenAI from "openai";

const sample = new URL("../tests/samples/jfk.flac", import.meta.url).pathname;
const [file = sample, baseURL = "http://127.0.0.1:8000", name, reference] = process.argv.slice(2);
const openai = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: process.env.OPENAI_API_KEY ?? "unused" });

const known = name
  ? {
      known_speaker_names: [name],
      known_speaker_references: ["data:audio/wav;base64," + fs.readFileSync(reference).toString("base64")],
    }
  : {};
const stream = await openai.audio.transcriptions.create({
  file: fs.createReadStream(file),
  model: "gpt-4o-transcribe-diarize",
  response_format: "diarized_json",
  chunking_strategy: "auto",
  stream: true,
  ...known,
});
for await (const event of stream) {
  if (event.type === "transcript.text.segment") console.log(event.speaker, event.text, event.start, event.end);
}
