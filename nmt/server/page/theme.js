// Before anything is drawn, so that a dark page never flashes light: the theme that was chosen, if one was.
"use strict";

try {
  const chosen = localStorage.getItem("nmt.theme");
  if (chosen === '"light"' || chosen === '"dark"') document.documentElement.dataset.theme = JSON.parse(chosen);
} catch {
  // A browser that keeps nothing for pages: the theme is the system's.
}
