// Speaks through the official Node client's Realtime WebSocket and prints all events as one line of JSON.
// The client knows wss: only, so a TLS proxy stands before the gateway, here as in production.
// Usage: node realtime.mjs PORT FOLDER_WITH_KEY_AND_CERT '{"connect", "session", "file", "commit", "items"}'
import fs from "node:fs";
import net from "node:net";
import tls from "node:tls";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

const [port, folder, call] = process.argv.slice(2);
const { connect, session, file, commit, items } = JSON.parse(call);
const audio = fs.readFileSync(file);
const certificate = { key: fs.readFileSync(`${folder}/key.pem`), cert: fs.readFileSync(`${folder}/cert.pem`) };
const proxy = tls.createServer(certificate, (outside) => {
  const inside = net.connect(Number(port), "127.0.0.1");
  outside.pipe(inside).pipe(outside);
  inside.on("error", () => outside.destroy());
  outside.on("error", () => inside.destroy());
});

function speak(baseURL) {
  const socket = new OpenAIRealtimeWS(connect, new OpenAI({ baseURL, apiKey: "unused" }));
  const events = [];
  const errors = [];
  socket.on("error", (error) => errors.push({ message: error.message, code: error.error?.code ?? null }));
  socket.on("event", (event) => events.push(event));
  socket.on("session.created", () => socket.send({ type: "session.update", session }));
  socket.on("session.updated", () => {
    for (let at = 0; at < audio.length; at += 4800) {
      const piece = audio.subarray(at, at + 4800).toString("base64");
      socket.send({ type: "input_audio_buffer.append", audio: piece });
    }
    if (commit) socket.send({ type: "input_audio_buffer.commit" });
  });
  socket.on("conversation.item.input_audio_transcription.completed", () => {
    const done = events.filter((event) => event.type.endsWith("input_audio_transcription.completed"));
    if (done.length === items) socket.close();
  });
  socket.socket.on("close", (code) => {
    console.log(JSON.stringify({ events, errors, code }));
    proxy.close();
  });
}

proxy.listen(0, "127.0.0.1", () => speak(`https://localhost:${proxy.address().port}/v1`));
