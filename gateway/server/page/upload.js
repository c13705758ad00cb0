// One recording on its way: how much is sent, then the events of its transcript as they come.

import { askKey, authorization } from "./key.js";
import { Refusal, base, unreachable } from "./server.js";

export class Upload {
  // `onSent(share)` hears how much is sent, `onEvent(event)` what is heard.
  constructor(file, fields, { onSent, onEvent }) {
    Object.assign(this, { file, fields, onSent, onEvent });
  }

  // Resolves when the transcript is whole.
  async run() {
    while (!(await this.send()));
  }

  stop() {
    this.isStopped = true;
    this.exchange?.abort();
  }

  // Whether it was answered; else there is a key to try now. XMLHttpRequest, for fetch does not say what is sent.
  async send() {
    const exchange = (this.exchange = new XMLHttpRequest());
    const events = new ServerSentEvents((event) => this.take(event));
    this.isWhole = false;
    await new Promise((resolve, reject) => {
      exchange.open("POST", new URL(`v1/audio/${this.fields.task}`, base));
      for (const [name, value] of Object.entries(authorization())) exchange.setRequestHeader(name, value);
      exchange.upload.onprogress = ({ loaded, total }) => this.onSent(total ? loaded / total : 1);
      exchange.onprogress = () => exchange.status === 200 && events.feed(exchange.responseText);
      exchange.onload = resolve;
      exchange.onerror = () => reject(unreachable());
      exchange.onabort = () => reject(new Refusal("Stopped."));
      exchange.send(this.form());
    });
    if (exchange.status !== 200) return this.refused(exchange);
    events.feed(exchange.responseText);
    if (this.problem) throw new Refusal(this.problem.message);
    if (!this.isWhole) throw new Refusal("The server ended before the transcript did. Try again.");
    return true;
  }

  async refused(exchange) {
    const refusal = Refusal.of(exchange.status, exchange.responseText, exchange.getResponseHeader("retry-after"));
    if (exchange.status === 401 && (await askKey(refusal.message))) return false;
    throw refusal;
  }

  take(event) {
    if (event.error) this.problem = event.error;
    if (event.type === "transcript.text.done") this.isWhole = true;
    this.onEvent(event);
  }

  // The fields come before the file: the server starts with the file's first bytes.
  form() {
    const { model, language, prompt, speakers, task } = this.fields;
    const form = new FormData();
    form.append("model", speakers && task === "transcriptions" ? `${model}-diarize` : model);
    if (language && task === "transcriptions") form.append("language", language);
    if (prompt.trim()) form.append("prompt", prompt.trim());
    form.append("response_format", "verbose_json");
    form.append("timestamp_granularities[]", "word");
    form.append("timestamp_granularities[]", "segment");
    if (speakers) form.append("chunking_strategy", "auto");
    form.append("stream", "true");
    form.append("file", this.file);
    return form;
  }
}

// Reads the events of a text that grows.
class ServerSentEvents {
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.read = 0;
  }

  feed(text) {
    for (let end; (end = text.indexOf("\n", this.read)) >= 0; this.read = end + 1) {
      const line = text.slice(this.read, end);
      if (line.startsWith("data: ") && line !== "data: [DONE]") this.onEvent(JSON.parse(line.slice(6)));
    }
  }
}
