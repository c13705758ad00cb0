// Words on the page: firm or faint, marked where the model was unsure, with the speaker's name and colour.

import { element } from "./elements.js";
import { UNSURE, wordsOf } from "./words.js";

const COLOURS = 8;

// Speakers by name, in the order of their appearance; each has a colour.
export class Speakers {
  constructor() {
    this.names = [];
  }

  chip(name) {
    if (!name) return null;
    if (!this.names.includes(name)) this.names.push(name);
    const label = name.length === 1 ? `Speaker ${name}` : name;
    return element("span", { className: `speaker speaker-${this.names.indexOf(name) % COLOURS}`, textContent: label });
  }
}

// A segment's words as elements. `onWord(word)`: they can be clicked.
export function wordElements(segment, tokens, onWord = null) {
  return wordsOf(segment, tokens).flatMap((word, index) => [index ? " " : "", wordElement(word, onWord)]);
}

function wordElement(word, onWord) {
  const isUnsure = word.probability !== null && word.probability < UNSURE;
  const isTimed = onWord !== null && word.start !== null;
  if (!isUnsure && !isTimed) return document.createTextNode(word.text);
  const shown = element("span", { className: isUnsure ? "word unsure" : "word", textContent: word.text });
  if (isUnsure) shown.title = `Unsure: ${Math.round(word.probability * 100)} %`;
  if (isTimed) {
    shown.dataset.start = word.start;
    shown.dataset.end = word.end;
    shown.addEventListener("click", () => onWord(word));
  }
  return shown;
}

export function clock(seconds) {
  const two = (value) => String(Math.floor(value)).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}:${two(seconds % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}
