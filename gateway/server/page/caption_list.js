// The captions of the Speak view: faint while they are heard, firm when they are settled.

import { byId, element } from "./elements.js";
import { Speakers, clock, wordElements } from "./transcript.js";

export class CaptionList {
  constructor(captions) {
    this.list = byId("captions");
    this.items = new Map();
    this.speakers = new Speakers();
    // Who scrolled up to read is left in peace.
    this.isFollowing = true;
    captions.watch((row, change) => this.show(row, change));
    addEventListener("scroll", () => this.look(), { passive: true });
    byId("follow").addEventListener("click", () => this.follow());
  }

  show(row, change) {
    if (change === "removed") this.items.get(row.id)?.remove();
    if (change === "removed") this.items.delete(row.id);
    else this.render(row, this.item(row));
    if (change === "settled") this.announce(row);
    if (this.isFollowing) this.follow();
  }

  item(row) {
    if (!this.items.has(row.id)) {
      const item = element("li", {}, element("time"), element("p"));
      this.items.set(row.id, item);
      this.list.append(item);
    }
    return this.items.get(row.id);
  }

  render(row, item) {
    item.className = row.state;
    const [time, text] = item.children;
    time.textContent = clock(row.start);
    if (row.state === "failed") text.textContent = `Not understood: ${row.text}`;
    else if (row.state === "heard") text.textContent = row.text.trim();
    else text.replaceChildren(...this.settled(row));
  }

  settled(row) {
    if (!row.segments.length) return wordElements({ text: row.text, words: row.words, start: row.start, end: row.end }, row.tokens);
    return row.segments.flatMap((segment, index) => [
      index ? element("br") : "",
      this.speakers.chip(segment.speaker),
      " ",
      segment.text,
    ]).filter((part) => part !== null);
  }

  // Screen readers hear what is settled, once, and not every word of its growing.
  announce(row) {
    const log = byId("settled-log");
    log.append(element("p", { textContent: row.text }));
    while (log.children.length > 20) log.firstChild.remove();
  }

  look() {
    const rest = document.documentElement.scrollHeight - innerHeight - scrollY;
    this.isFollowing = rest < 80;
    byId("follow").hidden = this.isFollowing || !this.items.size;
  }

  follow() {
    this.isFollowing = true;
    byId("follow").hidden = true;
    scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  }
}
