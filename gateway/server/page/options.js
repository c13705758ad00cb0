// What can be chosen in a form: models and languages as the server has them, and what was chosen last time.

import { element } from "./elements.js";

// Whisper's, by their ISO codes; the browser knows what they are called.
const LANGUAGES =
  "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id is it " +
  "ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd si sk sl sn " +
  "so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh";

export function fillLanguages() {
  const names = new Intl.DisplayNames(["en"], { type: "language" });
  const options = LANGUAGES.split(" ")
    .map((code) => ({ code, name: names.of(code === "jw" ? "jv" : code) }))
    .sort((one, other) => one.name.localeCompare(other.name));
  for (const select of document.querySelectorAll("[data-languages]")) {
    select.replaceChildren(
      element("option", { value: "", textContent: "as it is spoken" }),
      ...options.map(({ code, name }) => element("option", { value: code, textContent: name })),
    );
  }
}

// Until the list is there, the one that every server has is meant: recordings may be dropped before.
export function fillModels(models) {
  for (const select of document.querySelectorAll("[data-models]")) {
    const chosen = "filled" in select.dataset ? select.value : remembered(select.form).model;
    select.dataset.filled = "";
    select.replaceChildren(...models.map((id) => element("option", { value: id, textContent: shortened(id) })));
    if (models.includes(chosen)) select.value = chosen;
  }
}

// What was chosen stays chosen in this browser, for each form.
export function remember(form) {
  for (const [name, value] of Object.entries(remembered(form))) choose(form.elements[name], value);
  form.addEventListener("change", () => localStorage.setItem(`gateway.${form.id}`, JSON.stringify(chosen(form))));
}

export function chosen(form) {
  const fields = [...form.elements].filter((field) => field.name && field.type !== "file");
  return Object.fromEntries(fields.map((field) => [field.name, field.type === "checkbox" ? field.checked : field.value]));
}

function choose(field, value) {
  if (!field) return;
  if (field.type === "checkbox") field.checked = value === true;
  else if (field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value)) field.value = value;
}

function remembered(form) {
  try {
    return JSON.parse(localStorage.getItem(`gateway.${form.id}`)) ?? {};
  } catch {
    return {};
  }
}

const shortened = (id) => id.split("/").at(-1);
