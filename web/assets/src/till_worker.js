/* The till without a network. The server puts `self.SHELL` in front: the files that the page is made of. */

const FILES = `till-${self.SHELL.join()}`;
const PAGES = "till-pages";
const PLACE = "/publisher/till";
const PATIENCE_MS = 5_000;

addEventListener("install", (event) => {
  event.waitUntil(caches.open(FILES).then((cache) => cache.addAll(self.SHELL)).then(() => skipWaiting()));
});

addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    await clients.claim();
    if (await renewed()) await forgetOlder();
  })());
});

/** Whether the pages that were kept are now of the files that this worker has. */
async function renewed() {
  const pages = await (await caches.open(PAGES)).keys();
  const fresh = await Promise.allSettled(pages.map(({ url }) => fetched(new Request(url))));
  return fresh.every(({ status, value }) => status === "fulfilled" && value.ok);
}

async function forgetOlder() {
  const older = (await caches.keys()).filter((name) => name.startsWith("till-") && name !== FILES && name !== PAGES);
  await Promise.all(older.map((name) => caches.delete(name)));
}

addEventListener("message", (event) => {
  if (typeof event.data?.keep === "string") event.waitUntil(fetched(new Request(event.data.keep)).catch(() => {}));
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname.startsWith("/static/")) event.respondWith(file(request));
  else if (url.pathname === PLACE && request.mode === "navigate") event.respondWith(till(request));
});

async function file(request) {
  return (await caches.match(request)) ?? fetch(request);
}

/** The page as the server has it, or as it was last seen where the server does not answer. */
async function till(request) {
  const fresh = fetched(request);
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
  const first = await Promise.race([fresh, late]).catch(() => undefined);
  return first ?? (await kept(request)) ?? fresh;
}

async function fetched(request) {
  const answer = await fetch(request);
  const pages = await caches.open(PAGES);
  if (answer.type === "opaqueredirect" || answer.redirected) {
    await caches.delete(PAGES); // nobody is signed in here any more
  } else if (answer.ok) {
    const { searchParams } = new URL(request.url);
    // A page that says how something went is not to say so again.
    if (!searchParams.has("done") && !searchParams.has("refused")) await pages.put(request.url, answer.clone());
  }
  return answer;
}

/** What was kept of the same till, or of the one till that this device is. */
async function kept(request) {
  const pages = await caches.open(PAGES);
  const wanted = new URL(request.url).searchParams.get("till");
  const all = await pages.keys();
  const same = all.find(({ url }) => new URL(url).searchParams.get("till") === wanted);
  const any = wanted === null ? all.find(({ url }) => new URL(url).searchParams.has("till")) : undefined;
  const found = same ?? any;
  return found && pages.match(found);
}
