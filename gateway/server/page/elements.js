// Elements from data. Text goes in as text only: nothing here, or in a recording, can become markup.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Text with `code` in it.
export function prose(text) {
  return text
    .split(/`([^`]+)`/)
    .map((part, index) => (index % 2 ? element("code", { textContent: part }) : part))
    .filter((part) => part !== "");
}

export const byId = (id) => document.getElementById(id);
