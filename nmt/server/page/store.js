// What this browser keeps for the page: choices, glossaries, an API key; never a text that was translated.

/** Return what was kept under a name, or null. */
export function load(name) {
  try {
    return JSON.parse(localStorage.getItem(`nmt.${name}`));
  } catch {
    return null;
  }
}

/** Keep something under a name; null forgets it. Returns whether the browser does so. */
export function save(name, value) {
  try {
    if (value === null) localStorage.removeItem(`nmt.${name}`);
    else localStorage.setItem(`nmt.${name}`, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}
