// Documents: sent to the server one by one, and fetched from it translated.

import * as server from "./server.js";

/** The panel of documents. */
export class Documents {
  /**
   * @param {HTMLElement} drop Where documents are dropped.
   * @param {HTMLInputElement} input Where they are chosen.
   * @param {HTMLElement} list What became of them.
   * @param {() => object} how Returns languages, glossary and key.
   */
  constructor(drop, input, list, how) {
    Object.assign(this, { list, how });
    this.queue = Promise.resolve();
    input.multiple = true;
    input.addEventListener("change", () => {
      this.take(input.files);
      input.value = "";
    });
    for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
      drop.addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.toggle("over", over);
        if (name === "drop") this.take(event.dataTransfer.files);
      });
    }
  }

  /** Say which formats there are. */
  offer(formats, input, told) {
    if (!formats?.length) return;
    const endings = formats.map((each) => `.${each.replace(/^\./, "")}`);
    input.accept = endings.join(",");
    told.textContent = endings.map((each) => each.slice(1)).join(", ");
  }

  /** Translate documents, one after the other. */
  take(files) {
    const how = this.how();
    for (const file of files) {
      const row = new Row(file.name);
      this.list.prepend(row.element);
      this.queue = this.queue.then(() => this.#translate(file, how, row));
    }
  }

  async #translate(file, how, row) {
    if (row.signal.aborted) return;
    row.begin();
    try {
      const answer = await server.translateFile(file, how, row.signal);
      row.done(linkTo(answer.translatedFileUrl), translatedName(file.name, how.target), notesOf(answer));
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof server.ServerError)) console.error(error);
      const again = error.retryAfter ? ` Try again in ${error.retryAfter} seconds.` : "";
      row.fail(`${error.message}${again}`);
    }
  }
}

/** A document in the list. */
class Row {
  #controller = new AbortController();

  constructor(name) {
    this.element = made("li", "");
    this.told = made("span", "faint", "waits");
    this.progress = made("span", "progress");
    this.progress.hidden = true;
    this.cancel = made("button", "quiet", "Cancel");
    this.cancel.addEventListener("click", () => {
      this.#controller.abort();
      this.element.remove();
    });
    this.element.append(this.progress, made("span", "name", name), this.told, this.cancel);
  }

  get signal() {
    return this.#controller.signal;
  }

  begin() {
    this.progress.hidden = false;
    this.told.textContent = "is being translated";
  }

  done(url, name, notes) {
    const link = made("a", "button", "Download");
    link.href = url;
    link.download = name;
    link.setAttribute("aria-label", `Download ${name}`);
    this.#end(notes, link);
  }

  fail(message) {
    this.told.className = "failed";
    this.#end(message);
  }

  #end(told, ...more) {
    this.progress.remove();
    this.told.textContent = told;
    this.cancel.replaceWith(...more);
  }
}

/** Return where a new document is: the server may not know under which name and folder it is reached. */
const linkTo = (url) => `download_file/${new URL(url, document.baseURI).pathname.split("/").pop()}`;

function translatedName(name, target) {
  const dot = name.lastIndexOf(".");
  return dot > 0 ? `${name.slice(0, dot)}.${target}${name.slice(dot)}` : `${name}.${target}`;
}

/** Return in words what the server says of how it went. */
function notesOf({ statuses = {}, left = [], missing = [] }) {
  const doubtful = ["doubtful", "unknown", "damaged", "failed"].reduce((sum, name) => sum + (statuses[name] ?? 0), 0);
  return [
    "translated",
    ...(doubtful ? [`${doubtful} ${doubtful === 1 ? "line is" : "lines are"} worth a second look`] : []),
    ...left.map(({ what, why, count }) => `${count > 1 ? `${count} × ` : ""}${what} left as it was: ${why}`),
    ...(missing.length ? [`terms not as the glossary says: ${[...new Set(missing)].join(", ")}`] : []),
  ].join("; ");
}

function made(name, kind, text = "") {
  const element = document.createElement(name);
  element.className = kind;
  element.textContent = text;
  return element;
}
