const KEPT = "chutan-till-sound";
const TUNES = {
  good: { notes: [[660, 0, 0.12], [990, 0.13, 0.22]], wave: "sine", shake: 80 },
  bad: { notes: [[180, 0, 0.25], [140, 0.3, 0.4]], wave: "square", shake: [200, 100, 200] },
  unchecked: { notes: [[440, 0, 0.15], [440, 0.3, 0.15]], wave: "triangle", shake: [80, 80, 80] },
};

/** Plays how it went, unless `button` has turned it off; a phone shakes too. Browsers wait for a touch before sound. */
export function sounds(button) {
  let isOn = read() !== "off";
  let context = null;

  function wake() {
    const Context = globalThis.AudioContext ?? globalThis.webkitAudioContext;
    if (!isOn || !Context) return;
    context ??= new Context();
    if (context.state === "suspended") context.resume().catch(() => {});
  }

  for (const touch of ["pointerdown", "keydown"]) addEventListener(touch, wake, { capture: true, passive: true });
  button.hidden = false;
  button.setAttribute("aria-pressed", String(isOn));
  button.addEventListener("click", () => {
    isOn = !isOn;
    write(isOn ? "on" : "off");
    button.setAttribute("aria-pressed", String(isOn));
    if (isOn) wake();
  });

  return (how) => {
    const tune = TUNES[how];
    if (!tune || !isOn) return;
    navigator.vibrate?.(tune.shake);
    if (context?.state === "running") tune.notes.forEach((note) => play(context, tune.wave, ...note));
  };
}

function play(context, wave, frequency, begin, seconds) {
  const [tone, volume] = [context.createOscillator(), context.createGain()];
  const at = context.currentTime + begin;
  tone.type = wave;
  tone.frequency.value = frequency;
  volume.gain.setValueAtTime(0.001, at);
  volume.gain.exponentialRampToValueAtTime(0.4, at + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.001, at + seconds);
  tone.connect(volume).connect(context.destination);
  tone.start(at);
  tone.stop(at + seconds);
}

function read() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // a browser that keeps nothing
  }
}

function write(value) {
  try {
    localStorage.setItem(KEPT, value);
  } catch {
    // It is on again the next time.
  }
}
