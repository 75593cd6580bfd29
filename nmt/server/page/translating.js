// Texts line by line: what was translated before is not asked for again, so that typing costs the line that is typed.

import * as server from "./server.js";
import { linesOf, linksOf, sendable } from "./words.js";

const KEPT = 2_000; // lines
const AT_ONCE = { lines: 100, characters: 4_000 }; // of a request, so that the first lines of a long text are soon there

/** Translations of lines, by their languages and glossary. */
export class Translations {
  #found = new Map();

  /** Forget everything, as when models or glossaries have changed. */
  clear() {
    this.#found.clear();
  }

  /** Return the lines of a text: `{text, end, result}` each; `result` is null where it is not yet translated. */
  lines(text, how) {
    return linesOf(text).map((line) => ({ ...line, result: this.#get(line.text, how) }));
  }

  /**
   * Translate what of a text is not yet translated.
   *
   * @param {string} text The text.
   * @param {{source: string, target: string, glossary: string, key: string}} how From what to what.
   * @param {AbortSignal} signal Ends it.
   * @param {() => void} told Called when some more lines are there.
   */
  async complete(text, how, signal, told) {
    const missing = this.lines(text, how).filter((line) => line.result === null);
    for (const lines of batches([...new Set(missing.map((line) => line.text))])) {
      const answer = await server.translate(lines.map(sendable), how, signal);
      lines.forEach((line, place) => this.#put(line, how, resultOf(line, answer, place)));
      told();
    }
  }

  #get(line, how) {
    if (!line.trim()) return { text: line, alternatives: [], parts: [], links: [], chosen: 0 };
    return this.#found.get(keyOf(line, how)) ?? null;
  }

  #put(line, how, result) {
    if (this.#found.size >= KEPT) this.#found.delete(this.#found.keys().next().value);
    this.#found.set(keyOf(line, how), result);
  }
}

const keyOf = (line, { source, target, glossary }) => JSON.stringify([source, target, glossary, line]);

function resultOf(line, answer, place) {
  const text = answer.translatedText[place];
  const parts = answer.details?.[place] ?? [];
  const alternatives = (answer.alternatives?.[place] ?? []).filter((other) => other !== text);
  return { text, alternatives, parts, links: linksOf(line, text, parts), chosen: 0 };
}

function* batches(lines) {
  let batch = [];
  let characters = 0;
  for (const line of lines) {
    if (batch.length && (batch.length >= AT_ONCE.lines || characters + line.length > AT_ONCE.characters)) {
      yield batch;
      batch = [];
      characters = 0;
    }
    batch.push(line);
    characters += line.length;
  }
  if (batch.length) yield batch;
}
