// What the page asks of its server: LibreTranslate's API, with `details` of translations and a glossary beside it.

/** An answer that is an error, or none at all. */
export class ServerError extends Error {
  /**
   * @param {string} message For people.
   * @param {number} status Of HTTP; 0 if there was no answer.
   * @param {number|null} retryAfter Seconds, where trying again may help.
   */
  constructor(message, status, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(navigator.onLine ? "The server does not answer." : "You are offline.", 0);
  }
  let content = null;
  try {
    content = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  if (answer.ok && content !== null) return content;
  const told = typeof content?.error === "string" ? content.error : `The server answered ${answer.status}.`;
  throw new ServerError(told, answer.status, secondsOf(answer));
}

function secondsOf(answer) {
  const seconds = Number(answer.headers.get("retry-after") ?? NaN);
  if (Number.isFinite(seconds)) return Math.min(Math.max(seconds, 1), 600);
  return [429, 502, 503, 504].includes(answer.status) ? 5 : null;
}

function post(path, fields, signal) {
  const given = Object.entries(fields).filter(([, value]) => value !== "" && value !== null);
  const body = JSON.stringify(Object.fromEntries(given));
  return ask(path, { method: "POST", headers: { "content-type": "application/json" }, body, signal });
}

/** Return the languages: `{code, name, targets}` each. */
export const languages = () => ask("languages");

/** Return what the server allows: `charLimit`, `frontendTimeout`, `filesTranslation`, and more. */
export const settings = () => ask("frontend/settings");

/** Return the most probable languages of a text, best first: `{language, confidence}` each. */
export const detect = (text, key, signal) => post("detect", { q: text, api_key: key }, signal);

/** Translate a list of lines; `alternatives` and `details` of the answer are lists, one for each line. */
export const translate = (lines, { source, target, glossary, key }, signal) =>
  post("translate", { q: lines, source, target, format: "text", alternatives: 3, details: true, glossary, api_key: key }, signal);

/** Translate a document; returns the answer, which says where the new one is. */
export function translateFile(file, { source, target, glossary, key }, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries({ source, target, glossary, api_key: key })) if (value) form.append(name, value);
  form.append("file", file);
  return ask("translate_file", { method: "POST", body: form, signal });
}
