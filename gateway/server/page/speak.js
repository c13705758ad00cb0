// The view for speakers: from the button to captions, and what one reads while that goes on.

import { CaptionList } from "./caption_list.js";
import { byId, element } from "./elements.js";
import { Listening } from "./listening.js";
import { Microphone, listMicrophones } from "./microphone.js";
import { chosen, remember } from "./options.js";
import { publishSecret } from "./share.js";
import { take } from "./takeaway.js";

const TURNS = {
  pause: { type: "server_vad", silence_duration_ms: 500 },
  long: { type: "server_vad", silence_duration_ms: 1200 },
  sentence: { type: "semantic_vad" },
};
const INCLUDE = ["item.input_audio_transcription.logprobs", "item.input_audio_transcription.words"];

// What is told less than this late needs no word of it.
const WORTH_SAYING_SECONDS = 3;

export class Speak {
  constructor(captions) {
    this.captions = captions;
    this.list = new CaptionList(captions);
    this.state = "ready";
    this.form = byId("speak-form");
    captions.watch(() => this.showTools());
    setInterval(() => this.showBehind(), 500);
    byId("listen").addEventListener("click", () => this.press());
    byId("clear").addEventListener("click", () => this.askToClear());
    byId("take").addEventListener("click", (event) => this.take(event.target.dataset.take));
    this.form.addEventListener("change", () => this.summarize());
    addEventListener("beforeunload", (event) => this.state !== "ready" && event.preventDefault());
    remember(this.form);
    this.fillDevices();
    navigator.mediaDevices?.addEventListener("devicechange", () => this.fillDevices());
    this.showTools();
    this.summarize();
  }

  press() {
    if (this.state === "ready") return this.start();
    if (this.state === "finishing") return this.listening?.abandon();
    return this.stop();
  }

  async start() {
    this.set("opening", "Waiting for the microphone…");
    byId("settings").open = false;
    try {
      this.microphone = await Microphone.open(chosen(this.form).device, {
        onBlock: (block) => this.hear(block),
        onEnd: () => this.lose(),
      });
      this.listening = new Listening({
        rate: this.microphone.rate,
        session: this.session(this.microphone.rate),
        publish: publishSecret(),
        captions: this.captions,
        onState: (state, message) => this.showState(state, message),
      });
      this.lock = await navigator.wakeLock?.request("screen").catch(() => null);
      this.fillDevices();
      await this.listening.done;
      this.set("ready", this.reason ?? "Stopped. All that was said is here.");
    } catch (error) {
      this.set("ready", error.message, { isBad: true });
    } finally {
      await this.microphone?.stop();
      await this.lock?.release();
      Object.assign(this, { microphone: null, listening: null, lock: null, reason: null });
      showLevel(0);
    }
  }

  hear({ samples, loudness }) {
    // -60 dB is an empty bar, full scale a full one.
    showLevel(1 + Math.log10(Math.max(loudness, 0.001)) / 3);
    this.listening?.hear(samples);
  }

  async stop() {
    if (!this.listening) return;
    this.set("finishing", "Waiting for the last words…");
    await this.microphone.stop();
    showLevel(0);
    this.listening?.stop();
  }

  // The microphone is gone: what it heard is kept.
  lose() {
    this.reason = "The sound ended: the microphone was unplugged, or the tab is shared no longer.";
    this.stop();
  }

  session(rate) {
    const { model, language, turns, delay, noise, speakers } = chosen(this.form);
    const transcription = { model: speakers ? `${model}-diarize` : model, delay };
    if (language) transcription.language = language;
    return {
      type: "transcription",
      audio: {
        input: {
          format: { type: "audio/pcm", rate },
          transcription,
          noise_reduction: noise ? { type: noise } : null,
          turn_detection: TURNS[turns],
        },
      },
      include: INCLUDE,
    };
  }

  showState(state, message) {
    if (state === "connecting") this.set("listening", "Connecting…", { lamp: "waiting" });
    if (state === "listening") this.set("listening", "Listening.", { lamp: "on" });
    if (state === "finishing") this.set("finishing", "Waiting for the last words…", { lamp: "waiting" });
    if (state === "broken") this.set(this.state, `${message} Trying again; what you say is kept.`, { lamp: "broken", isBad: true });
  }

  set(state, text, { lamp = "", isBad = false } = {}) {
    this.state = state;
    byId("status").textContent = text;
    byId("status").classList.toggle("bad", isBad);
    byId("lamp").className = lamp;
    const label = { ready: this.captions.rows.length ? "Go on" : "Start", opening: "Starting…", listening: "Stop", finishing: "Don’t wait" };
    for (const button of [byId("listen"), byId("stage-listen")]) {
      button.textContent = label[state];
      // Not `disabled`: a button that is loses the keyboard's focus, and Stop would have to be looked for.
      button.setAttribute("aria-disabled", state === "opening");
      button.classList.toggle("on", state === "listening");
    }
    document.body.classList.toggle("is-listening", state !== "ready");
    this.showBehind();
  }

  showBehind() {
    const seconds = this.listening ? this.listening.behind : 0;
    const isWorthSaying = this.state === "finishing" || seconds >= WORTH_SAYING_SECONDS;
    const what = this.state === "finishing" ? "s of speech to come" : "s behind";
    byId("behind").textContent = this.listening && isWorthSaying ? `${Math.ceil(seconds)} ${what}` : "";
  }

  showTools() {
    document.body.classList.toggle("has-captions", this.captions.rows.length > 0);
    if (this.state === "ready") byId("listen").textContent = this.captions.rows.length ? "Go on" : "Start";
  }

  async take(kind) {
    if (!kind) return;
    await take(kind, this.captions.segments, `captions ${new Date().toISOString().slice(0, 16).replace("T", " ").replace(":", ".")}`);
    byId("take").open = false;
    byId("status").textContent = kind === "copy" ? "Copied." : "Saved.";
  }

  async askToClear() {
    const dialog = byId("clear-dialog");
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    if (dialog.returnValue === "clear") this.captions.clear();
  }

  async fillDevices() {
    const select = byId("device");
    const before = select.value;
    const [standard, tab] = ["", "tab"].map((value) => select.querySelector(`option[value="${value}"]`));
    const found = await listMicrophones();
    select.replaceChildren(standard, ...found.map(({ deviceId, label }) => element("option", { value: deviceId, textContent: label })), tab);
    select.value = [...select.options].some((option) => option.value === before) ? before : "";
  }

  summarize() {
    const shown = [...this.form.querySelectorAll("select")].slice(0, 2).map((select) => select.selectedOptions[0]?.textContent);
    byId("summary").textContent = shown.filter(Boolean).join(" · ");
  }
}

function showLevel(level) {
  byId("level").value = Math.max(0, Math.min(1, level));
}
