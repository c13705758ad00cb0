// What can be taken home: text, subtitles by the server's own rules, words and times.

import { element } from "./elements.js";
import { makeCues, toSrt, toVtt } from "./subtitles.js";

const KINDS = {
  txt: { type: "text/plain", make: toText },
  srt: { type: "application/x-subrip", make: (segments) => toSrt(makeCues(segments)) },
  vtt: { type: "text/vtt", make: (segments) => toVtt(makeCues(segments)) },
  json: { type: "application/json", make: toJson },
};

export function toText(segments) {
  return paragraphs(segments)
    .map((paragraph) => (paragraph.speaker ? `${paragraph.speaker}: ` : "") + paragraph.text)
    .join("\n")
    .concat("\n");
}

export function toJson(segments) {
  const text = segments.map((segment) => segment.text.trim()).join(" ");
  const shown = segments.map(({ start, end, text, speaker, words }) => ({ start, end, text: text.trim(), ...(speaker ? { speaker } : {}), words }));
  return JSON.stringify({ text, segments: shown }, (_, value) => (typeof value === "number" ? Number(value.toFixed(3)) : value), 2);
}

const PARAGRAPH_SECONDS = 1.5;

// Segments that belong together: one speaker, and no pause that one would hear as the end of a thought.
export function paragraphs(segments) {
  const found = [];
  for (const segment of segments) {
    const last = found.at(-1);
    const goesOn = last && last.speaker === (segment.speaker || "") && segment.start - last.end < PARAGRAPH_SECONDS;
    if (goesOn) {
      last.segments.push(segment);
      last.text = `${last.text} ${segment.text.trim()}`;
      last.end = segment.end;
    } else {
      found.push({ speaker: segment.speaker || "", start: segment.start, end: segment.end, text: segment.text.trim(), segments: [segment] });
    }
  }
  return found;
}

// Copies, or saves as `name` with the kind's extension.
export async function take(kind, segments, name) {
  if (kind === "copy") return navigator.clipboard.writeText(toText(segments));
  const { type, make } = KINDS[kind];
  const url = URL.createObjectURL(new Blob([make(segments)], { type: `${type};charset=utf-8` }));
  element("a", { href: url, download: `${name}.${kind}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
