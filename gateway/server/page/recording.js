// One recording's card: how far it is, its words as they come, the sound of each, and what can be taken home.

import { element } from "./elements.js";
import { paragraphs, take } from "./takeaway.js";
import { Speakers, clock, wordElements } from "./transcript.js";
import { Upload } from "./upload.js";

const TAKES = [
  ["copy", "Copy"],
  ["txt", ".txt"],
  ["srt", ".srt"],
  ["vtt", ".vtt"],
  ["json", ".json"],
];

export class Recording {
  constructor(file, fields) {
    this.file = file;
    this.fields = fields;
    this.segments = [];
    this.tokens = [];
    this.pending = "";
    this.speakers = new Speakers();
    this.build();
  }

  build() {
    this.state = element("span", { className: "quiet", textContent: "Waiting for its turn…" });
    this.state.setAttribute("role", "status");
    this.progress = element("progress", { max: 1, value: 0, ariaLabel: `How far ${this.file.name} is` });
    this.text = element("div", { className: "text" });
    this.player = element("audio", { controls: true, preload: "metadata", src: URL.createObjectURL(this.file), hidden: true });
    this.player.addEventListener("loadedmetadata", () => (this.player.hidden = false));
    this.player.addEventListener("timeupdate", () => this.follow());
    this.stopButton = element("button", { type: "button", textContent: "Stop", onclick: () => this.stop() });
    this.takes = element("div", { className: "takes", hidden: true }, ...TAKES.map(([kind, name]) => this.takeButton(kind, name)));
    this.card = element(
      "article",
      { className: "recording", ariaLabel: this.file.name },
      element("header", {}, element("h2", { textContent: this.file.name }), element("span", { className: "quiet", textContent: size(this.file.size) }), this.stopButton),
      element("p", { className: "progress" }, this.progress, this.state),
      this.player,
      this.text,
      this.takes,
    );
  }

  takeButton(kind, textContent) {
    const ariaLabel = kind === "copy" ? "Copy the text" : `Save as ${textContent}`;
    return element("button", { type: "button", textContent, ariaLabel, onclick: () => this.take(kind) });
  }

  async take(kind) {
    await take(kind, this.segments, this.file.name.replace(/\.[^.]+$/, ""));
    this.say(kind === "copy" ? "Copied." : "Saved.");
  }

  // Never throws: what went wrong stands on the card, with a button to try again.
  async run() {
    Object.assign(this, { segments: [], tokens: [], pending: "", started: performance.now() });
    this.card.classList.remove("failed");
    this.upload = new Upload(this.file, this.fields, { onSent: (share) => this.sent(share), onEvent: (event) => this.show(event) });
    this.say("Sending…");
    try {
      if (!this.file.size) throw new Error("This file is empty.");
      await this.upload.run();
      this.finish();
    } catch (error) {
      this.fail(error);
    }
  }

  stop() {
    if (this.upload) this.upload.stop();
    else this.fail(new Error("Stopped."));
  }

  get isStopped() {
    return this.card.classList.contains("failed");
  }

  sent(share) {
    this.progress.value = share / 5;
    if (!this.segments.length) this.say(share < 1 ? `Sending… ${Math.round(share * 100)} %` : "Listening…");
  }

  show(event) {
    if (event.type === "transcript.text.delta") {
      this.pending += event.delta;
      this.tokens.push(...(event.logprobs ?? []));
    }
    if (event.type === "transcript.text.segment") this.close(event);
    if (event.type === "transcript.text.done") this.done = event;
    this.render();
  }

  close(segment) {
    this.segments.push({ ...segment, tokens: this.takeTokens(segment.text) });
    this.pending = this.pending.trimStart().slice(segment.text.trim().length);
    const length = this.player.duration;
    if (length > 0) this.progress.value = 0.2 + 0.8 * Math.min(1, segment.end / length);
    else this.progress.removeAttribute("value");
    this.say(`Heard up to ${clock(segment.end)}${length > 0 ? ` of ${clock(length)}` : ""}`);
  }

  // Of the tokens that came, those of the segment that they make.
  takeTokens(text) {
    let bytes = new TextEncoder().encode(text.trim()).length;
    let count = 0;
    for (; count < this.tokens.length && bytes > 0; count += 1) {
      const leading = count === 0 && this.tokens[count].token.startsWith(" ") ? 1 : 0;
      bytes -= this.tokens[count].bytes.length - leading;
    }
    return this.tokens.splice(0, count);
  }

  render() {
    const made = paragraphs(this.segments).map((paragraph, index) => this.paragraph(paragraph, index));
    const open = this.pending.trim() ? element("p", { className: "heard", textContent: this.pending.trim() }) : null;
    // What stands already stays the same element, so that it can be selected while more comes.
    const kept = [...this.text.children].filter((child) => !child.classList.contains("heard"));
    made.forEach((one, index) => {
      if (kept[index]?.dataset.length === one.dataset.length) return;
      if (kept[index]) kept[index].replaceWith(one);
      else this.text.append(one);
    });
    this.text.querySelector(".heard")?.remove();
    if (open) this.text.append(open);
  }

  paragraph({ speaker, start, segments }) {
    const onWord = (word) => this.play(word.start / 1000);
    const time = element("button", { type: "button", className: "time", textContent: clock(start), ariaLabel: `Play from ${clock(start)}`, onclick: () => this.play(start) });
    const words = segments.flatMap((segment, index) => [index ? " " : "", ...wordElements(segment, segment.tokens, onWord)]);
    const shown = element("div", { className: "paragraph" }, time, element("p", {}, this.speakers.chip(speaker), speaker ? " " : null, ...words));
    shown.dataset.length = segments.length;
    return shown;
  }

  async play(seconds) {
    if (this.player.hidden) return this.say("This browser cannot play the recording; the transcript is whole all the same.");
    this.player.currentTime = seconds;
    await this.player.play();
  }

  follow() {
    const now = this.player.currentTime * 1000;
    this.text.querySelector(".word.now")?.classList.remove("now");
    const words = [...this.text.querySelectorAll(".word[data-start]")];
    words.findLast((word) => word.dataset.start <= now && now < Number(word.dataset.end) + 200)?.classList.add("now");
  }

  finish() {
    this.progress.hidden = true;
    this.stopButton.remove();
    const seconds = (performance.now() - this.started) / 1000;
    if (!this.segments.length) return this.say("Nothing was said in it.");
    this.takes.hidden = false;
    const names = new Intl.DisplayNames(["en"], { type: "language" });
    const heard = this.done.languages.map(({ code }) => names.of(code)).join(", ");
    this.say(`${heard} · ${clock(this.done.usage.input_token_details.audio_tokens / 10)} of sound in ${seconds.toFixed(seconds < 10 ? 1 : 0)} s`);
    return null;
  }

  fail(error) {
    this.card.classList.add("failed");
    this.progress.value = 0;
    this.takes.hidden = !this.segments.length;
    this.say(error.message);
    this.stopButton.textContent = "Try again";
    this.stopButton.onclick = () => {
      this.stopButton.textContent = "Stop";
      this.stopButton.onclick = () => this.stop();
      this.text.replaceChildren();
      this.run();
    };
  }

  say(text) {
    this.state.textContent = text;
  }
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
