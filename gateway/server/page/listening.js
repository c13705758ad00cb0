// From Start to the last word: sessions one after the other, as often as the network or the server ends one.
// Nothing that was recorded is lost: a session whose connection broke is taken up again, and what no session has
// settled is sent to the next.

import { Connection } from "./connection.js";
import { Tape } from "./tape.js";

const PATIENCE_SECONDS = [0.3, 1, 2, 4, 8];
// Speech is told of within a second or two of its beginning; with nothing told for so long nothing was said.
const SURELY_SILENT_SECONDS = 30;
// `speech_started` has so much before the speech itself.
const PREFIX_SECONDS = 0.3;

export class Listening {
  // `onState(state, message)`: "connecting", "listening", "broken", "finishing".
  constructor({ rate, session, publish, captions, onState }) {
    Object.assign(this, { session, publish, captions, onState });
    this.tape = new Tape(rate);
    this.offset = captions.clock;
    this.silentSince = 0;
    this.lag = 0;
    this.isStopping = false;
    this.isAbandoned = false;
    // Resolves with the last word.
    this.done = this.run();
  }

  hear(samples) {
    this.tape.append(samples);
    this.captions.clock = this.offset + this.tape.seconds;
    this.connection?.tick();
    this.forget();
  }

  // What was said last still gets its text.
  stop() {
    this.isStopping = true;
    this.say("finishing");
    this.connection?.stop();
  }

  // What has no text by now gets none.
  abandon() {
    this.isAbandoned = true;
    this.connection?.end?.({ kind: "done" });
    this.retry();
  }

  // Stops waiting for the next try.
  retry() {
    this.wake?.();
  }

  async run() {
    this.say("connecting");
    try {
      for (let failures = 0; ; ) {
        const end = await this.connect();
        if (this.isAbandoned || end.kind === "done") break;
        if (end.kind === "refused") throw end.error;
        failures = this.connection.wasOpen ? 0 : failures + 1;
        this.ticket = end.kind === "broken" ? this.connection.ticket : null;
        if (!this.ticket?.token) this.captions.interrupt();
        if (end.kind === "broken") await this.pause(end, failures);
        if (this.isAbandoned) break;
      }
    } catch (error) {
      this.captions.finish({ isWhole: false });
      throw error;
    }
    this.captions.finish({ isWhole: !this.isAbandoned });
  }

  connect() {
    const connection = new Connection({
      tape: this.tape,
      ticket: this.ticket,
      from: this.settledSample,
      session: this.session,
      publish: this.publish,
      onOpen: (isNew) => {
        connection.wasOpen = true;
        // Another process has the session: what was not settled is told once more.
        if (isNew) this.captions.interrupt();
        this.lag = 0;
        this.say(this.isStopping ? "finishing" : "listening");
      },
      onEvent: (event) => this.take(event),
      isQuiet: () => this.captions.open.length === 0,
      isSettled: () => !this.captions.open.some((row) => row.isCommitted),
    });
    this.connection = connection;
    connection.isStopping = this.isStopping;
    this.connectionOffset = this.offset + connection.from / this.tape.rate;
    this.silentSince = this.captions.clock;
    return connection.run();
  }

  take(event) {
    this.captions.take(event, this.connectionOffset);
    const told = event.audio_start_ms === undefined ? event.audio_end_ms : event.audio_start_ms + PREFIX_SECONDS * 1000;
    if (told !== undefined) this.lag = this.captions.clock - this.connectionOffset - told / 1000;
    if (event.item_id) this.silentSince = this.captions.clock;
  }

  async pause({ message, after }, failures) {
    const seconds = after || PATIENCE_SECONDS[Math.min(failures, PATIENCE_SECONDS.length - 1)];
    this.say("broken", message);
    const waking = new Promise((resolve) => (this.wake = resolve));
    const timer = setTimeout(this.wake, seconds * 1000);
    addEventListener("online", this.wake);
    await waking;
    clearTimeout(timer);
    removeEventListener("online", this.wake);
  }

  // The first sample that the next session would begin with.
  get settledSample() {
    return this.sampleAt(this.captions.settledUntil);
  }

  sampleAt(time) {
    return Math.max(0, Math.floor((time - this.offset) * this.tape.rate), this.silentSample ?? 0);
  }

  forget() {
    if (this.connection?.isOpen && !this.captions.open.length) {
      const sent = this.connection.next / this.tape.rate;
      const quiet = this.captions.clock - Math.max(this.silentSince, this.offset);
      if (quiet > SURELY_SILENT_SECONDS && this.lag < SURELY_SILENT_SECONDS / 2) {
        this.silentSample = Math.floor((sent - SURELY_SILENT_SECONDS) * this.tape.rate);
      }
    }
    this.tape.forget(this.sampleAt(this.captions.surelySettledUntil));
  }

  // Seconds between what was said last and what has its text.
  get behind() {
    const now = this.captions.clock;
    if (!this.connection?.isOpen) return now - Math.max(this.captions.settledUntil, this.offset);
    const unsent = (this.tape.end - this.connection.next) / this.tape.rate;
    const waits = this.captions.open.map((row) => now - (row.toldAt ?? Math.min(row.start + PREFIX_SECONDS, now)));
    return Math.max(0, unsent, ...waits);
  }

  say(state, message = "") {
    this.onState(state, message);
  }
}
