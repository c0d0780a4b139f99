const PLACE = "/publisher/till";
const PATIENCE_MS = 8_000;
const KEPT = "chutan-till-clock";
const WAIT = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * The server, as one till talks to it. `send` answers what became of an entry: `good` with what was given, `refused`
 * with why, `waiting` where the server did not answer, `blocked` where this device is not signed in for it any more.
 */
export function openDesk(csrf) {
  let apartMs = readApart();

  function heard(serverMs) {
    apartMs = serverMs - Date.now();
    try {
      localStorage.setItem(KEPT, String(apartMs));
    } catch {
      // Then the device's own clock has to do, the next time without a network.
    }
  }

  async function greet() {
    const answer = await ask("/state", {});
    if (answer && !answer.ok) return verdictOf(answer.status, "");
    const state = await answer?.json().catch(() => null);
    if (!state) return "waiting";
    heard(state.server_ms);
    csrf = state.csrf;
    for (const field of document.querySelectorAll('[name="_csrf_token"]')) field.value = csrf;
    return "good";
  }

  async function post(entry, later) {
    const body = new URLSearchParams({ till: entry.till, code: entry.code, bill: entry.bill, key: entry.key });
    if (later) body.set("scanned_at", new Date(entry.scannedMs).toISOString());
    const answer = await ask("/checks", { method: "POST", body, headers: { "X-CSRF-Token": csrf } });
    if (answer === null) return { state: "waiting" };
    const said = await answer.json().catch(() => null);
    if (said === null) return { state: "waiting" };
    if (answer.ok) {
      heard(said.server_ms);
      return { state: "good", done: said };
    }
    const state = verdictOf(answer.status, said.code);
    return { state, status: answer.status, why: said.errors?.[0]?.detail ?? said.detail, field: said.errors?.[0]?.field };
  }

  addEventListener("online", greet);
  return {
    now: () => Date.now() + apartMs,
    greet,
    async send(entry, { later = false } = {}) {
      const outcome = await post(entry, later);
      // The page may be older than the token that guards its forms: a new one, and once more.
      if (outcome.status === 403 && (await greet()) === "good") return post(entry, later);
      return outcome;
    },
  };
}

/** The answer, or null if there is none. */
async function ask(place, options) {
  const headers = { Accept: "application/json", ...options.headers };
  try {
    return await fetch(PLACE + place, {
      ...options, headers, cache: "no-store", redirect: "error", signal: AbortSignal.timeout?.(PATIENCE_MS),
    });
  } catch {
    return null;
  }
}

function verdictOf(status, code) {
  if (WAIT.has(status) || code === "idempotency_in_flight") return "waiting";
  return status === 401 || status === 403 || code === "not_found" ? "blocked" : "refused";
}

function readApart() {
  try {
    return Number(localStorage.getItem(KEPT)) || 0;
  } catch {
    return 0;
  }
}
