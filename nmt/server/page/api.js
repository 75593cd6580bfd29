// The server's description of itself, made readable.

/** Make an element with some text, or with others inside. */
function make(name, content, properties = {}) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...[content].flat().filter((each) => each !== undefined && each !== ""));
  return element;
}

/** Say in words what a value is. */
function typeOf(schema = {}) {
  if (schema.oneOf ?? schema.anyOf) {
    return (schema.oneOf ?? schema.anyOf).map(typeOf).join(" or ");
  }
  if (schema.enum) {
    return schema.enum.join(" or ");
  }
  if (schema.type === "array") {
    return schema.items ? `list of ${typeOf(schema.items)}` : "list";
  }
  const type = schema.format === "binary" ? "file" : { string: "text", integer: "whole number", boolean: "true or false" }[schema.type] ?? schema.type;
  return type ?? "anything";
}

/** Make a table of the fields of an object. */
function tableOf(caption, schema) {
  const rows = Object.entries(schema.properties ?? {}).map(([name, field]) => {
    const about = [field.description, field.default !== undefined && `usually ${field.default}`].filter(Boolean).join("; ");
    const needed = schema.required?.includes(name) ? " (needed)" : "";
    return make("tr", [make("th", make("code", name), { scope: "row" }), make("td", typeOf(field) + needed), make("td", about)]);
  });
  return rows.length ? make("table", [make("caption", caption), make("tbody", rows)]) : "";
}

/** Write a request as a command. */
function commandOf(method, path, types, schema) {
  const url = new URL(path.slice(1), document.baseURI);
  const option = types.includes("application/json") ? "-d" : "-F";
  const fields = (schema?.required ?? []).map((name) => {
    const field = schema.properties[name];
    return ` ${option} ${name}=${field.format === "binary" ? "@letter.docx" : field.example ?? "Hello"}`;
  });
  return `curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${url}${fields.join("")}`;
}

function sectionOf(path, method, operation) {
  const content = operation.requestBody?.content ?? {};
  const types = Object.keys(content);
  const asked = content[types[0]]?.schema;
  const answer = operation.responses?.["200"]?.content?.["application/json"]?.schema ?? {};
  const errors = Object.entries(operation.responses ?? {}).filter(([status]) => status >= "400");
  return make("section", [
    make("h2", make("code", `${method.toUpperCase()} ${path}`)),
    make("p", operation.description ?? operation.summary),
    types.length ? make("p", `Sent as ${types.join(", ")}.`, { className: "faint" }) : "",
    asked ? tableOf("What is asked", asked) : "",
    tableOf("What is answered", answer.type === "array" ? answer.items : answer),
    errors.length ? make("p", `Errors: ${errors.map(([status, each]) => `${status} ${each.description}`).join("; ")}.`, { className: "faint" }) : "",
    make("pre", make("code", commandOf(method, path, types, asked)), { tabIndex: 0 }),
  ]);
}

const place = document.getElementById("operations");
try {
  const answer = await fetch("spec");
  const spec = await answer.json();
  document.title = `API of ${spec.info.title} ${spec.info.version}`;
  for (const [path, operations] of Object.entries(spec.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      place.append(sectionOf(path, method, operation));
    }
  }
} catch (error) {
  place.append(make("p", `The server's description could not be read: ${error.message}`, { className: "message error" }));
}
