import htmx from "htmx.org";

/**
 * A form that saves itself: htmx sends it when typing pauses, and here it is sent when the page is left, and again
 * when the network is back. Whoever goes on while it is being sent waits for that, so that no page contradicts itself.
 */
const form = document.querySelector("#wizard");
const keeper = document.querySelector("#keeper");
let unsaved = false;
let sending = false;
let going = null;

form.addEventListener("input", () => (unsaved = true));

form.addEventListener("submit", (event) => {
  unsaved = false;
  if (!sending) return;
  event.preventDefault();
  going = event.submitter;
});

keeper.addEventListener("htmx:beforeRequest", () => {
  sending = true;
  unsaved = false;
});

keeper.addEventListener("htmx:afterRequest", ({ detail }) => {
  sending = false;
  if (!detail.successful) unsaved = true;
  if (going) {
    const by = going;
    going = null;
    // The answer is put into the page first: it tells which version the form now is.
    setTimeout(() => form.requestSubmit(by));
  }
});

// A page that cannot save itself keeps what was typed, and says so.
for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"])
  keeper.addEventListener(failure, (event) => {
    event.stopPropagation();
    const kept = document.querySelector("#kept");
    kept.textContent = keeper.dataset.failed;
    kept.classList.add("kept--bad");
  });

addEventListener("online", () => unsaved && htmx.trigger(keeper, "keep"));
document.addEventListener("visibilitychange", () => document.hidden && unsaved && htmx.trigger(keeper, "keep"));
addEventListener("pagehide", () => {
  if (!unsaved && !sending) return;
  const fields = new FormData(form);
  fields.set("then", "keep");
  navigator.sendBeacon(keeper.dataset.place, fields);
});
// A page that comes back out of the browser's memory may be older than what was saved when it was left.
addEventListener("pageshow", (event) => event.persisted && location.reload());
