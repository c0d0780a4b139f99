/** Run `refresh` now and at every beginning of a period of `seconds`, as the rotating code does. */
export function everyPeriod(seconds, refresh) {
  refresh();
  const period = seconds * 1000;
  setTimeout(() => everyPeriod(seconds, refresh), period - (Date.now() % period));
}

const PERIOD_SECONDS = 30;
const box = document.querySelector("[data-qr]");
const note = document.querySelector("[data-qr-note]");
const fresh = note?.textContent;

async function refresh() {
  try {
    const answer = await fetch(box.dataset.qr, { cache: "no-store", redirect: "error" });
    if (answer.status === 409) return location.reload(); // used, cancelled or expired meanwhile
    if (!answer.ok) throw new Error(`${answer.status}`);
    const drawn = new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement;
    box.replaceChildren(document.importNode(drawn, true));
    say(fresh, false);
  } catch {
    say(box.dataset.stale, true);
  }
}

function say(text, stale) {
  box.classList.toggle("qr--stale", stale);
  if (note && note.textContent !== text) note.textContent = text;
}

if (box) {
  everyPeriod(PERIOD_SECONDS, refresh);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
}
