// One live session: an ephemeral key, a WebSocket, the tape's samples, and the events that come back.

import { Refusal, base, request } from "./server.js";
import { Ticket } from "./ticket.js";

const END = "end";
const EMPTY = "input_audio_buffer_commit_empty";
const EXPIRED = "session_expired";
// Not one of those with which clients say that they will not come back.
const BACK_SOON = 4000;

const TICK_MS = 100;
// Beyond it the network is slower than the tape; a browser would take it all, and tell nobody.
const MOST_UNSENT_BYTES = 256 * 1024;
// Nothing left the browser for so long, though there was something to send: nobody is at the other end.
const STALLED_MS = 8_000;

const WORDS_OF_CODES = { 1001: "The server is going away.", 1006: "The connection broke.", 1012: "The server is restarting." };

export class Connection {
  // `ticket`: of a session to be taken up again. `from`: the tape's sample that a new one begins with.
  // `onEvent(event)` gets what the server says, `onOpen(isNew)` hears that it listens. `isQuiet()`: nobody is in
  // mid-sentence, `isSettled()`: nothing waits for its text.
  constructor({ tape, ticket, from, session, publish, onOpen, onEvent, isQuiet, isSettled }) {
    Object.assign(this, { tape, ticket, session, publish, onOpen, onEvent, isQuiet, isSettled });
    this.isReturning = Boolean(ticket?.token);
    this.from = this.isReturning ? ticket.from : (tape.after(from)?.at ?? tape.end);
    this.next = this.from;
    this.isOpen = false;
    this.isStopping = false;
    this.isHeard = false;
    this.problem = null;
  }

  // Resolves with why it ended: "done", "planned", "broken", "refused", or "gone": the session cannot be taken up.
  async run() {
    try {
      // Asked for by those who come back, too: only a server that answers can say that a session is gone.
      const secret = await createSecret(this.session);
      if (!this.isReturning) this.ticket = new Ticket(secret, performance.now(), this.from);
      return await this.talk();
    } catch (error) {
      if (error instanceof Refusal && error.passes) return { kind: "broken", message: error.message, after: error.retryAfter };
      return { kind: "refused", error };
    }
  }

  talk() {
    const url = new URL("v1/realtime?intent=transcription", base);
    if (this.publish) url.searchParams.set("publish", this.publish);
    Object.entries(this.ticket.params).forEach(([name, value]) => url.searchParams.set(name, value));
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url, ["realtime", `openai-insecure-api-key.${this.ticket.key}`]);
    const { promise, resolve } = withResolvers();
    this.end = resolve;
    const offline = () => this.end({ kind: "broken", message: "This device is offline." });
    addEventListener("offline", offline);
    const ticking = setInterval(() => this.tick(), TICK_MS);
    this.socket.addEventListener("message", ({ data }) => this.take(JSON.parse(data)));
    this.socket.addEventListener("close", (event) => this.end(this.reasonOf(event)));
    const closed = ({ kind }) => {
      clearInterval(ticking);
      removeEventListener("offline", offline);
      this.isOpen = false;
      // The server keeps the sessions of those who drop for a while; those who do not come back say so.
      this.socket.close(kind === "broken" ? BACK_SOON : 1000);
    };
    return promise.then((end) => (closed(end), end));
  }

  take(event) {
    this.ticket.note(event);
    if (event.type === "session.created") this.begin(event);
    if (event.type === "error") this.hearOf(event.error);
    this.onEvent(event);
    this.closeIfDone();
  }

  begin({ session: { expires_at }, resume }) {
    if (this.isReturning) {
      this.next = this.ticket.heard(resume, this.tape.rate);
      // What it would have to hear again is not there any more: a new session hears what is.
      if (this.next < this.tape.begin) return this.end({ kind: "gone" });
    }
    this.isOpen = true;
    this.drainedAt = performance.now();
    if (expires_at) {
      const lifetime = this.ticket.lifetime(expires_at);
      this.mayLeaveAt = this.ticket.askedAt + lifetime - Math.min(300_000, lifetime * 0.2);
      this.mustLeaveAt = this.ticket.askedAt + lifetime - Math.min(5_000, lifetime * 0.1);
    }
    this.onOpen(resume?.state !== "kept");
    this.tick();
  }

  hearOf(error) {
    // There was nothing left to commit: everything before it was worked on.
    if (error.event_id === END) this.isHeard = true;
    else if (error.code !== EMPTY) this.problem = error;
  }

  // All is sent, and the last words are asked for.
  stop() {
    this.isStopping = true;
    this.tick();
  }

  tick() {
    if (!this.isOpen) return;
    this.pump();
    if (this.socket.bufferedAmount === 0) this.drainedAt = performance.now();
    if (performance.now() - this.drainedAt > STALLED_MS) this.end({ kind: "broken", message: "The network takes nothing any more." });
    this.leaveInTime();
  }

  pump() {
    while (this.next < this.tape.end && this.socket.bufferedAmount < MOST_UNSENT_BYTES) {
      const block = this.tape.after(this.next);
      // What was taken up again begins within a block.
      const samples = block.samples.subarray(Math.max(0, this.next - block.at));
      this.send({ type: "input_audio_buffer.append", audio: base64(samples) });
      this.next = block.at + block.samples.length;
    }
    if (!this.isStopping || this.isCommitted || this.next < this.tape.end) return;
    this.isCommitted = true;
    this.send({ type: "input_audio_buffer.commit" });
    this.send({ type: "input_audio_buffer.commit", event_id: END });
  }

  // Before the server ends a session that is as long as it may be, another one takes over, best in a pause.
  leaveInTime() {
    const now = performance.now();
    if (this.isStopping || !this.mayLeaveAt || now < this.mayLeaveAt) return;
    if (this.isQuiet() || now > this.mustLeaveAt) this.end({ kind: "planned" });
  }

  closeIfDone() {
    if (this.isHeard && this.isSettled()) this.end({ kind: "done" });
  }

  send(event) {
    this.socket.send(JSON.stringify(event));
  }

  reasonOf({ code, reason }) {
    if (this.problem?.code === EXPIRED) return { kind: "planned" };
    if (this.isReturning && !this.isOpen) return { kind: "gone" };
    if (code === 1008) return { kind: "refused", error: new Refusal(this.problem?.message ?? (reason || "The server refused the session.")) };
    return { kind: "broken", message: WORDS_OF_CODES[code] ?? (reason || this.problem?.message || `The connection ended (${code}).`) };
  }
}

// Here the visitor is the one who has the key. A site with visitors of its own does this on its server, and
// gives the page nothing but the ephemeral key.
async function createSecret(session) {
  const response = await request("v1/realtime/client_secrets", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: Ticket.order(session),
  });
  return response.json();
}

function withResolvers() {
  let resolve;
  const promise = new Promise((settle) => (resolve = settle));
  return { promise, resolve };
}

// The wire is little-endian, as is every machine with a browser.
function base64(samples) {
  return btoa(String.fromCharCode(...new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)));
}
