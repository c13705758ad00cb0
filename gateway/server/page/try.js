// Sends a recording and shows its text as it comes, each token shaded by how doubtful it is.

import { byId, element } from "./elements.js";

export function startTrying() {
  const file = byId("file");
  const drop = byId("drop");
  file.addEventListener("change", () => showFile(file));
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) {
        file.files = event.dataTransfer.files;
        showFile(file);
      }
    });
  }
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    transcribe();
  });
  byId("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(byId("text").textContent);
    say("Copied.");
  });
  byId("key").addEventListener("change", listModels);
  listModels();
}

function showFile(file) {
  const [chosen] = file.files;
  if (chosen) byId("file-name").textContent = `${chosen.name} (${(chosen.size / 1e6).toFixed(2)} MB)`;
}

async function listModels() {
  const response = await fetch("v1/models", { headers: authorization() });
  if (!response.ok) return;
  const { data } = await response.json();
  byId("models").replaceChildren(...data.map((model) => element("option", { value: model.id })));
}

async function transcribe() {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  byId("stop").addEventListener("click", stop);
  setRunning(true);
  const view = new TranscriptView();
  try {
    const response = await fetch(`v1/audio/${byId("task").value}`, {
      method: "POST",
      headers: authorization(),
      body: form(),
      signal: stopping.signal,
    });
    if (!response.ok) throw await refusal(response);
    for await (const event of serverSentEvents(response.body)) view.show(event);
    if (!view.isDone) throw new Error("The stream ended before the transcript did.");
  } catch (error) {
    say(stopping.signal.aborted ? "Stopped." : error.message, !stopping.signal.aborted);
  } finally {
    byId("stop").removeEventListener("click", stop);
    setRunning(false);
  }
}

// The fields come before the file: the server starts with the file's first bytes.
function form() {
  const typed = new FormData(byId("form"));
  const body = new FormData();
  for (const name of ["model", "language", "prompt"]) {
    const value = typed.get(name).trim();
    if (value) body.append(name, value);
  }
  body.append("stream", "true");
  // Translations have no such field; unknown ones are ignored.
  body.append("include[]", "logprobs");
  body.append("file", typed.get("file"));
  return body;
}

function authorization() {
  const key = byId("key").value.trim();
  return key ? { authorization: `Bearer ${key}` } : {};
}

async function refusal(response) {
  const body = await response.json().catch(() => null);
  return new Error(body?.error?.message ?? `The server answered ${response.status}.`);
}

export async function* serverSentEvents(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (waiting + value).split("\n");
    waiting = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data: ") && line !== "data: [DONE]") yield JSON.parse(line.slice(6));
    }
  }
}

class TranscriptView {
  constructor() {
    this.started = performance.now();
    this.decoder = new TextDecoder();
    this.events = 0;
    this.isDone = false;
    byId("text").replaceChildren();
    byId("events").replaceChildren();
    byId("count").textContent = "";
    byId("result").hidden = false;
    say("Sending…");
  }

  show(event) {
    this.events += 1;
    byId("count").textContent = `(${this.events})`;
    byId("events").append(`${JSON.stringify(event)}\n`);
    if (event.error) throw new Error(event.error.message);
    if (event.type === "transcript.text.delta") this.append(event);
    if (event.type === "transcript.text.done") this.finish(event);
  }

  append({ delta, logprobs }) {
    this.firstWords ??= this.seconds();
    say(`First words after ${this.firstWords} s…`);
    if (!logprobs) {
      byId("text").append(delta);
      return;
    }
    for (const { token, logprob, bytes } of logprobs) {
      // A character split over tokens is shown with the token that completes it.
      const text = this.decoder.decode(new Uint8Array(bytes), { stream: true });
      const probability = Math.exp(logprob);
      const shown = element("span", {
        className: "token",
        textContent: text,
        title: `${token.trim()} · ${(probability * 100).toFixed(0)} %`,
      });
      shown.style.setProperty("--doubtful", (1 - probability).toFixed(3));
      byId("text").append(shown);
    }
  }

  finish({ usage, languages }) {
    this.isDone = true;
    const audio = usage.input_token_details.audio_tokens / 10;
    const heard = languages.map((language) => language.code).join(", ");
    const first = this.firstWords ? `first words after ${this.firstWords} s, ` : "";
    say(`${heard || "Nothing heard"}: ${audio.toFixed(1)} s of audio; ${first}all after ${this.seconds()} s.`);
  }

  seconds() {
    return ((performance.now() - this.started) / 1000).toFixed(1);
  }
}

function setRunning(isRunning) {
  byId("send").disabled = isRunning;
  byId("stop").hidden = !isRunning;
}

function say(text, isBad = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("bad", isBad);
}
