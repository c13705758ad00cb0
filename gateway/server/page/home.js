// The page: which view is shown, what the server says of itself, and the views put together.

import { startApi } from "./api.js";
import { Captions } from "./captions.js";
import { byId } from "./elements.js";
import { startFile } from "./file.js";
import { fillLanguages, fillModels } from "./options.js";
import { listModels, readHealth } from "./server.js";
import { startSharing } from "./share.js";
import { Speak } from "./speak.js";
import { Stage } from "./stage.js";
import { watch } from "./watching.js";

const VIEWS = ["speak", "file", "api"];
const AGAIN_MS = 3_000;

function show() {
  const isStage = new URLSearchParams(location.search).get("view") === "captions";
  const named = location.hash.slice(1);
  const view = isStage ? "audience" : VIEWS.includes(named) ? named : "speak";
  for (const name of [...VIEWS, "audience"]) byId(name).hidden = name !== view;
  document.body.dataset.view = view;
  document.documentElement.classList.toggle("stage", isStage);
  for (const link of document.querySelectorAll("header nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// Until the server has a model that works, how far it is stands in the header.
async function look() {
  try {
    const { status, models } = await readHealth();
    const [name, model] = Object.entries(models)[0];
    say(status === "ok" ? "ready" : "waiting", status === "ok" ? shortened(name) : (model.detail ?? `Loading ${shortened(name)}…`));
    fillModels(await listModels({ quietly: true }).catch((error) => fallback(error, models)));
    if (status !== "ok") setTimeout(look, AGAIN_MS);
  } catch {
    say("broken", "The server cannot be reached");
    setTimeout(look, AGAIN_MS);
  }
}

// Without a key the models' own names are in the health report all the same.
function fallback(error, models) {
  if (error.status !== 401) throw error;
  return Object.keys(models);
}

function say(state, text) {
  byId("server").className = `server ${state}`;
  byId("server-text").textContent = text;
}

const shortened = (name) => name.split("/").at(-1);

function toStage() {
  history.pushState(null, "", `${location.pathname}?view=captions`);
  show();
}

function fromStage() {
  history.pushState(null, "", `${location.pathname}#speak`);
  show();
}

function start() {
  fillLanguages();
  // On a phone what matters is the button, and the recordings.
  if (innerWidth < 700) document.querySelectorAll(".settings").forEach((settings) => (settings.open = false));
  const stage = new Stage();
  const token = new URLSearchParams(location.search).get("watch");
  addEventListener("hashchange", show);
  addEventListener("popstate", show);
  show();
  if (token) {
    document.documentElement.classList.add("watching");
    return watch(token, stage);
  }
  const captions = new Captions();
  const speak = new Speak(captions);
  captions.watch((row, change) => stage.show(row, change));
  byId("stage-listen").addEventListener("click", () => speak.press());
  byId("stage-leave").addEventListener("click", (event) => {
    event.preventDefault();
    fromStage();
  });
  startSharing(toStage);
  startFile();
  startApi();
  return look();
}

start();
