// Reads lists of segments as JSON lines, writes the page's cues, SRT and WebVTT for each.
// Usage: node subtitles.mjs FOLDER_OF_THE_PAGE < segments
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const page = pathToFileURL(`${process.argv[2]}/`);
const { makeCues, toSrt, toVtt } = await import(new URL("subtitles.js", page));
const { widthOf } = await import(new URL("columns.js", page));

for await (const line of createInterface({ input: process.stdin })) {
  const { segments, text } = JSON.parse(line);
  const cues = makeCues(segments);
  console.log(JSON.stringify({ srt: toSrt(cues), vtt: toVtt(cues), width: widthOf(text) }));
}
