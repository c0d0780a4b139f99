import { prepareZXingModule, readBarcodes } from "zxing-wasm/reader";
import readerWasm from "zxing-wasm/reader/zxing_reader.wasm";

prepareZXingModule({ overrides: { locateFile: () => readerWasm } });

/** The text of the first QR code in `image` (a Blob or ImageData), or null. */
export async function readCode(image) {
  const [found] = await readBarcodes(image, { formats: ["QRCode"], maxNumberOfSymbols: 1 });
  return found?.text ?? null;
}
