// A text as words, with what is known of each: when it was said, and how sure the model was.

import { Clock, tidy } from "./pieces.js";

// Below an even chance a word is marked: it is about one in twenty-five.
export const UNSURE = 0.5;

// `segment`: { text, start, end, words?: [{ word, start, end }] }; `tokens`: the log-probabilities of its text.
export function wordsOf(segment, tokens = []) {
  const text = tidy(segment.text);
  const isTimed = segment.words?.length > 0;
  const clock = isTimed ? new Clock(segment, text) : null;
  const sureness = characters(text, tokens);
  return [...text.matchAll(/[^ ]+/g)].map(({ 0: word, index }) => {
    const [start, end] = clock ? clock.span(index, index + word.length) : [null, null];
    return { text: word, start, end, probability: mean(sureness.slice(index, index + word.length)) };
  });
}

// The log-probability of each character's token, null where that is not known. White space is skipped on both sides,
// for a segment and the tokens that carried it may differ in that alone.
function characters(text, tokens) {
  const said = [];
  const decoder = new TextDecoder();
  for (const { logprob, bytes } of tokens) {
    // A character split over tokens belongs to the one that completes it.
    for (const unit of decoder.decode(new Uint8Array(bytes), { stream: true }).replace(/\s/g, "")) {
      for (let at = 0; at < unit.length; at += 1) said.push({ unit: unit[at], logprob });
    }
  }
  let next = 0;
  return text.split("").map((unit) => {
    if (unit === " ") return null;
    return said[next]?.unit === unit ? said[next++].logprob : null;
  });
}

function mean(logprobs) {
  const known = logprobs.filter((logprob) => logprob !== null);
  if (!known.length) return null;
  return Math.exp(known.reduce((sum, logprob) => sum + logprob, 0) / known.length);
}
