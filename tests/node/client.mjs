// Runs one call of the official Node client and prints what came back as one line of JSON.
// Usage: node client.mjs BASE_URL '{"method": "transcriptions" | "translations", "file": PATH, "body": {…}}'
import fs from "node:fs";
import OpenAI from "openai";

const [baseURL, call] = process.argv.slice(2);
const { method, file, body } = JSON.parse(call);
const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 });

try {
  const answer = await client.audio[method].create({ file: fs.createReadStream(file), ...body });
  if (body.stream) {
    const events = [];
    for await (const event of answer) events.push(event);
    console.log(JSON.stringify({ events }));
  } else {
    console.log(JSON.stringify({ answer }));
  }
} catch (error) {
  if (!(error instanceof OpenAI.APIError)) throw error;
  console.log(JSON.stringify({ status: error.status ?? null, param: error.param ?? null, message: error.message }));
}
