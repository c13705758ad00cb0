// Subtitles fit to publish: a transcript cut into cues that can be read in time, as SubRip or WebVTT.
// The rules are the server's, gateway/protocol/subtitles.py: the tests hold the two against each other.

import { PAUSE_MS, SENTENCE_END, piecesOf, round, seam, tidy } from "./pieces.js";
import { widthOf } from "./columns.js";

export const STYLE = {
  maxLineWidth: 42,
  maxLineCount: 2,
  maxCueSeconds: 7,
  minCueSeconds: 0.833,
  maxCharsPerSecond: 17,
  minGapSeconds: 0.083,
};

// Prices of a cue, in the unit of a break's.
const PER_CUE = 6;
const PER_BREAK = 3;
const PER_SECOND_OF_PAUSE = 25;
const PER_SECOND_SHORT = 8;
const WHEN_NEARLY_EMPTY = 10;
const MIXED = 15;

// One frame of 25 a second: of cues that begin within it only the last would be seen.
const FRAME_MS = 40;

// Cues never overlap; every word comes exactly once, in order. Times are whole milliseconds.
export function makeCues(segments, style = STYLE) {
  const groups = groupsOf(piecesOf(segments, style.maxLineWidth), style);
  const spans = spansOf(groups, style);
  return groups.map((group, index) => ({
    start: spans[index][0],
    end: spans[index][1],
    lines: linesOf(group, style),
    speaker: group[0].speaker,
  }));
}

export function toSrt(cues) {
  return cues
    .filter(textOf)
    .map((cue, index) => {
      // Players look for times in every line.
      const text = (label(cue.speaker) + textOf(cue)).replaceAll("-->", "→");
      return `${index + 1}\n${timestamp(cue.start, ",")} --> ${timestamp(cue.end, ",")}\n${text}\n\n`;
    })
    .join("");
}

export function toVtt(cues) {
  const blocks = cues.filter(textOf).map((cue) => {
    const name = tidy(cue.speaker ?? "");
    const voice = name ? `<v ${escape(name)}>` : "";
    return `${timestamp(cue.start, ".")} --> ${timestamp(cue.end, ".")}\n${voice}${escape(textOf(cue))}\n\n`;
  });
  return ["WEBVTT\n\n", ...blocks].join("");
}

// The cheapest partition into cues, by dynamic programming over the place of the last cut.
function groupsOf(pieces, style) {
  const breaks = [...pieces.slice(1).map((piece, index) => seam(pieces[index], piece)), 0];
  const cheapest = [0, ...pieces.map(() => Infinity)];
  const begins = cheapest.map(() => 0);
  for (let first = 0; first < pieces.length; first += 1) {
    for (const [stop, price] of prices(pieces, first, breaks, style)) {
      if (cheapest[first] + price < cheapest[stop]) {
        cheapest[stop] = cheapest[first] + price;
        begins[stop] = first;
      }
    }
  }
  const groups = [];
  for (let stop = pieces.length; stop; stop = begins[stop]) groups.push(pieces.slice(begins[stop], stop));
  return groups.reverse();
}

// Each cue that may begin with this piece: the index behind its last piece, and its price.
function* prices(pieces, first, breaks, style) {
  const head = pieces[first];
  const widths = lineWidths(head.speaker, style);
  const capacity = widths.reduce((sum, width) => sum + width, 0);
  const beginsInside = first > 0 && breaks[first - 1] !== SENTENCE_END;
  let [line, used, total, pauses, sentences] = [0, 0, 0, 0, 0];
  for (let index = first; index < pieces.length; index += 1) {
    const piece = pieces[index];
    let space = 0;
    if (index > first) {
      if (piece.speaker !== head.speaker || piece.end - head.start > style.maxCueSeconds * 1000) return;
      space = Number(piece.spaced);
      const pause = piece.start - pieces[index - 1].end;
      pauses += pause >= PAUSE_MS ? pause : 0;
      sentences += breaks[index - 1] === SENTENCE_END ? 1 : 0;
    }
    total += space + piece.width;
    used += space + piece.width;
    // Filling line by line needs the fewest lines, so what does not fit here fits in no way.
    if (index > first && used > widths[line]) {
      line += 1;
      used = piece.width;
      if (line === widths.length) return;
    }
    const room = index + 1 < pieces.length ? pieces[index + 1].start - head.start : Infinity;
    const endsInside = breaks[index] !== SENTENCE_END;
    yield [
      index + 1,
      PER_CUE +
        PER_BREAK * breaks[index] +
        (PER_SECOND_OF_PAUSE * pauses) / 1000 +
        (PER_SECOND_SHORT * Math.max(0, readingMs(total, style) - room)) / 1000 +
        WHEN_NEARLY_EMPTY * Math.max(0, 1 - total / capacity) ** 2 +
        MIXED * Number(sentences > 0 && (beginsInside || endsInside)),
    ];
  }
}

// Start and end of each cue: ends after they start, before the next one starts.
function spansOf(groups, style) {
  const needed = groups.map((group) => readingMs(widthOf(lineOf(group)), style));
  const starts = startsOf(groups.map((group) => group[0].start), needed);
  const gap = round(style.minGapSeconds * 1000);
  const shortest = round(style.minCueSeconds * 1000);
  const longest = round(style.maxCueSeconds * 1000);
  return starts.map((start, index) => {
    const spoken = Math.max(...groups[index].map((piece) => piece.end));
    let end = Math.min(Math.max(spoken, start + needed[index], start + 1), start + longest);
    if (index + 1 < starts.length) {
      const room = starts[index + 1] - start;
      end = Math.min(end, start + (room - gap >= Math.max(shortest, 1) ? room - gap : room));
    }
    return [start, end];
  });
}

// When the cues begin: with their words, but cues that begin at once share the time until the next one.
function startsOf(spoken, needed) {
  const starts = [];
  while (starts.length < spoken.length) {
    const first = starts.length;
    const later = spoken.findIndex((time, at) => at >= first && time - spoken[first] >= FRAME_MS);
    const stop = later < 0 ? spoken.length : later;
    const wanted = needed.slice(first, stop).reduce((sum, ms) => sum + ms, 0);
    const room = stop < spoken.length ? spoken[stop] - spoken[first] : Infinity;
    const share = stop - first > 1 && wanted ? Math.min(1, room / wanted) : 1;
    let before = 0;
    for (let at = first; at < stop; at += 1) {
      const earliest = starts.length ? starts.at(-1) + 1 : 0;
      starts.push(Math.max(earliest, spoken[at], round(spoken[first] + share * before)));
      before += needed[at];
    }
  }
  return starts;
}

// As few lines as will do, about equally long, broken where the sense breaks.
function linesOf(group, style) {
  const widths = lineWidths(group[0].speaker, style)[Symbol.iterator]();
  let stops = new Map([[0, { price: 0, cuts: [] }]]);
  while (!stops.has(group.length)) {
    const width = widths.next().value;
    const reached = new Map();
    for (const [first, { price, cuts }] of stops) {
      for (const [stop, linePrice] of linePrices(group, first, width)) {
        if (price + linePrice < (reached.get(stop)?.price ?? Infinity)) {
          reached.set(stop, { price: price + linePrice, cuts: [...cuts, stop] });
        }
      }
    }
    stops = reached;
  }
  const { cuts } = stops.get(group.length);
  return cuts.map((stop, index) => lineOf(group.slice(index ? cuts[index - 1] : 0, stop)));
}

function* linePrices(group, first, width) {
  let used = 0;
  for (let stop = first + 1; stop <= group.length; stop += 1) {
    const piece = group[stop - 1];
    used += piece.width + (stop - first > 1 ? Number(piece.spaced) : 0);
    if (used > width && stop - first > 1) return;
    yield [stop, (width - used) ** 2 / width + (stop < group.length ? seam(piece, group[stop]) : 0)];
  }
}

const lineOf = (pieces) => pieces.map((piece, index) => (index && piece.spaced ? " " : "") + piece.text).join("");

// Columns for text, line by line: the first shares its line with the name.
function lineWidths(speaker, { maxLineWidth, maxLineCount }) {
  const first = Math.max(maxLineWidth - widthOf(label(speaker)), Math.floor(maxLineWidth / 2));
  return [first, ...Array(maxLineCount - 1).fill(maxLineWidth)];
}

// How long a cue of so many columns should stay.
function readingMs(width, { maxCharsPerSecond, minCueSeconds, maxCueSeconds }) {
  return round(Math.min(Math.max(width / maxCharsPerSecond, minCueSeconds), maxCueSeconds) * 1000);
}

function label(speaker) {
  const name = tidy(speaker ?? "");
  return name ? `${name}: ` : "";
}

// The lines without blank ones, for a blank line ends a cue.
const textOf = (cue) => cue.lines.map(tidy).filter(Boolean).join("\n");

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

// Hours have two digits or more.
function timestamp(ms, point) {
  const two = (value) => String(value).padStart(2, "0");
  const [minutes, rest] = [Math.floor(ms / 60_000), ms % 60_000];
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(Math.floor(rest / 1000))}${point}${String(rest % 1000).padStart(3, "0")}`;
}
