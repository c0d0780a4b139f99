import { prepareZXingModule, readBarcodes } from "zxing-wasm/reader";
import readerWasm from "zxing-wasm/reader/zxing_reader.wasm";

prepareZXingModule({ overrides: { locateFile: () => readerWasm } });

const FRAME_PAUSE_MS = 120;

/** The text of the first QR code in `image` (a Blob or ImageData), or null. */
export async function readCode(image) {
  const [found] = await readBarcodes(image, { formats: ["QRCode"], maxNumberOfSymbols: 1 });
  return found?.text ?? null;
}

const form = document.querySelector("[data-till]");
if (form) awaitCode(form);
if (form && navigator.mediaDevices?.getUserMedia) offerScanning(form);

/** A hand-held scanner types where the cursor stands: into the code, over what stands there, unless a field is wrong. */
function awaitCode(form) {
  const field = form.querySelector("[aria-invalid]") ?? form.elements.code;
  field.focus({ preventScroll: true });
  field.select();
}

function offerScanning(form) {
  const start = form.querySelector("[data-scan]");
  const scanner = form.querySelector("[data-scanner]");
  const video = scanner.querySelector("video");
  const note = scanner.querySelector("[data-scanner-note]");
  const aim = note.textContent;
  let stream = null;

  function stop() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
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
      const code = await firstCode(video, () => stream !== null);
      if (code === null) return;
      stop();
      form.elements.code.value = code;
      form.requestSubmit();
    } catch {
      stream?.getTracks().forEach((track) => track.stop());
      stream = null;
      note.textContent = note.dataset.failed;
    }
  }

  start.hidden = false;
  start.addEventListener("click", scan);
  scanner.querySelector("[data-scan-stop]").addEventListener("click", stop);
}

/** The first code that the camera sees; null when `isOpen` says that it was closed. */
async function firstCode(video, isOpen) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  while (isOpen()) {
    if (video.videoWidth) {
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      context.drawImage(video, 0, 0);
      const code = await readCode(context.getImageData(0, 0, canvas.width, canvas.height));
      if (code !== null) return code;
    }
    await new Promise((resume) => setTimeout(resume, FRAME_PAUSE_MS));
  }
  return null;
}
