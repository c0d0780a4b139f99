/** Run `refresh` now and at every beginning of a period of `seconds`, as the rotating code does. */
export function everyPeriod(seconds, refresh) {
  refresh();
  const period = seconds * 1000;
  setTimeout(() => everyPeriod(seconds, refresh), period - (Date.now() % period));
}
