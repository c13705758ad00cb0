// The key that a server may want: asked for when it does, and kept in this tab only.

import { byId } from "./elements.js";

const STORED = "gateway.key";

export function authorization() {
  const key = sessionStorage.getItem(STORED);
  return key ? { authorization: `Bearer ${key}` } : {};
}

let asking = null;

// Whether there is a key to try now; who asks while the dialog is open waits for the same answer.
export function askKey(why) {
  asking ??= ask(why).finally(() => (asking = null));
  return asking;
}

async function ask(why) {
  const dialog = byId("key-dialog");
  const hadOne = sessionStorage.getItem(STORED) !== null;
  byId("key-why").textContent = hadOne ? `The key was not accepted: ${why}` : "Whoever runs the server can give you one.";
  byId("key").value = "";
  dialog.returnValue = "";
  // No submit button: Enter in the field would press the first one.
  byId("key-later").onclick = () => dialog.close("");
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  const key = byId("key").value.trim();
  if (dialog.returnValue !== "use" || !key) return false;
  sessionStorage.setItem(STORED, key);
  return true;
}
