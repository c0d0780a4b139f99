import { charts } from "./charts.js";

const box = document.querySelector("#insight");
if (box) {
  const drawn = charts(box);
  follow(box, drawn);
}

const AGAIN_MS = 3_000;
const AT_MOST_MS = 60_000;

/**
 * Show what the stream of `box` brings: it is the same part of the page, as the server would show it now.
 *
 * A browser tries again by itself when the network fails, but not when it is refused (too many streams, a server that
 * starts): so that is done here, ever more rarely. A stream that `end`s says that this page is no longer ours to see.
 */
function follow(box, drawn) {
  const state = box.querySelector("[data-state]");
  let pause = AGAIN_MS;
  let source = null;

  function open() {
    source = new EventSource(box.dataset.stream);
    source.addEventListener("open", () => {
      pause = AGAIN_MS;
      say(box.dataset.live);
    });
    source.addEventListener("insight", ({ data }) => {
      replace(box, data);
      drawn.draw();
    });
    source.addEventListener("end", () => {
      source.close();
      location.reload();
    });
    source.addEventListener("error", () => {
      say(box.dataset.lost);
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(open, pause);
      pause = Math.min(pause * 2, AT_MOST_MS);
    });
  }

  function say(words) {
    if (state.textContent !== words) state.textContent = words;
  }

  open();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", ({ persisted }) => persisted && open());
}

/** Put the parts of `html` in the place of those that differ, so that where one has scrolled to stays. */
function replace(box, html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const old = box.querySelector(`#${part.id}`);
    if (!old) return location.reload(); // an offer or a store more than the page has a place for
    if (old.innerHTML !== part.innerHTML) old.replaceChildren(...part.childNodes);
  }
}
