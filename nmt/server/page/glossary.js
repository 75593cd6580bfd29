// Terms that are to be translated in a certain way: one list for each pair of languages, kept in this browser.

import { load, save } from "./store.js";

/** Return the terms of a pair of languages, as they were written; empty if there are none. */
export const termsOf = (source, target) => load(`glossary.${source}-${target}`) ?? "";

const isTbx = (terms) => terms.trimStart().startsWith("<");

/** Return terms as the server reads them: TBX as it is, else a line each, with a tab before the translation, if any. */
export function asTable(terms) {
  if (isTbx(terms)) return terms;
  const lines = terms.split(/\r\n|[\n\r]/).map((line) => {
    const [term, ...rest] = line.split(line.includes("\t") ? "\t" : /=(.*)/s);
    return [term, rest[0] ?? ""].map((part) => part.trim());
  });
  return lines.filter(([term]) => term && !term.startsWith("#")).map((pair) => pair.join("\t").trimEnd()).join("\n");
}

/** Return how many terms there are. */
export function countOf(terms) {
  if (isTbx(terms)) return terms.match(/<(?:termEntry|conceptEntry)\b/g)?.length ?? 0;
  return asTable(terms).split("\n").filter(Boolean).length;
}

/** The dialog in which terms are written. */
export class GlossaryDialog {
  #pair = ["", ""];

  /**
   * @param {HTMLDialogElement} dialog The dialog.
   * @param {() => void} onSave Called after terms were changed.
   * @param {(text: string) => void} onProblem Called with what did not work.
   */
  constructor(dialog, onSave, onProblem) {
    this.dialog = dialog;
    this.text = dialog.querySelector("textarea");
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "save") return;
      const terms = this.text.value.trim();
      if (!save(`glossary.${this.#pair.join("-")}`, terms || null)) onProblem("This browser does not keep the glossary.");
      onSave();
    });
    const file = dialog.querySelector("input[type=file]");
    file.addEventListener("change", async () => {
      const [chosen] = file.files;
      const [before, more] = [this.text.value.trim(), chosen ? await chosen.text() : ""];
      this.text.value = isTbx(more) || isTbx(before) ? more : [before, more].filter(Boolean).join("\n");
      file.value = "";
      this.text.focus();
    });
  }

  /** Open it for a pair of languages. */
  open(source, target, title) {
    this.#pair = [source, target];
    this.dialog.querySelector("h2").textContent = title;
    this.dialog.returnValue = "";
    this.text.value = termsOf(source, target);
    this.dialog.showModal();
    this.text.focus();
  }
}
