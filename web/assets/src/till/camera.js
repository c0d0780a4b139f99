import { prepareZXingModule, readBarcodes } from "zxing-wasm/reader";
import readerWasm from "zxing-wasm/reader/zxing_reader.wasm";

prepareZXingModule({ overrides: { locateFile: () => readerWasm } });

const FRAME_PAUSE_MS = 120;

/** The text of the first QR code in `image` (a Blob or ImageData), or null. */
export async function readCode(image) {
  const [found] = await readBarcodes(image, { formats: ["QRCode"], maxNumberOfSymbols: 1 });
  return found?.text ?? null;
}

/** The first code that `video` shows; null when `isOpen` says that it was closed. */
export async function firstCode(video, isOpen) {
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
