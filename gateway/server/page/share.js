// The link for an audience. Who speaks holds a secret; the link has its hash, which opens the captions to read
// and nothing else. Both are good as long as this tab, over every restart.

import { byId } from "./elements.js";
import { base } from "./server.js";

const STORED = "gateway.publish";

export function publishSecret() {
  if (!sessionStorage.getItem(STORED)) {
    sessionStorage.setItem(STORED, base64url(crypto.getRandomValues(new Uint8Array(24))));
  }
  return sessionStorage.getItem(STORED);
}

async function watchToken() {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(publishSecret()));
  return base64url(new Uint8Array(hash)).slice(0, 32);
}

export async function watchLink(more = {}) {
  const link = new URL("./", base);
  const query = { view: "captions", watch: await watchToken(), ...more };
  for (const [name, value] of Object.entries(query)) link.searchParams.set(name, value);
  return link.href;
}

// `onStage`: they shall be shown here.
export function startSharing(onStage) {
  const dialog = byId("share-dialog");
  byId("share").addEventListener("click", async () => {
    byId("share-link").value = await watchLink();
    byId("share-obs").value = await watchLink({ background: "transparent" });
    byId("share-copy").textContent = "Copy link";
    dialog.returnValue = "";
    dialog.showModal();
  });
  byId("share-copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(byId("share-link").value);
    byId("share-copy").textContent = "Copied";
  });
  for (const field of [byId("share-link"), byId("share-obs")]) field.addEventListener("focus", () => field.select());
  dialog.addEventListener("close", () => dialog.returnValue === "stage" && onStage());
}

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
