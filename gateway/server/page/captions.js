// All captions so far, as the events of live sessions make them. Times are seconds of what was recorded since the
// page was opened; whoever shows captions is told what changed.

const TRANSCRIPTION = "conversation.item.input_audio_transcription";

export class Captions {
  constructor() {
    this.rows = [];
    this.watchers = new Set();
    // Seconds recorded so far: each start goes on where the last one stopped.
    this.clock = 0;
  }

  // `watcher(row, change)`: "added", "changed", "settled", "removed".
  watch(watcher) {
    this.watchers.add(watcher);
  }

  // `offset`: where the event's session begins on this clock.
  take(event, offset) {
    switch (event.type) {
      case "input_audio_buffer.speech_started":
        this.dropInterrupted();
        this.row(event.item_id).start = offset + event.audio_start_ms / 1000;
        break;
      case "input_audio_buffer.speech_stopped":
        this.row(event.item_id).end = offset + event.audio_end_ms / 1000;
        break;
      case "input_audio_buffer.committed":
        this.row(event.item_id).isCommitted = true;
        break;
      case `${TRANSCRIPTION}.delta`:
        this.grow(this.row(event.item_id), event);
        break;
      case `${TRANSCRIPTION}.segment`:
        this.row(event.item_id).segments.push({
          start: event.start + offset,
          end: event.end + offset,
          text: event.text,
          speaker: event.speaker,
        });
        break;
      case `${TRANSCRIPTION}.completed`:
        // Mostly it begins with what the deltas said; where it does not, it is right and they were not.
        this.complete(this.row(event.item_id), event, offset);
        break;
      case `${TRANSCRIPTION}.failed`:
        if (event.interrupted) break; // it is heard once more
        Object.assign(this.row(event.item_id), { text: event.error.message, state: "failed" });
        this.settle(this.row(event.item_id));
        break;
    }
  }

  row(id) {
    const known = this.rows.find((row) => row.id === id);
    if (known) {
      known.isInterrupted = false;
      return known;
    }
    this.dropInterrupted();
    const row = { id, state: "heard", text: "", tokens: [], segments: [], words: [], start: this.clock, end: null, toldAt: null };
    this.rows.push(row);
    this.tell(row, "added");
    return row;
  }

  grow(row, { delta, logprobs }) {
    row.text += delta;
    row.tokens.push(...(logprobs ?? []));
    row.toldAt = this.clock;
    this.tell(row, "changed");
  }

  complete(row, { transcript, logprobs, words, interrupted }, offset) {
    row.text = transcript;
    // A server that ends settles what it has heard, be it half a word: that is heard once more, as a whole.
    if (interrupted) {
      row.isInterrupted = true;
      return this.tell(row, "changed");
    }
    row.tokens = logprobs ?? [];
    row.words = (words ?? []).map(({ word, start, end }) => ({ word, start: start + offset, end: end + offset }));
    row.end ??= row.words.at(-1)?.end ?? this.clock;
    row.state = "settled";
    this.settle(row);
  }

  settle(row) {
    if (row.text.trim()) this.tell(row, "settled");
    else this.remove(row);
  }

  remove(row) {
    this.rows.splice(this.rows.indexOf(row), 1);
    this.tell(row, "removed");
  }

  get open() {
    return this.rows.filter((row) => row.state === "heard" && !row.isInterrupted);
  }

  // Up to where everything has its text.
  get settledUntil() {
    return this.settledEnds[0] ?? 0;
  }

  // The same without the last caption, which may have to be heard once more.
  get surelySettledUntil() {
    return this.settledEnds[1] ?? 0;
  }

  get settledEnds() {
    const settled = this.rows.filter((row) => row.state !== "heard");
    return settled.map((row) => row.end ?? 0).sort((one, other) => other - one);
  }

  // The session is gone: what it had not settled is heard once more by the next one.
  interrupt() {
    this.open.forEach((row) => (row.isInterrupted = true));
  }

  dropInterrupted() {
    this.rows.filter((row) => row.isInterrupted).forEach((row) => this.remove(row));
  }

  // Nothing more comes. `isWhole`: all was heard; else what was not settled stays as it is.
  finish({ isWhole }) {
    if (isWhole) this.dropInterrupted();
    for (const row of this.rows.filter((row) => row.state === "heard")) {
      Object.assign(row, { state: "settled", isInterrupted: false, end: row.end ?? this.clock });
      this.settle(row);
    }
  }

  clear() {
    this.rows.splice(0).forEach((row) => this.tell(row, "removed"));
  }

  tell(row, change) {
    this.watchers.forEach((watcher) => watcher(row, change));
  }

  // As recordings have them, for files to take away.
  get segments() {
    return this.rows
      .filter((row) => row.state === "settled")
      .flatMap((row) => {
        const whole = { start: row.words[0]?.start ?? row.start, end: row.words.at(-1)?.end ?? row.end, text: row.text };
        const parts = row.segments.length ? row.segments : [whole];
        return parts.map((part, index) => ({
          ...part,
          words: row.words.filter((word) => index === partOf(word, parts)),
        }));
      });
  }
}

// A word belongs to the last part that has begun when it does.
function partOf(word, parts) {
  const after = parts.findIndex((part) => part.start > word.start + 0.001);
  return after < 0 ? parts.length - 1 : Math.max(0, after - 1);
}
