// What takes a live session up again when its connection has dropped: the key that opened it, the token it gave, and
// the last event that came.

const SECRET_SECONDS = 600;

export class Ticket {
  // `from`: the tape's sample that the session begins with.
  constructor(secret, askedAt, from) {
    Object.assign(this, { key: secret.value, serverNow: secret.expires_at - SECRET_SECONDS, askedAt, from });
    this.heardFrom = from;
    this.token = null;
    this.after = null;
  }

  static order(session) {
    return JSON.stringify({ session, expires_after: { anchor: "created_at", seconds: SECRET_SECONDS } });
  }

  // Every event is a place to go on from.
  note(event) {
    if (event.type === "session.created") this.token = event.resume?.token ?? null;
    this.after = event.event_id;
  }

  // For the URL: nothing for a session that has not begun.
  get params() {
    return this.token ? { resume: this.token, after: this.after } : {};
  }

  // The first sample that the server has not heard. Another process counts anew, from where all was settled.
  heard({ state, audio_ms, audio_bytes }, rate) {
    if (state !== "kept") this.heardFrom = this.from + Math.round((audio_ms * rate) / 1000);
    return this.heardFrom + audio_bytes / 2;
  }

  // When the server ends the session, on the page's own clock.
  lifetime(expiresAt) {
    return (expiresAt - this.serverNow) * 1000;
  }
}
