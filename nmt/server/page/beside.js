// What is told below the texts: other translations of a line, and what is worth a second look.

import { doubtsOf, shownOf } from "./reading.js";

const SAID = {
  doubtful: ["Doubtful", "the model is less sure of this than of what it knows"],
  unknown: ["Unknown", "the model does not know some of these characters; they are left out"],
  damaged: ["Damaged", "some of this text is not readable"],
  failed: ["Failed", "no translation was found that does not repeat itself or drop something"],
};
const MOST = 20; // notes: a text with more is doubtful as a whole
const QUOTED = 60; // characters

/**
 * Show other translations of a line.
 *
 * @param {HTMLElement} section Where.
 * @param {object|undefined} line The line, if there is one.
 * @param {{several: boolean, lang: string}} text Whether it has other lines, and the language of the translations.
 * @param {(number: number) => void} choose Called with the number of the one that is taken.
 */
export function showAlternatives(section, line, { several, lang }, choose) {
  const result = line?.result;
  const others = result?.alternatives.length ? [result.text, ...result.alternatives] : [];
  section.hidden = others.length === 0;
  section.querySelector("h2").replaceChildren("Alternatives", ...(several && others.length ? [" for ", quoteOf(line.text)] : []));
  const rows = [...others.entries()].filter(([number]) => number !== result.chosen);
  section.querySelector("ul").replaceChildren(
    ...rows.map(([number, text]) => {
      const [row, button] = [document.createElement("li"), document.createElement("button")];
      Object.assign(button, { textContent: text, dir: "auto", lang });
      button.addEventListener("click", () => choose(number));
      row.append(button);
      return row;
    }),
  );
}

/** Show what is worth a second look; returns how many lines are. */
export function showNotes(section, lines) {
  const found = lines.flatMap((line) => doubtsOf(line));
  section.hidden = found.length === 0;
  const rows = found.slice(0, MOST).flatMap((part) => notesOf(part));
  const more = found.length > MOST ? [rowOf("", `and ${found.length - MOST} more`)] : [];
  section.querySelector("ul").replaceChildren(...rows, ...more);
  return lines.filter((line) => doubtsOf(line).length).length;
}

/** Return what is said of a translation as a whole, and whether it is a doubt. */
export function verdictOf(lines, doubtful) {
  const translated = lines.filter((line) => line.text.trim() && line.result !== null);
  if (doubtful) return [translated.length === 1 ? "Worth a second look" : `${doubtful} of ${translated.length} lines worth a second look`, true];
  if (translated.length && translated.every((line) => shownOf(line.result) === line.text)) return ["Left as it is", false];
  return ["", false];
}

function notesOf(part) {
  const said = SAID[part.status];
  const missing = (part.missing ?? []).map((term) => rowOf("Term", ` is not translated as the glossary says`, term));
  return [...(said ? [rowOf(said[0], `: ${said[1]}`, part.source)] : []), ...missing];
}

function rowOf(kind, text, quote = "") {
  const row = document.createElement("li");
  if (kind) {
    const tag = document.createElement("span");
    tag.className = "tag";
    tag.textContent = kind;
    row.append(tag);
  }
  row.append(...(quote ? [quoteOf(quote)] : []), text);
  return row;
}

/** Return the beginning of a text as a quotation, without a part of a word at its end if it has several. */
function quoteOf(text) {
  const whole = text.length <= QUOTED;
  const quote = document.createElement("q");
  Object.assign(quote, { textContent: whole ? text : `${text.slice(0, QUOTED).replace(/\s+\S*$/u, "")}…`, dir: "auto" });
  return quote;
}
