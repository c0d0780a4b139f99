import { boxes, slotsOf } from "./till/boxes.js";
import { openDesk } from "./till/desk.js";
import { newKey, openQueue } from "./till/queue.js";
import { offerScanning, reader } from "./till/scanning.js";
import { sounds } from "./till/sound.js";
import { waitingList } from "./till/waiting.js";
import { listenForScanner } from "./till/wedge.js";

const TWICE_MS = 3_000; // a scanner that reads the same coupon again means nothing by it

/** The text of the first QR code in `image` (a Blob or ImageData), or null. */
export const readCode = async (image) => (await reader()).readCode(image);

const page = document.querySelector("[data-till-page]");
if (page) open(page);

async function open(page) {
  const form = page.querySelector("[data-till]");
  let till = null;
  awaitCode(form);
  listenForScanner((code) => take(code));
  offerScanning(form, (code) => take(code));
  form.addEventListener("submit", submit);
  install(page.dataset.tillPage);
  network(page.querySelector("[data-network]"));
  till = await counter(page, form).catch(() => null);

  function take(code) {
    form.elements.code.value = code;
    form.requestSubmit();
  }

  function submit(event) {
    if (!till) return; // a browser that keeps nothing sends the form as it is
    event.preventDefault();
    till.verify(form.elements.code.value.trim(), form.elements.bill.value.trim());
  }
}

/** The till's work, with what it needs: each code is kept before it is sent, and until its answer was shown. */
async function counter(page, form) {
  const [queue, box, play] = [await openQueue(), boxes(page), sounds(page.querySelector("[data-sound]"))];
  const desk = openDesk(form.elements._csrf_token.value);
  const words = page.querySelector('[data-box="words"]').dataset;
  const till = page.dataset.tillPage;
  const list = waitingList(page, { queue, desk, box, words, till, play });
  const place = page.querySelector("[data-answer]");
  let latest = null;
  let work = Promise.resolve();
  desk.greet();

  function show(name, slots) {
    place.replaceChildren(box(name, slots));
    play(name);
    place.scrollIntoView({ block: "nearest" });
  }

  async function check(code, bill) {
    if ((await queue.all()).some((entry) => entry.state === "waiting" && couponOf(entry.code) === couponOf(code))) {
      latest = null;
      clear(form);
      return show("unchecked");
    }
    const entry = { key: newKey(), till, code, bill, scannedMs: desk.now(), state: "sending" };
    list.inHand.add(entry.key);
    await queue.put(entry);
    show("sending");
    const outcome = await desk.send(entry);
    if (outcome.status === 429) outcome.state = "refused"; // there is a network, and somebody to tell
    list.inHand.delete(entry.key);
    latest = outcome.state === "refused" ? null : { code, at: Date.now() };
    if (outcome.state === "good") {
      show("good", slotsOf(outcome.done));
      offerUndoing(page, outcome.done);
      await queue.remove(entry);
      clear(form);
    } else if (outcome.state === "refused") {
      show("bad", { why: worded(form, outcome) });
      await queue.remove(entry);
      if (outcome.field === "bill_fen") form.elements.bill.focus();
      else form.elements.code.select();
    } else {
      await queue.put({ ...entry, state: "waiting", why: outcome.state === "blocked" ? words.blocked : "" });
      show("unchecked", outcome.state === "blocked" ? { why: words.blocked } : {});
      navigator.storage?.persist?.();
      clear(form);
    }
    await list.render();
    if (outcome.field !== "bill_fen") awaitCode(form);
  }

  return {
    verify(code, bill) {
      if (!code) return form.elements.code.focus();
      if (code === latest?.code && Date.now() - latest.at < TWICE_MS) return;
      latest = { code, at: Infinity };
      work = work.then(() => check(code, bill)).catch(() => {
        latest = null;
        form.submit(); // nothing could be kept here
      });
    },
  };
}

/** What tells one coupon from another: of a token, which changes, the redemption; of a code, its digits. */
function couponOf(code) {
  return code.startsWith("CT.") ? code.split(".")[1] : code.normalize("NFKC").replace(/\D/g, "");
}

function clear(form) {
  form.elements.code.value = "";
  form.elements.bill.value = "";
}

/** The cursor waits in the code, where a keyboard is at hand; on a phone the keys would cover the answer. */
function awaitCode(form) {
  const wrong = form.querySelector("[aria-invalid]");
  if (!wrong && !matchMedia("(pointer: fine)").matches) return document.activeElement?.blur?.();
  const field = wrong ?? form.elements.code;
  field.focus({ preventScroll: true });
  field.select();
}

/** Why it was refused, with the field that it is about. */
function worded(form, { why, field }) {
  return field === "bill_fen" ? `${form.querySelector('[for="bill"]').textContent.trim()}：${why}` : why;
}

function offerUndoing(page, done) {
  const undo = page.querySelector("[data-undo]");
  undo.querySelector('[data-slot="title"]').textContent = done.title;
  undo.querySelector('[data-slot="time"]').textContent = done.time;
  undo.querySelector("form").elements.verification.value = done.id;
  undo.querySelector("form").elements.key.value = newKey();
  undo.open = false;
  undo.hidden = false;
}

/** Says when there is no network: undoing and the day's list need one. */
function network(note) {
  const tell = () => {
    note.hidden = navigator.onLine;
    document.documentElement.toggleAttribute("data-offline", !navigator.onLine);
  };
  tell();
  addEventListener("online", tell);
  addEventListener("offline", tell);
}

/** The service worker opens this page when there is no network. */
async function install(till) {
  if (!navigator.serviceWorker) return;
  try {
    await navigator.serviceWorker.register("/publisher/till/worker.js", { scope: "/publisher/till" });
    const { active } = await navigator.serviceWorker.ready;
    active.postMessage({ keep: `/publisher/till?till=${till}` });
  } catch {
    // Then it opens with a network only.
  }
}
