/**
 * The server's clock, whatever this device's says: `set` it by what the server told, and `now` goes on from there in
 * milliseconds since 1970.
 *
 * The monotonic clock carries it, which nobody sets. It stands still on some devices while they sleep, where the
 * other one goes on: the longer of the two times is the true one.
 */
export function serverClock() {
  let told = { server: 0, monotonic: 0, wall: 0 };
  return {
    set(server, monotonic = performance.now()) {
      told = { server, monotonic, wall: Date.now() - (performance.now() - monotonic) };
    },
    now() {
      return told.server + Math.max(performance.now() - told.monotonic, Date.now() - told.wall);
    },
  };
}

/** When the first byte of this page came, by the monotonic clock: that is when the time in it was true. */
export function pageBegan() {
  return performance.getEntriesByType("navigation")[0]?.responseStart ?? 0;
}
