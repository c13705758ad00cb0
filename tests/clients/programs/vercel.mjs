// The Vercel AI SDK with its OpenAI and its Groq provider. Prints what it makes of the answers.
import fs from "node:fs";
import { createGroq } from "@ai-sdk/groq";
import { createOpenAI } from "@ai-sdk/openai";
import { experimental_transcribe as transcribe } from "ai";

const [baseURL, file, provider] = process.argv.slice(2);
const options = { baseURL: `${baseURL}/v1`, apiKey: "unused" };
const model =
  provider === "groq"
    ? createGroq(options).transcription("whisper-large-v3-turbo")
    : createOpenAI(options).transcription("whisper-1");
const result = await transcribe({
  model,
  audio: fs.readFileSync(file),
  maxRetries: 0,
  providerOptions: {
    openai: { timestampGranularities: ["segment"] },
    groq: { responseFormat: "verbose_json", timestampGranularities: ["segment"] },
  },
});
const plain = await transcribe({ model, audio: fs.readFileSync(file), maxRetries: 0 });
const { text, language, durationInSeconds, segments } = result;
console.log(JSON.stringify({ text, plain: plain.text, language, durationInSeconds, segments }));
