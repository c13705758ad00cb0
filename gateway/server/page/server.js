// What the page asks of the server it came from, with this tab's key; refusals in words for a person.

import { askKey, authorization } from "./key.js";

// Where the server begins, also behind a proxy that puts a path before it.
export const base = new URL(".", document.baseURI);

export class Refusal extends Error {
  constructor(message, { status = 0, code = null, retryAfter = 0 } = {}) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }

  static of(status, text, retryAfter = 0) {
    const { message, code } = envelope(text) ?? {};
    return new Refusal(plain(status, message), { status, code, retryAfter: Number(retryAfter) || 0 });
  }

  // Worth another try with nothing changed.
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export const unreachable = () => new Refusal("The server cannot be reached.");

// Asks, and asks for a key where the server wants one.
export async function request(path, options = {}, { quietly = false } = {}) {
  for (;;) {
    const response = await send(path, options);
    if (response.ok) return response;
    const refusal = Refusal.of(response.status, await response.text(), response.headers.get("retry-after"));
    if (response.status !== 401 || quietly || !(await askKey(refusal.message))) throw refusal;
  }
}

async function send(path, options) {
  try {
    return await fetch(new URL(path, base), { ...options, headers: { ...options.headers, ...authorization() } });
  } catch (error) {
    throw error.name === "AbortError" ? error : unreachable();
  }
}

// The names that are the server's own: they give log-probabilities unasked, and say what they are.
export async function listModels(options) {
  const { data } = await (await request("v1/models", {}, options)).json();
  return data.filter((model) => model.owned_by === "local").map((model) => model.id);
}

export const readHealth = async () => (await send("health", {})).json();

function envelope(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return null;
  }
}

function plain(status, message) {
  if (status === 413) return `The recording is larger than this server takes. ${message ?? ""}`;
  if (status === 401 && !message?.startsWith("Incorrect")) return "This server wants a key.";
  if (message?.startsWith("Invalid file format")) return "No sound that can be read is in this file.";
  if (message) return message;
  return status === 502 || status === 504 ? "The proxy before the server gets no answer from it." : `The server answered ${status}.`;
}
