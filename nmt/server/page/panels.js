// The parts of the page around the texts: tabs, theme, key, messages.

import { load, save } from "./store.js";

/** Let tabs be chosen, by the mouse or by the arrow keys, as the pattern of tabs has it. */
export function wireTabs(tabs, onChange) {
  function choose(chosen) {
    for (const tab of tabs) {
      const here = tab === chosen;
      tab.setAttribute("aria-selected", String(here));
      tab.tabIndex = here ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !here;
    }
    onChange(chosen);
  }
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(place + step + tabs.length) % tabs.length];
      choose(next);
      next.focus();
    });
  });
}

const THEMES = [null, "light", "dark"];

/** Let the theme be chosen: as the system has it, light, dark. */
export function wireTheme(button) {
  function say() {
    const name = document.documentElement.dataset.theme ?? "as the system";
    button.setAttribute("aria-label", `Theme: ${name}`);
    button.title = `Theme: ${name}`;
  }
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? null) + 1) % THEMES.length];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    save("theme", next);
    say();
  });
  say();
}

/** Return the API key that is kept; empty if there is none. */
export const keptKey = () => load("key") ?? "";

/** Let a key be typed in; returns what opens the dialog. */
export function wireKey(dialog, onSave) {
  const input = dialog.querySelector("input");
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "save") return;
    save("key", input.value.trim() || null);
    onSave();
  });
  return () => {
    dialog.returnValue = "";
    input.value = keptKey();
    dialog.showModal();
  };
}

/** What the reader is told above the texts. */
export class Message {
  #run = null;

  constructor(element) {
    this.element = element;
    [this.text, this.button] = element.children;
    this.button.addEventListener("click", () => this.#run?.());
  }

  /** Say something; `action` is what may be done about it: a label and a function. */
  show(text, { error = true, action = null } = {}) {
    this.#run = action?.run ?? null;
    this.button.hidden = action === null;
    this.button.textContent = action?.label ?? "";
    this.element.classList.toggle("error", error);
    this.element.hidden = false;
    if (this.text.textContent !== text) this.text.textContent = text;
  }

  /** Say nothing any more. */
  hide() {
    this.element.hidden = true;
    this.text.textContent = "";
  }
}
