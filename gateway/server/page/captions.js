// The list of captions, as a session's events make it: text that grows, then the text that counts.

import { element } from "./elements.js";

const TRANSCRIPTION = "conversation.item.input_audio_transcription";

export class Captions {
  constructor(list) {
    this.list = list;
    this.rows = new Map();
    // Items that are complete, but whose text is not.
    this.unsettled = new Set();
    list.replaceChildren();
  }

  show(event) {
    const box = this.list.parentElement;
    // Who scrolled up to read is left in peace.
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    this.take(event);
    if (isAtEnd) box.scrollTop = box.scrollHeight;
  }

  take(event) {
    switch (event.type) {
      case "input_audio_buffer.speech_started":
        this.row(event.item_id).time.textContent = clock(event.audio_start_ms / 1000);
        break;
      case "input_audio_buffer.committed":
        this.unsettled.add(event.item_id);
        break;
      case `${TRANSCRIPTION}.delta`:
        this.row(event.item_id).text.append(event.delta);
        break;
      case `${TRANSCRIPTION}.completed`:
        // Mostly it begins with what the deltas said; where it does not, it is right and they were not.
        this.settle(event.item_id, event.transcript, "settled");
        break;
      case `${TRANSCRIPTION}.failed`:
        this.settle(event.item_id, event.error.message, "failed");
        break;
    }
  }

  row(id) {
    if (!this.rows.has(id)) {
      const [time, text] = [element("time"), element("p")];
      // Screen readers wait until the text is settled.
      const item = element("li", { className: "heard", ariaBusy: "true" }, time, text);
      this.rows.set(id, { item, time, text });
      this.list.append(item);
    }
    return this.rows.get(id);
  }

  settle(id, text, className) {
    this.unsettled.delete(id);
    const row = this.row(id);
    Object.assign(row.item, { className, ariaBusy: "false" });
    row.text.textContent = text;
    if (!text) row.item.remove();
  }

  get text() {
    return [...this.list.querySelectorAll("p")].map((text) => text.textContent).join("\n");
  }
}

const clock = (seconds) =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
