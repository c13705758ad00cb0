// The reference, read from openapi.json: tags, operations, fields, answers.

import { byId, element, prose } from "./elements.js";

// Where the server begins, also behind a proxy that puts a path before it.
const base = new URL(".", document.baseURI).href.replace(/\/$/, "");

class Reference {
  constructor(api) {
    this.api = api;
  }

  about() {
    const paragraphs = this.api.info.description.split("\n\n");
    return [
      ...paragraphs.map((text) => element("p", {}, ...prose(text))),
      element("p", {}, "Base URL for clients: ", element("code", { textContent: `${base}/v1` })),
    ];
  }

  operations() {
    const all = Object.entries(this.api.paths).flatMap(([path, item]) =>
      ["get", "post"]
        .filter((method) => method in item)
        .map((method) => ({ path, method, parameters: item.parameters ?? [], ...item[method] })),
    );
    return this.api.tags.flatMap((tag) => [
      element("h3", { textContent: tag.name }),
      element("p", {}, ...prose(tag.description)),
      ...all.filter((operation) => operation.tags.includes(tag.name)).map((one) => this.operation(one)),
    ]);
  }

  operation(operation) {
    const { path, method, summary } = operation;
    const parameters = [...operation.parameters].map((one) => [one.name, { ...one.schema, ...one }]);
    const [[media, sent]] = Object.entries(operation.requestBody?.content ?? { "": {} });
    const body = element("div", { className: "body" });
    if (operation.description) body.append(element("p", {}, ...prose(operation.description)));
    if (parameters.length) {
      body.append(heading("Path"), this.fields(parameters, parameters.map(([name]) => name)));
    }
    if (sent.schema) {
      const schema = this.resolve(sent.schema);
      const fields = this.fields(Object.entries(schema.properties), schema.required ?? []);
      body.append(heading(`${media === FORM ? "Form" : "Body"} (${media})`), fields);
    }
    body.append(heading("Answers"), ...this.answers(operation.responses));
    body.append(heading("curl"), element("pre", { textContent: this.curl(operation) }));
    return element(
      "details",
      { className: "operation", id: operation.operationId },
      element(
        "summary",
        {},
        element("span", { className: `method ${method}`, textContent: method.toUpperCase() }),
        element("span", { className: "path", textContent: path }),
        element("span", { className: "summary", textContent: summary }),
      ),
      body,
    );
  }

  answers(responses) {
    return Object.entries(responses).map(([status, reference]) => {
      const response = this.resolve(reference);
      const ok = status.startsWith("2");
      return element(
        "div",
        { className: "answer" },
        element("span", { className: ok ? "status ok" : "status", textContent: status }),
        ...prose(response.description),
        ...moreHeaders(response).flatMap((name) => [" Header: ", element("code", { textContent: name })]),
        // Refusals all have one shape: it is shown once, with the first.
        ...(ok || status === "400" ? this.media(response.content) : []),
      );
    });
  }

  media(content) {
    return Object.entries(content).map(([name, { schema }]) => {
      const shapes = this.objects(schema.contentSchema?.items ?? schema);
      return element(
        "div",
        { className: "media" },
        element("code", { textContent: name }),
        " ",
        ...prose(schema.description ?? ""),
        ...shapes.map((shape) =>
          element("details", {}, element("summary", { textContent: shape.name }), this.object(shape.schema)),
        ),
      );
    });
  }

  // The named objects behind a schema: one, or the variants of a union.
  objects(schema) {
    if (schema.$ref) {
      const target = this.resolve(schema);
      if (target.properties) return [{ name: nameOf(schema), schema: target }];
      return this.objects(target);
    }
    return [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((variant) => this.objects(variant));
  }

  // An answer's object: what is worth marking there is what may be missing.
  object(schema) {
    return this.fields(Object.entries(schema.properties), schema.required ?? [], "optional");
  }

  fields(entries, required, mark = "required") {
    return element(
      "dl",
      { className: "fieldlist" },
      ...entries.map(([name, schema]) => this.field(name, schema, required.includes(name) === (mark === "required") && mark)),
    );
  }

  field(name, schema, mark) {
    const inner = this.objects(schema.items ?? schema.additionalProperties?.items ?? schema);
    return element(
      "div",
      { className: "field" },
      element(
        "dt",
        {},
        element("span", { className: "name", textContent: name }),
        element("span", { className: "type", textContent: [typeOf(schema), limits(schema)].filter(Boolean).join(", ") }),
        mark ? element("span", { className: mark, textContent: mark }) : null,
        hasDefault(schema)
          ? element("span", { className: "default", textContent: `default ${JSON.stringify(schema.default)}` })
          : null,
      ),
      element(
        "dd",
        {},
        ...prose(schema.description ?? (schema.$ref ? (this.resolve(schema).description ?? "") : "")),
        ...inner.map((shape) =>
          element("details", {}, element("summary", { textContent: shape.name }), this.object(shape.schema)),
        ),
      ),
    );
  }

  curl({ method, path, parameters, requestBody, security }) {
    const filled = parameters.reduce((url, one) => url.replace(`{${one.name}}`, one.example), path);
    const needsKey = !security && !this.api.security.some((one) => Object.keys(one).length === 0);
    const parts = [`curl ${base}${filled}`];
    if (needsKey) parts.push('-H "Authorization: Bearer $KEY"');
    if (FORM in (requestBody?.content ?? {})) parts.push("-F model=whisper-1 -F file=@recording.wav");
    else if (method === "post") parts.push('-H "Content-Type: application/json" -d "{}"');
    return parts.join(" \\\n  ");
  }

  resolve(schema) {
    if (!schema.$ref) return schema;
    return schema.$ref
      .slice(2)
      .split("/")
      .reduce((node, key) => node[key], this.api);
  }
}

const FORM = "multipart/form-data";
const EVERYWHERE = ["x-request-id", "openai-processing-ms"];
const moreHeaders = (response) =>
  Object.keys(response.headers ?? {}).filter((name) => !EVERYWHERE.includes(name));
const heading = (text) => element("h4", { textContent: text });
const nameOf = (schema) => schema.$ref.split("/").at(-1);
const hasDefault = (schema) =>
  schema.default !== undefined && !(Array.isArray(schema.default) && schema.default.length === 0);

function typeOf(schema) {
  if (schema.$ref) return nameOf(schema);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const variants = schema.anyOf ?? schema.oneOf;
  if (variants) return variants.map(typeOf).join(" | ");
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  if (schema.additionalProperties?.items) return `object of ${typeOf(schema.additionalProperties)}`;
  return schema.format === "binary" ? "file" : schema.type;
}

function limits({ minimum, maximum, exclusiveMaximum, maxLength, maxItems }) {
  // Bounds of a 64-bit number tell nobody anything.
  if (exclusiveMaximum !== undefined) return "64 bit";
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
  if (minimum !== undefined) return `at least ${minimum}`;
  if (maximum !== undefined) return `at most ${maximum}`;
  if (maxLength !== undefined) return `at most ${maxLength} characters`;
  return maxItems === undefined ? "" : `at most ${maxItems}`;
}

async function showReference() {
  const api = await (await fetch("openapi.json")).json();
  const reference = new Reference(api);
  byId("version").textContent = api.info.version;
  byId("about").replaceChildren(...reference.about());
  byId("operations").replaceChildren(...reference.operations());
  byId(location.hash.slice(1))?.setAttribute("open", "");
}

showReference().catch((error) => {
  byId("about").textContent = `openapi.json could not be read: ${error.message}`;
});
