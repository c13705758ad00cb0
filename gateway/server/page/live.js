// Captions while you speak: an ephemeral key, a WebSocket, the microphone's samples, and the events that come back.

import { Captions } from "./captions.js";
import { byId, element } from "./elements.js";
import { Microphone } from "./microphone.js";
import { startTheme } from "./theme.js";

// These transcribe all along, in one caption.
const CONTINUOUS = ["gpt-live-transcribe", "gpt-realtime-whisper"];
const EMPTY = "input_audio_buffer_commit_empty";
const END = "end";
const LAST_WORDS_MS = 15_000;

class Session {
  constructor(captions) {
    this.captions = captions;
    this.waiting = [];
    this.isEnding = false;
    this.problem = null;
    this.ended = new Promise((resolve) => (this.resolve = resolve));
  }

  async open() {
    // First the microphone: its rate belongs to the settings, and what is said while connecting is kept.
    this.microphone = await Microphone.open((block) => this.hear(block));
    try {
      const secret = await createSecret(settings(this.microphone.rate));
      const url = new URL("v1/realtime?intent=transcription", document.baseURI);
      url.protocol = url.protocol.replace("http", "ws");
      this.socket = new WebSocket(url, ["realtime", `openai-insecure-api-key.${secret}`]);
    } catch (error) {
      await this.microphone.stop();
      throw error;
    }
    this.socket.addEventListener("open", () => this.send());
    this.socket.addEventListener("message", ({ data }) => this.take(JSON.parse(data)));
    this.socket.addEventListener("close", (event) => this.end(event));
  }

  hear({ samples, loudness }) {
    // -60 dB is an empty bar, full scale a full one.
    showLevel(1 + Math.log10(Math.max(loudness, 0.001)) / 3);
    this.send({ type: "input_audio_buffer.append", audio: base64(samples) });
  }

  // Sends the event behind what waits for the connection.
  send(...events) {
    this.waiting.push(...events);
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    for (const event of this.waiting.splice(0)) this.socket.send(JSON.stringify(event));
  }

  take(event) {
    this.captions.show(event);
    if (event.type === "session.created") say("Listening…");
    if (event.type === "error" && event.error.code !== EMPTY) this.problem = event.error.message;
    if (this.problem) say(this.problem, true);
    if (event.error?.event_id === END) this.isHeard = true;
    if (this.isHeard && !this.captions.unsettled.size) this.socket.close(1000);
  }

  // Commits what was said last, and waits for its text.
  async stop() {
    this.isEnding = true;
    await this.microphone.stop();
    showLevel(0);
    this.send({ type: "input_audio_buffer.commit" });
    // There is nothing left to commit: the refusal says that everything before it was worked on.
    this.send({ type: "input_audio_buffer.commit", event_id: END });
    setTimeout(() => this.socket.close(1000), LAST_WORDS_MS);
  }

  async end({ code, reason }) {
    await this.microphone.stop();
    showLevel(0);
    const isClean = code === 1000 && !this.problem;
    say(isClean ? "Stopped." : this.problem || reason || `The connection broke (${code}).`, !isClean);
    this.resolve();
  }
}

function settings(rate) {
  const typed = Object.fromEntries(new FormData(byId("form")));
  const transcription = { model: typed.model.trim(), delay: typed.delay };
  if (typed.language.trim()) transcription.language = typed.language.trim();
  return {
    type: "transcription",
    audio: {
      input: {
        format: { type: "audio/pcm", rate },
        transcription,
        noise_reduction: typed.noise ? { type: typed.noise } : null,
        turn_detection: CONTINUOUS.includes(transcription.model) ? null : { type: typed.turns },
      },
    },
  };
}

// Here the visitor is the one who has the key. A site with visitors of its own does this on its server, and
// gives the page nothing but the ephemeral key.
async function createSecret(session) {
  const response = await fetch("v1/realtime/client_secrets", {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization() },
    body: JSON.stringify({ session }),
  });
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Error(body?.error?.message ?? `The server answered ${response.status}.`);
  return body.value;
}

function authorization() {
  const key = byId("key").value.trim();
  return key ? { authorization: `Bearer ${key}` } : {};
}

async function listModels() {
  const response = await fetch("v1/models", { headers: authorization() });
  if (!response.ok) return;
  const { data } = await response.json();
  byId("models").replaceChildren(...data.map((model) => element("option", { value: model.id })));
}

// The wire is little-endian, as is every machine with a browser.
const base64 = (samples) => btoa(String.fromCharCode(...new Uint8Array(samples.buffer)));

function showLevel(level) {
  byId("level").style.setProperty("--level", Math.max(0, Math.min(1, level)).toFixed(3));
}

function say(text, isBad = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("bad", isBad);
}

function showButton(text, { isOn = false, isBusy = false } = {}) {
  Object.assign(byId("listen"), { textContent: text, disabled: isBusy });
  byId("listen").classList.toggle("on", isOn);
  byId("form").classList.toggle("on", isOn);
}

let session = null;
let captions = new Captions(byId("list"));

async function start() {
  captions = new Captions(byId("list"));
  session = new Session(captions);
  showButton("Starting…", { isBusy: true });
  say("Waiting for the microphone…");
  try {
    await session.open();
    showButton("Stop", { isOn: true });
    await session.ended;
  } catch (error) {
    say(error.message, true);
  }
  session = null;
  showButton("Start listening");
}

async function stop() {
  showButton("Finishing…", { isBusy: true });
  say("Waiting for the last words…");
  await session.stop();
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (session) stop();
  else start();
});
byId("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(captions.text);
  say("Copied.");
});
byId("key").addEventListener("change", listModels);
startTheme();
listModels();
