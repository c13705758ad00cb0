// The view for recordings: what is dropped or chosen is transcribed, two at a time.

import { byId } from "./elements.js";
import { chosen, remember } from "./options.js";
import { Recording } from "./recording.js";

const AT_ONCE = 2;

export function startFile() {
  const waiting = [];
  let running = 0;

  function add(files) {
    for (const file of files) {
      const recording = new Recording(file, chosen(byId("file-form")));
      byId("recordings").prepend(recording.card);
      waiting.push(recording);
    }
    document.querySelector("#file .settings").open = false;
    next();
  }

  async function next() {
    if (running >= AT_ONCE || !waiting.length) return;
    running += 1;
    const recording = waiting.shift();
    next();
    if (!recording.isStopped) await recording.run();
    running -= 1;
    next();
  }

  addEventListener("beforeunload", (event) => running && event.preventDefault());
  const input = byId("files");
  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";
  });
  for (const name of ["dragover", "dragleave", "drop"]) {
    addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      byId("drop").classList.toggle("over", name === "dragover");
      if (name !== "drop") return;
      location.hash = "#file";
      filesOf(event.dataTransfer).then(add);
    });
  }
  byId("file-form").addEventListener("submit", (event) => event.preventDefault());
  remember(byId("file-form"));
}

// Of what was dropped; of folders all that is in them. To be called in the event itself: later there is nothing.
async function filesOf({ files, items }) {
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...files];
  return (await Promise.all(entries.map(filesIn))).flat();
}

async function filesIn(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  // A hundred at most come at once.
  for (let some; (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length; ) found.push(...some);
  return (await Promise.all(found.map(filesIn))).flat();
}
