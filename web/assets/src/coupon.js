import { correction, generate } from "lean-qr";
import { toSvg } from "lean-qr/extras/svg";
import { pageBegan, serverClock } from "./server_clock.js";
import { importKey, tokenAt } from "./token.js";
import { watch } from "./watch.js";

const box = document.querySelector("[data-qr]");
if (box) show(box);

/** Keep the QR in `box` good, and leave the page when the coupon is used. */
async function show(box) {
  const { qr: place, redemption } = box.dataset;
  const [stepSeconds, serverMs] = [Number(box.dataset.stepSeconds), Number(box.dataset.serverMs)];
  const clock = serverClock();
  clock.set(serverMs, pageBegan());
  const offline = Boolean(globalThis.crypto?.subtle);
  const draw = offline ? await fromKey(box, redemption) : () => fromServer(place);
  const say = notes(box, offline);
  const left = document.querySelector("[data-qr-left]");
  left.dataset.running = "";

  let drawn = Math.floor(serverMs / 1000 / stepSeconds); // the server drew the first one
  async function renew(step) {
    drawn = step;
    try {
      const svg = await draw(step);
      if (drawn !== step) return; // a later one was quicker
      box.replaceChildren(svg);
      say({ stale: false });
    } catch {
      say({ stale: true });
    }
  }

  let next = null;
  function tick() {
    clearTimeout(next);
    const seconds = Math.floor(clock.now() / 1000);
    const step = Math.floor(seconds / stepSeconds);
    left.value = stepSeconds - (seconds % stepSeconds);
    if (step !== drawn) renew(step);
    if (!document.hidden) next = setTimeout(tick, 1000 - (clock.now() % 1000));
  }

  tick();
  document.addEventListener("visibilitychange", tick);
  addEventListener("online", () => renew(drawn));
  addEventListener("offline", () => say({}));
  watch(async () => {
    const answer = await fetch(`${place}/status`, { cache: "no-store", redirect: "error" });
    if (!answer.ok) return;
    const { status, server_ms } = await answer.json();
    if (status !== "issued") location.reload();
    clock.set(server_ms);
  });
}

/** Draws a step's QR out of the coupon's key, which is taken out of the page. */
async function fromKey(box, redemption) {
  const key = await importKey(box.dataset.key);
  delete box.dataset.key;
  return async (step) => {
    const code = generate(await tokenAt(redemption, key, step), { minCorrectionLevel: correction.M });
    return toSvg(code, document, { pad: 2, on: "#000" });
  };
}

/** The QR as the server draws it: outside of a secure context browsers have no WebCrypto. */
async function fromServer(place) {
  const answer = await fetch(`${place}/qr`, { cache: "no-store", redirect: "error" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const drawn = new DOMParser().parseFromString(await answer.text(), "image/svg+xml");
  return document.importNode(drawn.documentElement, true);
}

/** Says below the QR how it stands: stale, good without a network (where it is, `offline`), or changing as it should. */
function notes(box, offline) {
  const line = document.querySelector("[data-qr-note]");
  const fresh = line.textContent;
  return ({ stale = box.classList.contains("qr--stale") }) => {
    box.classList.toggle("qr--stale", stale);
    const good = offline && !navigator.onLine ? line.dataset.offline : fresh;
    const text = stale ? line.dataset.stale : good;
    if (line.textContent !== text) line.textContent = text;
  };
}
