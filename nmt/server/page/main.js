// The page: what is typed, chosen and shown, and who is asked for it.

import { showAlternatives, showNotes, verdictOf } from "./beside.js";
import { Documents } from "./documents.js";
import { GlossaryDialog, asTable, countOf, termsOf } from "./glossary.js";
import { Languages, directionOf } from "./languages.js";
import { Live } from "./live.js";
import { Message, keptKey, wireKey, wireTabs, wireTheme } from "./panels.js";
import { Reading } from "./reading.js";
import * as server from "./server.js";
import { Translations } from "./translating.js";
import { lengthOf, linesOf, sendable } from "./words.js";

const LOOKED_AT = 1_000; // characters of which the language is found out

const $ = (id) => document.getElementById(id);
const [text, output] = [$("text"), $("output")];
const message = new Message($("message"));
const translations = new Translations();
let allowed = { charLimit: -1, frontendTimeout: 300 };
let shown = []; // lines
let current = 0; // of which alternatives are shown

const languages = new Languages($("source"), $("target"), $("swap"), () => changed(0));
const reading = new Reading(text, $("mirror"), output, showLine, tell);
const live = new Live(translate, busy, failed);
const openKey = wireKey($("key-dialog"), begin);
const glossary = new GlossaryDialog($("glossary"), () => changed(0), (problem) => message.show(problem));
const documents = new Documents($("drop"), $("file"), $("file-list"), () => ({ ...how(), source: languages.source }));

/** How to translate: languages, glossary, key. */
function how() {
  const source = languages.known ?? languages.source;
  return { source, target: languages.target, glossary: asTable(termsOf(source, languages.target)), key: keptKey() };
}

/** Something has changed that matters for the translation: translate after a pause, in milliseconds. */
function changed(pause) {
  const length = lengthOf(text.value);
  const limit = allowed.charLimit > 0 ? allowed.charLimit : Infinity;
  reading.showSource(text.value);
  current = linesOf(text.value.slice(0, text.selectionStart)).length - 1;
  $("counter").textContent = Number.isFinite(limit) ? `${number(length)} / ${number(limit)}` : number(length);
  $("counter").classList.toggle("over", length > limit);
  $("clear").hidden = !text.value;
  showGlossary();
  message.hide();
  if (!text.value.trim()) {
    live.stop();
    if (languages.detects) languages.found(null);
    show([]);
  } else if (length > limit) {
    live.stop();
    message.show(`${number(length - limit)} over the limit: this server takes ${number(limit)} characters at a time.`);
  } else if (languages.target) {
    live.after(pause);
  }
}

async function translate(signal) {
  const typed = text.value;
  if (languages.detects) {
    const [best] = await server.detect(sendable(typed.slice(0, LOOKED_AT)), keptKey(), signal);
    languages.found(best?.language ?? null);
    if (!best) throw new server.ServerError("The language was not found out: choose it above.", 400);
    showGlossary();
  }
  const chosen = how();
  const update = () => show(translations.lines(typed, chosen));
  if (translations.lines(typed, chosen).some((line) => line.result !== null && line.text.trim())) update();
  await translations.complete(typed, chosen, signal, update);
  update();
}

function show(lines) {
  shown = lines;
  directions();
  reading.show(lines);
  const doubtful = showNotes($("notes"), lines);
  const [verdict, doubt] = verdictOf(lines, doubtful);
  $("verdict").textContent = verdict;
  $("verdict").classList.toggle("doubt", doubt);
  $("copy").hidden = !reading.translation.trim();
  showLine(current);
}

/** Show the alternatives of a line, or of the first that is none of white space. */
function showLine(wanted) {
  const filled = shown.filter((line) => line.text.trim());
  const line = shown[wanted]?.text.trim() ? shown[wanted] : filled[0];
  current = wanted;
  showAlternatives($("alternatives"), line, { several: filled.length > 1, lang: languages.target }, (chosen) => {
    line.result.chosen = chosen;
    show(shown);
    output.focus();
    tell("Taken");
  });
}

function directions() {
  const source = languages.known;
  for (const [element, code] of [[text, source], [$("mirror"), source], [output, languages.target]]) {
    element.lang = code ?? "";
    element.dir = code ? directionOf(code) : "auto";
  }
}

function showGlossary() {
  const count = languages.known ? countOf(termsOf(languages.known, languages.target)) : 0;
  $("glossary-count").hidden = count === 0;
  $("glossary-count").textContent = String(count);
  $("glossary-button").disabled = !languages.known;
}

function busy(is) {
  $("progress").hidden = !is;
  output.setAttribute("aria-busy", String(is));
}

function failed(error, seconds) {
  if (error === null) return message.hide();
  const told = error instanceof server.ServerError ? error.message : "Something is wrong with this page; the browser's console says what.";
  const again = { label: "Try now", run: () => live.after(0) };
  if ([401, 403].includes(error.status) || (error.status === 400 && allowed.keyRequired && !keptKey())) {
    $("key-button").hidden = false;
    return message.show(told, { action: { label: "Enter an API key", run: openKey } });
  }
  if (seconds === null) return message.show(told, { action: error.status >= 500 ? again : null });
  const ended = /[.!?]$/.test(told) ? told : `${told}.`;
  return message.show(`${ended} Trying again in ${seconds} s.`, { error: error.status === 0, action: again });
}

function tell(what) {
  $("told").textContent = what;
}

const number = (value) => value.toLocaleString("en");

async function copy() {
  const copied = reading.translation;
  try {
    await navigator.clipboard.writeText(copied);
  } catch {
    // Pages that come neither by https nor from this machine have no clipboard but this one.
    const place = document.createElement("textarea");
    place.value = copied;
    document.body.append(place);
    place.select();
    document.execCommand("copy");
    place.remove();
  }
  $("copy").textContent = "Copied";
  $("copy").focus();
  tell("Copied");
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
}

function swap() {
  const translation = reading.translation;
  if (!languages.swap()) return;
  if (translation.trim()) text.value = translation;
  shown = [];
  changed(0);
}

/** Ask the server what there is, and begin. */
async function begin() {
  try {
    const [all, settings] = await Promise.all([server.languages(), server.settings()]);
    allowed = settings;
    const query = new URLSearchParams(location.search);
    const asked = { source: query.get("source"), target: query.get("target") };
    const wanted = asked.source || asked.target ? asked : Languages.remembered();
    languages.offer(all, { source: wanted.source ?? settings.language?.source?.code, target: wanted.target ?? settings.language?.target?.code });
    if (query.get("q") && !text.value) text.value = query.get("q");
    if (location.search) history.replaceState(null, "", location.pathname); // no text stays in the address
    $("document-tab").parentElement.hidden = !settings.filesTranslation;
    documents.offer(settings.supportedFilesFormat, $("file"), $("formats"));
    $("key-button").hidden = !settings.keyRequired && !settings.apiKeys;
    translations.clear();
    message.hide();
    changed(0);
  } catch (error) {
    if (!(error instanceof server.ServerError)) throw error;
    message.show(error.message, { action: { label: "Try again", run: begin } });
  }
}

wireTabs([$("text-tab"), $("document-tab")], (tab) => tab === $("text-tab") || message.hide());
wireTheme($("theme-button"));
text.addEventListener("input", () => changed(allowed.frontendTimeout));
$("clear").addEventListener("click", () => {
  text.value = "";
  text.focus();
  changed(0);
});
$("copy").addEventListener("click", copy);
$("swap").addEventListener("click", swap);
$("key-button").addEventListener("click", openKey);
$("glossary-button").addEventListener("click", () => {
  const [from, to] = [languages.known, languages.target];
  glossary.open(from, to, `Glossary: ${languages.nameOf(from)} to ${languages.nameOf(to)}`);
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey && event.key === "Enter") changed(0);
  else if (event.ctrlKey && event.shiftKey && event.key.toLowerCase() === "s") {
    event.preventDefault();
    swap();
  }
});
await begin();
