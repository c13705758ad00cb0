// How wide text is, in columns: East Asian wide characters take two, combining and invisible ones none (UAX #11).
// Browsers know general categories, but not widths: these are the ranges of W and F, first and last, in base 36.

const RANGES =
  "3cw-3fj 6xm-6xn 6y1-6y2 73d-73g 73k 73n 7i5-7i6 7is-7it 7k8-7kj 7lr 7mb 7mp 7my-7mz 7nh-7ni 7no-7np 7ny 7o4 " +
  "7oq 7oy-7oz 7p1 7p6 7p9 7ph 7pm-7pn 7qg 7rg 7ri 7rn-7rp 7rr 7th-7tj 7u8 7un 8ij-8ik 8k0 8k5 96o-9j2 9j5-9xj " +
  "9xs-fcv feo-wjq xgg-xh8 xz4-16lf 1d6o-1djt 1e6o-1e97 1edd-1eg0 1ejk-1ejq 20o0-2dx7 2pz8 2q4v 2qa6 2qa9-2qai " +
  "2qdc-2qlc 2qlp-2qlx 2qlz-2qnw 2qny-2qoj 2qow-2qq2 2qq7-2qqb 2qqo-2qr4 2qr8 2qrc-2qta 2qtc 2qte-2qyk 2qyn-2r0d " +
  "2r0r-2r0u 2r0w-2r1j 2r22 2r2t-2r2u 2r38 2r5n-2r7z 2r9c-2rb9 2rbg 2rbk-2rbm 2rbp-2rbz 2rcb-2rcc 2rck-2rcs " +
  "2rj4-2rjk 2rrg-2rsq 2rss-2rt1 2rt3-2ry7 2s1c-2s52 2t4w-4bii";

const WIDE = RANGES
  .split(" ")
  .map((range) => range.split("-").map((end) => parseInt(end, 36)))
  .map(([first, last]) => [first, last ?? first]);

const NONE = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const JOINS = /^[\p{Mn}\p{Mc}\p{Me}\p{Cf}]$/u;

export function widthOf(text) {
  let width = 0;
  for (const character of text) width += columnsOf(character);
  return width;
}

export function columnsOf(character) {
  const code = character.codePointAt(0);
  if (code < 0x300 && code !== 0xad) return 1;
  if (NONE.test(character)) return 0;
  return isWide(code) ? 2 : 1;
}

// Whether a cut before this character tears nothing apart: accents, joined emoji, skin tones.
export function startsCluster(characters, at) {
  const character = characters[at];
  const code = character.codePointAt(0);
  const isToned = code >= 0x1f3fb && code <= 0x1f3ff;
  return !JOINS.test(character) && !isToned && (at === 0 || characters[at - 1] !== "\u200d");
}

function isWide(code) {
  let [low, high] = [0, WIDE.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (WIDE[middle][1] < code) low = middle + 1;
    else high = middle;
  }
  return low < WIDE.length && WIDE[low][0] <= code;
}
