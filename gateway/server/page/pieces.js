// A transcript's text as pieces between which a subtitle may break: when each was said, what breaks cost.
// The rules are the server's, gateway/protocol/pieces.py: the tests hold the two against each other.

import { columnsOf, startsCluster, widthOf } from "./columns.js";

export const PAUSE_MS = 500;
export const SENTENCE_END = 0;
const CLAUSE_END = 3;
const AT_PAUSE = 6;
const BEFORE_PHRASE = 8;
const ANYWHERE = 12;
const INSIDE_PHRASE = 30;

// Chinese, Japanese, Thai, Lao, Burmese, Khmer: written without spaces. Korean is wide but has spaces.
const UNSPACED =
  /^[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff9f\u{20000}-\u{3ffff}]/u;
// No-break spaces stay: French puts them before its punctuation.
const BLANKS = /(?:[\t-\r\x1c-\x20\x85\u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000]|[\x00-\x1f\x7f-\x9f\ufeff])+/g;
const LETTER = /[\p{L}\p{N}_]/u;
const CORE = /[\p{L}\p{N}_](?:.*[\p{L}\p{N}_])?/u;
const IS_LETTER_OR_DIGIT = /^[\p{L}\p{N}]$/u;

// Includes the small kana and the Thai vowels that are written behind their consonant.
const NEVER_FIRST = new Set("!?.,:;…%€°)]}»›”’、。，．！？：；）］｝」』】〉》ー～々〜っゃゅょァィゥェォッャュョぁぃぅぇぉะาำๅๆฯ");
const NEVER_LAST = new Set("([{«‹„“‘¿¡（［｛「『【〈《เแโใไ");
const OPENING = new Set([...NEVER_LAST, '"', "'"]);

const SENTENCE = /[.!?…。！？؟।]["'”’“»«)\]」』]*$/;
const CLAUSE = /[,;:、，；：،–—]["'”’“»«)\]」』]*$/;
// Titles, initials and German ordinals: "Dr. Who", "J. S. Bach", "am 3. Oktober".
const ABBREVIATION =
  /^[^\p{L}\p{N}_]*(?:mr|mrs|ms|dr|prof|st|jr|vs|bzw|ca|nr|hr|fr|sr|sra|srta|ud|uds|mme|\p{L}|\p{Nd}{1,2})\.$/iu;
// Articles, prepositions, conjunctions and pronouns lean on the word behind them.
const LEANING = new Set(
  (
    "a an the of to in on at by for from with into about than as and or but because that which who when " +
    "where while if so i you he she it we they my your his her its our their this these is are was were " +
    "der die das den dem des ein eine einen einem einer und oder aber weil dass wenn ob mit von vom für " +
    "auf aus bei nach zu zum zur im am um ich du er sie es wir ihr mein dein sein " +
    "el la los las un una unos unas del al y o pero porque que cuando donde con por para sin sobre de mi " +
    "tu su le les une du au aux et ou mais où dans sur avec pour par je il elle nous vous ils"
  ).split(" "),
);

// Characters that may stand between two words of an engine that leaves punctuation out of its words.
const SLACK = 16;

// The text on one line: white space and control characters become single spaces, none at the ends.
export const tidy = (text) => text.replace(BLANKS, " ").replace(/^[\s\ufeff]+|[\s\ufeff]+$/g, "");

// As Python rounds: halves go to the even neighbour.
export function round(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 ? floor + 1 : floor;
}

// All text of the segments, in their order; times that run backwards are moved forwards.
export function piecesOf(segments, maxWidth) {
  const pieces = [];
  let latest = 0;
  for (const segment of segments) {
    for (const piece of piecesOfSegment(segment, maxWidth)) {
      latest = Math.max(latest, piece.start);
      const timed = { ...piece, start: latest, end: Math.max(latest, piece.end) };
      const joined = pieces.length && belong(pieces.at(-1), timed) ? join(pieces.at(-1), timed) : timed;
      if (joined !== timed && joined.width <= maxWidth) pieces[pieces.length - 1] = joined;
      else pieces.push(timed);
    }
  }
  return pieces;
}

// What a break between two neighbours costs.
export function seam(left, right) {
  const initial = [...right.text].find((character) => !OPENING.has(character)) ?? "";
  const startsSmall = /^\p{Lowercase}$/u.test(initial);
  if (SENTENCE.test(left.text) && !ABBREVIATION.test(left.text.split(/\s+/).at(-1))) {
    if (!startsSmall) return SENTENCE_END;
    if (left.text.at(-1) !== ".") return CLAUSE_END;
  }
  if (CLAUSE.test(left.text)) return CLAUSE_END;
  if (right.start - left.end >= PAUSE_MS) return AT_PAUSE;
  if (LEANING.has(left.text.toLowerCase())) return INSIDE_PHRASE;
  return LEANING.has(right.text.toLowerCase()) ? BEFORE_PHRASE : ANYWHERE;
}

// When each character of a segment's text was spoken: known at its words, between them by characters.
export class Clock {
  constructor(segment, text) {
    const start = Math.max(0, round(segment.start * 1000));
    const end = Math.max(start, round(segment.end * 1000));
    this.text = text;
    this.positions = [];
    let times = [];
    let at = 0;
    for (const word of segment.words ?? []) {
      const core = coreOf(tidy(word.word));
      // What is found further off is another word.
      const found = core ? text.slice(0, at + core.length + SLACK).indexOf(core, at) : -1;
      if (found < 0) continue;
      at = found + core.length;
      this.positions.push(found, at);
      times.push(...[word.start, word.end].map((time) => Math.min(Math.max(round(time * 1000), start), end)));
    }
    this.wordStarts = new Set(this.positions.filter((_, index) => index % 2 === 0));
    if (!times.length) {
      const core = CORE.exec(text);
      this.positions = core ? [core.index, core.index + core[0].length] : [0, text.length];
      times = [start, end];
    }
    this.known = new Set(this.positions);
    // Words out of order: the order of the text is the truth, and so are the times as a set.
    this.times = times.sort((one, other) => one - other);
  }

  // Milliseconds at which the characters from `first` up to `last` begin and end. Punctuation has no time of its
  // own, nor has a space where times are shared by length.
  span(first, last) {
    const core = CORE.exec(this.text.slice(first, last));
    if (core) [first, last] = [first + core.index, first + core.index + core[0].length];
    if (!this.known.has(last)) {
      const following = LETTER.exec(this.text.slice(last));
      if (following) last += following.index;
    }
    return [this.time(first, true), this.time(last, false)];
  }

  // Where words meet, one position has two times: `begins` asks for that of the word behind it.
  time(position, begins) {
    const before = this.positions.findLastIndex((known) => known <= position);
    const after = this.positions.findIndex((known) => known >= position);
    if (after >= 0 && after <= before) return this.times[begins ? before : after];
    if (before < 0 || after < 0) return this.times[Math.max(before, 0)];
    // Characters share time, not the halves that JavaScript has of some.
    const length = (first, last) => [...this.text.slice(first, last)].length;
    const share = length(this.positions[before], position) / length(this.positions[before], this.positions[after]);
    return round(this.times[before] + share * (this.times[after] - this.times[before]));
  }
}

function* piecesOfSegment(segment, maxWidth) {
  const text = tidy(segment.text);
  const clock = new Clock(segment, text);
  for (const run of text.matchAll(/[^ ]+/g)) {
    let spaced = run.index > 0 || /^\s/.test(segment.text) || !UNSPACED.test(text);
    const stop = run.index + run[0].length;
    const cuts = [run.index, ...cutsOf(text, run.index, stop, clock.wordStarts), stop];
    for (let index = 0; index + 1 < cuts.length; index += 1) {
      for (const [first, last] of fitting(text, cuts[index], cuts[index + 1], maxWidth)) {
        const part = tidy(text.slice(first, last));
        if (!part) continue;
        const [start, end] = clock.span(first, last);
        yield { text: part, width: widthOf(part), start, end, spaced, speaker: segment.speaker || null };
        spaced = false;
      }
    }
  }
}

// Where unspaced writing may break: between its words where they are known, else between characters.
function* cutsOf(text, begin, stop, wordStarts) {
  const units = charactersOf(text, begin, stop);
  for (let index = 1; index < units.length; index += 1) {
    const [left, right] = [units[index - 1].text, units[index].text];
    if (!(UNSPACED.test(left) || UNSPACED.test(right)) || !startsCluster([left, right], 1)) continue;
    if (NEVER_LAST.has(left) || NEVER_FIRST.has(right)) continue;
    const bothLetters = IS_LETTER_OR_DIGIT.test(left) && IS_LETTER_OR_DIGIT.test(right);
    if (wordStarts.has(units[index].at) || !wordStarts.size || !bothLetters) yield units[index].at;
  }
}

// The span, cut only where it is wider than a line; never between a letter and its accents.
function* fitting(text, begin, stop, maxWidth) {
  const units = charactersOf(text, begin, stop);
  let width = 0;
  let from = begin;
  let cluster = 0;
  let first = 0;
  for (let index = 0; index < units.length; index += 1) {
    const before = index ? units[index - 1].text : (precedingOf(text, begin) ?? "");
    if (startsCluster(before ? [before, units[index].text] : [units[index].text], before ? 1 : 0)) cluster = index;
    width += columnsOf(units[index].text);
    if (width <= maxWidth) continue;
    const cut = cluster > first ? cluster : index; // the latter where a letter has accents for a whole line
    yield [from, units[cut].at];
    from = units[cut].at;
    first = cut;
    width = widthOf(text.slice(from, units[index].at + units[index].text.length));
  }
  yield [from, stop];
}

function charactersOf(text, begin, stop) {
  let at = begin;
  return [...text.slice(begin, stop)].map((character) => {
    const unit = { at, text: character };
    at += character.length;
    return unit;
  });
}

const precedingOf = (text, at) => [...text.slice(Math.max(0, at - 2), at)].at(-1);

// Punctuation that stands alone must not stand alone on a line: "Ça va ?", "« Oui »".
function belong(left, right) {
  const alone = [...left.text].every((one) => NEVER_LAST.has(one)) || [...right.text].every((one) => NEVER_FIRST.has(one));
  return alone && left.speaker === right.speaker;
}

function join(left, right) {
  const text = left.text + (right.spaced ? " " : "") + right.text;
  return { ...left, text, width: widthOf(text), end: Math.max(left.end, right.end) };
}

// The word without the punctuation around it.
const coreOf = (text) => CORE.exec(text)?.[0] ?? text;
