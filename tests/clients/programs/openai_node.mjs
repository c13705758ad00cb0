// The official Node client of any version: a file, a stream, a refusal. Prints what came back.
import fs from "node:fs";
import OpenAI from "openai";

const [baseURL, file] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: "unused", maxRetries: 0 });
const create = (options) => client.audio.transcriptions.create({ file: fs.createReadStream(file), ...options });

const { text } = await create({ model: "whisper-1" });
const verbose = await create({ model: "whisper-1", response_format: "verbose_json", timestamp_granularities: ["word"] });
let streamed = "";
for await (const event of await create({ model: "gpt-4o-transcribe", stream: true })) streamed += event.delta ?? "";
const refusal = await create({ model: "nobody" }).catch((error) => error.code);
console.log(JSON.stringify({ text, words: verbose.words.map(({ word }) => word), streamed, refusal }));
