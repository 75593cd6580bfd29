// From which language to which: two lists that depend on each other, and what they mean for how texts run.

import { load, save } from "./store.js";

const DETECT = "auto";
const UNKNOWN = "Detect the language";
const RIGHT_TO_LEFT = new Set(["Adlm", "Arab", "Hebr", "Mand", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"]);

/** Return how a language is written: "rtl", "ltr", or "auto" if nobody knows. */
export function directionOf(code) {
  try {
    return RIGHT_TO_LEFT.has(new Intl.Locale(code.replaceAll("_", "-")).maximize().script) ? "rtl" : "ltr";
  } catch {
    return "auto";
  }
}

/** The choice of languages. */
export class Languages {
  #all = [];
  #detected = null;

  /**
   * @param {HTMLSelectElement} source From which.
   * @param {HTMLSelectElement} target To which.
   * @param {HTMLButtonElement} swap Swaps them.
   * @param {() => void} onChange Called after the reader has chosen.
   */
  constructor(source, target, swap, onChange) {
    Object.assign(this, { sourceList: source, targetList: target, swapButton: swap });
    source.addEventListener("change", () => {
      this.#forget();
      this.#offerTargets();
      this.#chosen(onChange);
    });
    target.addEventListener("change", () => this.#chosen(onChange));
  }

  /**
   * Offer what there is.
   *
   * @param {Array<{code: string, name: string, targets: string[]}>} all The server's languages.
   * @param {{source: string, target: string}} wanted What to begin with, if it is there.
   */
  offer(all, wanted) {
    this.#all = all;
    const sources = all.filter((each) => each.targets.some((code) => code !== each.code));
    const detect = sources.length > 1 ? [optionOf(DETECT, UNKNOWN)] : [];
    this.sourceList.replaceChildren(...detect, ...sources.map((each) => optionOf(each.code, each.name)));
    choose(this.sourceList, wanted.source, sources[0]?.code);
    this.#offerTargets(wanted.target);
  }

  /** Return what is kept of an earlier visit. */
  static remembered() {
    return load("languages") ?? {};
  }

  /** Code of the source; "auto" if it is to be found out. */
  get source() {
    return this.sourceList.value;
  }

  /** Code of the target. */
  get target() {
    return this.targetList.value;
  }

  /** Whether the source is to be found out. */
  get detects() {
    return this.source === DETECT;
  }

  /** The source, chosen or found out, or null. */
  get known() {
    return this.detects ? this.#detected : this.source;
  }

  /** Return the name of a language. */
  nameOf(code) {
    return this.#all.find((each) => each.code === code)?.name ?? code;
  }

  /** Say what the source was found to be; null: not yet anything. A target to which there is no way from it gives way. */
  found(code) {
    this.#detected = code;
    const ways = this.#all.find((each) => each.code === code)?.targets.filter((each) => each !== code) ?? [];
    if (ways.length && !ways.includes(this.target)) this.targetList.value = ways[0];
    if (this.detects) this.sourceList.options[0].textContent = code ? `${this.nameOf(code)} (detected)` : UNKNOWN;
    this.#canSwap();
  }

  /** Swap source and target, if there is a way back. Returns whether it was done. */
  swap() {
    if (this.swapButton.disabled) return false;
    const [source, target] = [this.target, this.known];
    this.#forget();
    this.sourceList.value = source;
    this.#offerTargets(target);
    this.#remember();
    return true;
  }

  #forget() {
    this.#detected = null;
    const [first] = this.sourceList.options;
    if (first.value === DETECT) first.textContent = UNKNOWN;
  }

  #chosen(onChange) {
    this.#canSwap();
    this.#remember();
    onChange();
  }

  #remember() {
    save("languages", { source: this.source, target: this.target });
  }

  #offerTargets(wanted = this.target) {
    const from = this.detects ? this.#all : this.#all.filter((each) => each.code === this.source);
    const codes = new Set(from.flatMap((each) => each.targets.filter((code) => code !== each.code)));
    const targets = this.#all.filter((each) => codes.has(each.code));
    this.targetList.replaceChildren(...targets.map((each) => optionOf(each.code, each.name)));
    choose(this.targetList, wanted, targets[0]?.code);
    this.#canSwap();
  }

  #canSwap() {
    const back = this.#all.find((each) => each.code === this.target);
    this.swapButton.disabled = !this.known || this.known === this.target || !back?.targets.includes(this.known);
  }
}

function choose(list, wanted, otherwise) {
  list.value = [...list.options].some((each) => each.value === wanted) ? wanted : (otherwise ?? "");
}

function optionOf(code, name) {
  const option = document.createElement("option");
  option.value = code;
  option.textContent = name;
  return option;
}
