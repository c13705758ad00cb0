// Who said what: OpenAI's documented example for Node (npm install openai).
// Usage: node client_examples/who_spoke.mjs [FILE] [BASE_URL] [NAME REFERENCE.wav]
import fs from "node:fs";
import OpenAI from "openai";

const sample = new URL("../tests/samples/jfk.flac", import.meta.url).pathname;
const [file = sample, baseURL = "http://127.0.0.1:8000", name, reference] = process.argv.slice(2);
const openai = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: process.env.OPENAI_API_KEY ?? "unused" });

const transcript = await openai.audio.transcriptions.create({
  file: fs.createReadStream(file),
  model: "gpt-4o-transcribe-diarize",
  response_format: "diarized_json",
  chunking_strategy: "auto",
  // As documented: the Node SDK sends it as fields of that name, which are understood.
  extra_body: {
    known_speaker_names: name ? [name] : [],
    known_speaker_references: name
      ? ["data:audio/wav;base64," + fs.readFileSync(reference).toString("base64")]
      : [],
  },
});

for (const segment of transcript.segments) {
  console.log(`${segment.speaker}: ${segment.text}`, segment.start, segment.end);
}
