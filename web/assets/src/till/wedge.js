const TOKEN = /CT\.[0-9a-f]{32}\.\d{1,12}\.[\w-]{22}$/i;
const CODE = /\d{12}$/;
const QUICK_MS = 60; // between two keys of a scanner: nobody types a dozen digits like that
const FORGET_MS = 1_000;

/**
 * A hand-held scanner types what it reads, and Enter, wherever the focus is: a token that comes like that, or a code
 * as quick as no hand, goes to `take`, and is taken out of the field that it was typed into.
 */
export function listenForScanner(take) {
  let keys = [];

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.key === "Shift") return;
    if (keys.length && event.timeStamp - keys.at(-1).at > FORGET_MS) keys = [];
    if (event.key !== "Enter") {
      const character = typed(event);
      const field = fieldOf(event.target);
      if (character !== null) keys.push({ character, at: event.timeStamp, field, before: field?.value });
      return;
    }
    const read = scanned(keys);
    keys = [];
    if (!read) return;
    event.preventDefault();
    event.stopPropagation();
    if (read.first.field) read.first.field.value = read.first.before;
    take(read.text);
  }, true);
}

/** What a scanner read, and its first key; null where somebody has typed. */
function scanned(keys) {
  const text = keys.map(({ character }) => character).join("");
  const [read] = TOKEN.exec(text) ?? CODE.exec(text) ?? [];
  if (!read) return null;
  const first = keys[keys.length - read.length];
  const pause = (keys.at(-1).at - first.at) / (read.length - 1);
  return TOKEN.test(read) || pause < QUICK_MS ? { text: read, first } : null;
}

function fieldOf(target) {
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement ? target : null;
}

/** The character of a key, also where an input method holds it back: then by its place on the keyboard. */
function typed(event) {
  if (event.key.length === 1) return event.key;
  if (event.key !== "Process" && !event.isComposing) return null;
  const [, letter, digit] = /^(?:Key([A-Z])|(?:Digit|Numpad)(\d))$/.exec(event.code) ?? [];
  if (letter) return event.shiftKey ? letter : letter.toLowerCase();
  if (digit) return digit;
  return { Period: ".", NumpadDecimal: ".", Minus: event.shiftKey ? "_" : "-", NumpadSubtract: "-" }[event.code] ?? null;
}
