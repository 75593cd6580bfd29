// The two texts side by side: words that can be pointed at, and those of the other side that belong to them.

import { piecesOf } from "./words.js";

/** Shows a text and its translation, and links their words. */
export class Reading {
  #lines = [];
  #here = null; // {line, word} of the translation, that the keyboard has reached

  /**
   * @param {HTMLTextAreaElement} text Where the source is typed.
   * @param {HTMLElement} mirror The same text behind it, where its words can be marked.
   * @param {HTMLElement} output The translation.
   * @param {(line: number) => void} onLine Called when the reader comes to a line.
   * @param {(told: string) => void} tell Says something to those who hear the page.
   */
  constructor(text, mirror, output, onLine, tell) {
    Object.assign(this, { text, mirror, output, onLine, tell });
    output.addEventListener("pointerover", (event) => this.#pointTarget(event.target));
    output.addEventListener("click", (event) => this.#visit(event.target));
    output.addEventListener("keydown", (event) => this.#key(event));
    output.addEventListener("blur", () => this.#leave());
    text.addEventListener("pointermove", (event) => this.#pointSource(event));
    for (const side of [text, output]) {
      side.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && this.#unmark()); // a finger leaves at once
    }
    for (const name of ["keyup", "click"]) text.addEventListener(name, (event) => this.#caret(event));
  }

  /** Show the source alone, as while it is typed. */
  showSource(text) {
    this.mirror.textContent = `${text}\n`; // the last line of a text area is there even if it is empty
  }

  /**
   * Show a text and what of its translation is there.
   *
   * @param {Array<{text: string, end: string, result: object|null}>} lines As `Translations.lines` returns them.
   */
  show(lines) {
    this.#lines = lines;
    this.#here = null;
    this.mirror.replaceChildren(...lines.flatMap((line, number) => [lineOf(number, line.text, ""), line.end]), "\n");
    const there = lines.some((line) => line.result !== null && line.text.trim());
    const texts = lines.map((line) => (line.result === null ? "" : shownOf(line.result)));
    const kinds = lines.map((line) => (doubtsOf(line).length ? "doubt-line" : ""));
    const made = lines.flatMap((line, number) => [lineOf(number, texts[number], kinds[number]), line.end]);
    this.output.replaceChildren(...(there ? made : []));
    const linked = lines.some((line) => line.result?.links.length);
    this.output.toggleAttribute("data-linked", linked);
    if (linked) this.output.tabIndex = 0;
    else this.output.removeAttribute("tabindex");
  }

  /** Return the translation as text. */
  get translation() {
    return this.#lines.map((line) => (line.result === null ? "" : shownOf(line.result)) + line.end).join("");
  }

  #words(side, line) {
    return [...(side.querySelector(`[data-line="${line}"]`)?.querySelectorAll(".word") ?? [])];
  }

  #unmark() {
    for (const word of document.querySelectorAll(".word.linked, .word.here")) word.classList.remove("linked", "here");
  }

  /** Mark a word of one side (0: source, 1: translation) and what belongs to it; returns the texts of both sides. */
  #mark(line, word, side) {
    this.#unmark();
    const result = this.#lines[line]?.result;
    const links = (result?.chosen ? [] : (result?.links ?? [])).filter((link) => link[side] === word);
    const sides = [this.mirror, this.output].map((place) => this.#words(place, line));
    const marked = [new Set(links.map((link) => link[0])), new Set(links.map((link) => link[1]))];
    if (links.length) marked.forEach((words, place) => words.forEach((each) => sides[place][each]?.classList.add("linked")));
    return marked.map((words, place) => [...words].sort((a, b) => a - b).map((each) => sides[place][each]?.textContent).join(" "));
  }

  #pointTarget(element) {
    const word = element.closest(".word");
    if (word) this.#mark(Number(word.parentElement.dataset.line), Number(word.dataset.word), 1);
    else this.#unmark();
  }

  #pointSource(event) {
    const word = document.elementsFromPoint(event.clientX, event.clientY).find((each) => this.mirror.contains(each) && each.matches(".word"));
    if (word) this.#mark(Number(word.parentElement.dataset.line), Number(word.dataset.word), 0);
    else this.#unmark();
  }

  /** The caret has moved: mark what the word at it has become. */
  #caret(event) {
    const { selectionStart: start, selectionEnd: end } = this.text;
    let at = start;
    for (const [number, line] of this.#lines.entries()) {
      if (at <= line.text.length) {
        this.onLine(number);
        let done = 0;
        const piece = piecesOf(line.text).find((each) => (done += each.text.length) >= at && each.word !== null);
        const moved = event.type === "click" || /^(Arrow|Home|End|Page)/.test(event.key);
        if (moved && piece && start === end) this.#mark(number, piece.word, 0);
        else this.#unmark();
        return;
      }
      at -= line.text.length + line.end.length;
    }
  }

  #visit(element) {
    const line = element.closest("[data-line]");
    if (line) this.onLine(Number(line.dataset.line));
  }

  #leave() {
    this.#here = null;
    this.#unmark();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...this.output.querySelectorAll(".word")];
    const at = all.findIndex((each) => this.#isHere(each));
    const next = this.#stepOf(event.key, all, at);
    if (next === null || !all.length) return;
    event.preventDefault();
    const word = all[Math.min(Math.max(next, 0), all.length - 1)];
    const [line, number] = [Number(word.parentElement.dataset.line), Number(word.dataset.word)];
    this.#here = { line, word: number };
    const [source] = this.#mark(line, number, 1);
    word.classList.add("here");
    word.scrollIntoView({ block: "nearest" });
    this.onLine(line);
    this.tell(source ? `${word.textContent}: from ${source}` : `${word.textContent}: from no word`);
  }

  #isHere(word) {
    const here = this.#here;
    return here !== null && Number(word.dataset.word) === here.word && Number(word.parentElement.dataset.line) === here.line;
  }

  #stepOf(key, all, at) {
    const forward = getComputedStyle(this.output).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    const backward = forward === "ArrowLeft" ? "ArrowRight" : "ArrowLeft";
    const lineOf = (place) => Number(all[place]?.parentElement.dataset.line);
    if (key === forward) return at + 1;
    if (key === backward) return at < 0 ? all.length - 1 : at - 1;
    if (key === "Home") return 0;
    if (key === "End") return all.length - 1;
    if (key === "ArrowDown") return at < 0 ? 0 : all.findIndex((_, place) => place > at && lineOf(place) > lineOf(at)) + 1 || all.length;
    if (key === "ArrowUp") return at < 0 ? 0 : all.findLastIndex((_, place) => place < at && lineOf(place) < lineOf(at));
    return null;
  }
}

/** Return what is shown of the translations of a line: the best, or the alternative that was chosen. */
export const shownOf = (result) => [result.text, ...result.alternatives][result.chosen];

const DOUBTS = new Set(["doubtful", "unknown", "damaged", "failed"]);

/** Return the parts of a line that are worth a second look: `{status, source, text, missing}` each. */
export function doubtsOf(line) {
  return (line.result?.parts ?? []).filter((part) => DOUBTS.has(part.status) || part.missing?.length);
}

function lineOf(number, text, kind) {
  const line = document.createElement("span");
  line.dataset.line = String(number);
  line.className = kind;
  line.append(
    ...piecesOf(text).map((piece) => {
      if (piece.word === null) return piece.text;
      const word = document.createElement("span");
      word.className = "word";
      word.dataset.word = String(piece.word);
      word.textContent = piece.text;
      return word;
    }),
  );
  return line;
}
