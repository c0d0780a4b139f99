const SOONEST_MS = 3_000;
const LATEST_MS = 30_000;
const SLOWER = 1.5;

/**
 * Ask `ask` now and then, ever more rarely, while the page is looked at and online. Begins anew when somebody comes
 * back to the page or the network does. What `ask` throws is a question without an answer.
 */
export function watch(ask) {
  let pause = SOONEST_MS;
  let next = null;

  function plan() {
    clearTimeout(next);
    next = document.hidden || !navigator.onLine ? null : setTimeout(turn, pause);
  }

  async function turn() {
    pause = Math.min(pause * SLOWER, LATEST_MS);
    await ask().catch(() => {});
    plan();
  }

  function restart() {
    pause = SOONEST_MS;
    if (document.hidden || !navigator.onLine) plan();
    else turn();
  }

  plan();
  document.addEventListener("visibilitychange", restart);
  addEventListener("online", restart);
  addEventListener("offline", restart);
}
