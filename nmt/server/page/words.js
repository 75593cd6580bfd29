// Lines and words as the server sees them, and which word of a translation comes from which.

// White space as Python's `str.split` knows it: links count the words between.
const WORD = /[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/gu;
const BREAK = /(\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])/u;

/** Return the lines of a text and the breaks behind them: `{text, end}` each. */
export function linesOf(text) {
  const parts = text.split(BREAK);
  return parts.flatMap((part, place) => (place % 2 ? [] : [{ text: part, end: parts[place + 1] ?? "" }]));
}

/** Return words and what stands between them, in order: `{text, word}` each, where `word` is a number from 0, or null. */
export function piecesOf(text) {
  const pieces = [];
  let done = 0;
  let count = 0;
  for (const match of text.matchAll(WORD)) {
    if (match.index > done) pieces.push({ text: text.slice(done, match.index), word: null });
    pieces.push({ text: match[0], word: count++ });
    done = match.index + match[0].length;
  }
  if (done < text.length) pieces.push({ text: text.slice(done), word: null });
  return pieces;
}

/** Return the number of characters, as the server counts them: one for each code point. */
export function lengthOf(text) {
  return text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);
}

/** Return a text that can be sent: half a surrogate pair, of a text cut by whoever copied it, becomes U+FFFD. */
export const sendable = (text) => text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");

const wordsOf = (text) => text.match(WORD) ?? [];
const begins = (words, at, part) => part.every((word, place) => words[at + place] === word);

/**
 * Return the links of a line: [word of the source, word of the translation] each, counted over the whole line.
 *
 * The server tells them of each part of the line that its model got. A part that does not stand in the line as it is
 * told has none, nor has what follows it.
 *
 * @param {string} source The line.
 * @param {string} text Its translation.
 * @param {Array<{source: string, text: string, alignment: Array<[number, number]>|null}>} parts What the server tells.
 */
export function linksOf(source, text, parts) {
  const sides = [wordsOf(source), wordsOf(text)];
  const links = [];
  let first = 0;
  let second = 0;
  for (const part of parts) {
    const [from, to] = [wordsOf(part.source), wordsOf(part.text)];
    if (!begins(sides[0], first, from) || !begins(sides[1], second, to)) break;
    for (const [left, right] of part.alignment ?? []) {
      if (left < from.length && right < to.length) links.push([first + left, second + right]);
    }
    first += from.length;
    second += to.length;
  }
  return links;
}
