import { watch } from "../watch.js";
import { yuan } from "./boxes.js";

const WAITING = new Set(["sending", "waiting"]);

/** The list of what is not checked yet: shown, sent when the network is back, and its conflicts kept until seen. */
export function waitingList(page, { queue, desk, box, words, till, play }) {
  const section = page.querySelector("[data-queue]");
  const list = section.querySelector("[data-queue-list]");
  const count = section.querySelector("[data-queue-count]");
  const elsewhere = section.querySelector("[data-queue-elsewhere]");
  const inHand = new Set();
  const settled = [];
  let sending = false;

  async function render() {
    const entries = await queue.all();
    const own = entries.filter((entry) => entry.till === till && !inHand.has(entry.key));
    const waiting = own.filter((entry) => WAITING.has(entry.state));
    list.replaceChildren(...own.map(row), ...settled.map(({ entry, done }) => filled("settled", entry, given(done))));
    count.textContent = waiting.length ? `(${waiting.length})` : "";
    elsewhere.hidden = entries.every((entry) => entry.till === till);
    section.hidden = !own.length && !settled.length && elsewhere.hidden;
    section.querySelector("[data-queue-send]").hidden = !waiting.length;
    return waiting;
  }

  function row(entry) {
    if (WAITING.has(entry.state)) return filled("waiting", entry, entry.why ?? "");
    const made = filled("conflict", entry, entry.why);
    made.querySelector("[data-seen]").addEventListener("click", async () => {
      await queue.remove(entry);
      render();
    });
    return made;
  }

  function filled(name, entry, why) {
    const what = entry.code.startsWith("CT.") ? words.scanned : entry.code;
    const when = new Date(entry.scannedMs).toLocaleTimeString("zh-CN", { timeStyle: "short", timeZone: "Asia/Shanghai" });
    return box(name, { what: entry.bill ? `${what} · ¥${entry.bill}` : what, when, why });
  }

  async function sendAll() {
    if (sending) return;
    sending = true;
    try {
      for (const entry of await render()) if (!(await sendOne(entry))) break;
    } finally {
      sending = false;
    }
  }

  /** Whether the next one may be tried. */
  async function sendOne(entry) {
    const outcome = await desk.send(entry, { later: true });
    const { state, done } = outcome;
    if (state === "good") {
      settled.push({ entry, done });
      await queue.remove(entry);
    } else if (state === "refused") {
      await queue.put({ ...entry, state: "conflict", why: outcome.why });
    } else {
      await queue.put({ ...entry, state: "waiting", why: state === "blocked" ? words.blocked : "" });
    }
    await render();
    if (state === "good" || state === "refused") play(state === "good" ? "good" : "bad");
    return state === "good" || state === "refused";
  }

  async function inTurn() {
    if (navigator.locks) await navigator.locks.request("chutan-till-queue", { ifAvailable: true }, (lock) => lock && sendAll());
    else await sendAll();
  }

  section.querySelector("[data-queue-send]").addEventListener("click", inTurn);
  watch(inTurn);
  inTurn();
  return { inHand, render };
}

function given({ title, off_the_bill: isDiscount, discount_fen: discount }) {
  return isDiscount ? `${title} −${yuan(discount)}` : title;
}
