// Proof that nothing else changed: the pictures themselves, compared pixel by pixel outside the mattes.

import { bitmap, content, picture, pixels, request, result } from "./api.js";

const digest = async (bytes) => [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map((one) => one.toString(16).padStart(2, "0")).join("");

// Compares a turn's result with the session's picture, or with the turn before it: what no matte on the way reaches must be the same.
export const prove = async (session, turn) => {
  const path = session.path(turn), file = await (await request("GET", content(session.image), { tries: 4 })).blob();
  const before = pixels(await bitmap(file)), jpeg = file.type === "image/jpeg";
  const after = pixels(await picture(result(turn.id)));
  const size = `${after.width} x ${after.height}`;
  if (before.width !== after.width || before.height !== after.height) return { size, other: `${before.width} x ${before.height}` };
  const reached = new Uint8Array(after.width * after.height);
  for (const one of path) {
    const matte = await picture(`/v1/edits/${one.id}/matte`).catch((error) => { if (error.status === 404) return null; throw error; });
    if (!matte) return { size, without: one };
    const { data } = pixels(matte);
    for (let i = 0; i < reached.length; i++) if (data[4 * i] > 0) reached[i] = 1;
  }
  // A block of a JPEG changes as a whole, and decoders smooth over its border.
  if (jpeg) blocks(reached, after.width, after.height);
  let outside = 0, other = 0, inside = 0;
  const kept = [new Uint8Array(before.data.length), new Uint8Array(before.data.length)];
  for (let i = 0, at = 0; i < reached.length; i++) {
    let same = true;
    for (let c = 0; c < 4; c++) same &&= before.data[4 * i + c] === after.data[4 * i + c];
    if (reached[i]) { inside += !same; continue; }
    outside++;
    other += !same;
    for (let c = 0; c < 4; c++, at++) { kept[0][at] = before.data[4 * i + c]; kept[1][at] = after.data[4 * i + c]; }
  }
  const [was, is] = crypto.subtle ? await Promise.all(kept.map((bytes) => digest(bytes.subarray(0, 4 * outside)))) : [null, null];
  return { size, outside, changed: other, inside, was, is, jpeg, turns: path.length };
};

// Widens what is reached to whole blocks of 16 pixels and two around them.
const blocks = (reached, width, height) => {
  const cells = new Set();
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) if (reached[y * width + x]) cells.add((y >> 4) * 65536 + (x >> 4));
  for (const cell of cells) {
    const [top, left] = [(cell >> 16) * 16 - 2, (cell & 65535) * 16 - 2];
    for (let y = Math.max(0, top); y < Math.min(height, top + 20); y++) reached.fill(1, y * width + Math.max(0, left), y * width + Math.min(width, left + 20));
  }
};
