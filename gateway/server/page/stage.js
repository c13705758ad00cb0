// Captions for an audience: few lines, large, on a colour or on nothing. What they look like stands in the URL.

import { byId, element } from "./elements.js";

const DEFAULTS = { size: "7", lines: "4", position: "bottom", color: "#ffffff", background: "#000000", align: "left" };
const CHOICES = { position: ["bottom", "middle", "top"], align: ["left", "center", "right", "start", "end", "justify"] };
// The controls come when somebody moves, and go when nobody does.
const IDLE_MS = 2_500;

export class Stage {
  constructor() {
    this.form = byId("stage-form");
    this.rows = new Map();
    const query = new URLSearchParams(location.search);
    this.look = Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, query.get(name) ?? value]));
    for (const [name, value] of Object.entries(this.look)) {
      if (this.form.elements[name]) this.form.elements[name].value = value;
    }
    this.form.addEventListener("input", (event) => this.change(event.target));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    for (const name of ["pointermove", "keydown", "focusin"]) addEventListener(name, () => this.wake());
    byId("stage-full").addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()));
    byId("stage-link").addEventListener("click", () => this.copyLink());
    this.apply();
  }

  change(field) {
    this.look[field.name] = field.value;
    const url = new URL(location.href);
    for (const [name, value] of Object.entries(this.look)) {
      if (value === DEFAULTS[name]) url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    history.replaceState(null, "", url);
    this.apply();
  }

  apply() {
    const { size, lines } = this.look;
    const [color, background] = ["color", "background"].map((name) => this.known(name, CSS.supports("color", this.look[name])));
    const [position, align] = ["position", "align"].map((name) => this.known(name, CHOICES[name].includes(this.look[name])));
    const root = byId("audience").style;
    root.setProperty("--size", `${number(size, 7, 1, 30)}vmin`);
    root.setProperty("--lines", number(lines, 4, 1, 20));
    root.setProperty("--color", color);
    root.setProperty("--background", background);
    root.setProperty("--align", align);
    byId("stage").dataset.position = position;
    document.documentElement.classList.toggle("see-through", background === "transparent");
    document.documentElement.style.setProperty("--stage", background);
  }

  // What the URL says, or the default where that means nothing: captions stay legible.
  known(name, isKnown) {
    return isKnown ? this.look[name] : DEFAULTS[name];
  }

  // `row`: { id, text, state, segments? }; the newest are kept at the end.
  show(row, change) {
    if (change === "removed" || !row.text.trim()) {
      this.rows.get(row.id)?.remove();
      this.rows.delete(row.id);
      return;
    }
    if (!this.rows.has(row.id)) {
      this.rows.set(row.id, element("p"));
      byId("lines").append(this.rows.get(row.id));
    }
    const line = this.rows.get(row.id);
    line.className = row.state;
    line.textContent = spoken(row);
    this.trim();
  }

  clear() {
    this.rows.forEach((line) => line.remove());
    this.rows.clear();
  }

  trim() {
    while (this.rows.size > 12) {
      const [[id, line]] = this.rows;
      line.remove();
      this.rows.delete(id);
    }
  }

  note(text) {
    byId("stage-note").textContent = text;
  }

  async copyLink() {
    await navigator.clipboard.writeText(location.href);
    byId("stage-link").textContent = "Copied";
  }

  wake() {
    const root = document.documentElement.classList;
    root.add("awake");
    clearTimeout(this.idle);
    this.idle = setTimeout(() => !this.form.contains(document.activeElement) && root.remove("awake"), IDLE_MS);
  }
}

function spoken({ text, segments = [], speaker }) {
  const names = segments.length ? segments : [{ speaker, text }];
  return names.map((part) => (part.speaker ? `${part.speaker}: ${part.text}` : part.text).trim()).join("  ");
}

function number(text, fallback, least, most) {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : fallback;
}
