const text = new TextEncoder();

/** A coupon's key out of base64url, for `tokenAt`; whoever holds the answer cannot read it back. */
export function importKey(encoded) {
  const bytes = Uint8Array.from(atob(encoded.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}

/** The token of `redemption` (32 hexadecimal digits) in `step`, exactly as marketplace/coupons.py makes it. */
export async function tokenAt(redemption, key, step) {
  const digest = await crypto.subtle.sign("HMAC", key, text.encode(`${redemption}.${step}`));
  const mac = btoa(String.fromCharCode(...new Uint8Array(digest, 0, 16)));
  return `CT.${redemption}.${step}.${mac.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "")}`;
}
