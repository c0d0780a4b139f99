/** The reader of QR codes, which is large, and so is loaded when it is first needed. */
export const reader = () => import("./camera.js");

/** Lets the camera of `form` read a code, and hands it to `take`. */
export function offerScanning(form, take) {
  if (!navigator.mediaDevices?.getUserMedia) return;
  const start = form.querySelector("[data-scan]");
  const scanner = form.querySelector("[data-scanner]");
  const video = scanner.querySelector("video");
  const note = scanner.querySelector("[data-scanner-note]");
  const aim = note.textContent;
  let stream = null;

  function dark() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
  }

  function stop() {
    dark();
    scanner.hidden = true;
    start.hidden = false;
  }

  async function scan() {
    scanner.hidden = false;
    start.hidden = true;
    scanner.scrollIntoView({ block: "center" });
    note.textContent = aim;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      video.srcObject = stream;
      await video.play();
      const { firstCode } = await reader();
      const code = await firstCode(video, () => stream !== null);
      if (code === null) return;
      stop();
      take(code);
    } catch {
      dark();
      note.textContent = note.dataset.failed;
    }
  }

  start.hidden = false;
  start.addEventListener("click", scan);
  scanner.querySelector("[data-scan-stop]").addEventListener("click", stop);
}
