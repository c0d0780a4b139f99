const DATABASE = "chutan-till";
const CODES = "codes";

/**
 * What this device has not got an answer to, and conflicts that nobody has seen yet: kept in IndexedDB, so that it
 * outlives the page. An entry is `{key, till, code, bill, scannedMs, state, why}`; its key is made once, when it is
 * scanned.
 */
export async function openQueue() {
  const database = await settled(Object.assign(indexedDB.open(DATABASE, 1), {
    onupgradeneeded: ({ target }) => target.result.createObjectStore(CODES, { keyPath: "key" }),
  }));

  async function change(how) {
    const transaction = database.transaction(CODES, "readwrite", { durability: "strict" });
    how(transaction.objectStore(CODES));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
  }

  return {
    put: (entry) => change((codes) => codes.put(entry)),
    remove: (entry) => change((codes) => codes.delete(entry.key)),
    async all() {
      const entries = await settled(database.transaction(CODES).objectStore(CODES).getAll());
      return entries.sort((one, other) => one.scannedMs - other.scannedMs);
    },
  };
}

/** An idempotency key: 128 bits of chance, outside of secure contexts too. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
