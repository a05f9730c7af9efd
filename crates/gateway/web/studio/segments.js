// The segments that edits are located by: read as they are stored, found by where one points.

import { get, pause, post, request } from "./api.js";

// The segments of a picture, made first where nobody has asked for them before.
export const segments = async (of) => {
  const path = of.parent ? `/v1/edits/${of.parent}/segmentation` : `/v1/images/${of.image}/segmentation`;
  let found;
  try {
    found = await get(path);
  } catch (error) {
    if (error.code !== "segmentation_not_found") throw error;
    const { id } = await post(path, {});
    for (;;) {
      const { state, error: failed } = await get(`/v1/edits/${id}`);
      if (failed && state === "failed") throw new Error(failed.message);
      if (state === "succeeded") break;
      await pause(150);
    }
    found = await get(path);
  }
  const labels = await gray16(await (await request("GET", found.labels, { tries: 4 })).arrayBuffer());
  const { width, height, grid } = found;
  const cell = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? -1 : Math.floor((y * grid) / height) * grid + Math.floor((x * grid) / width));
  return {
    at: (x, y) => labels[cell(x, y)] || 0,
    // Calls back with the rectangle of every cell of a segment.
    cells(number, then) {
      const from = (i, size) => Math.ceil((i * size) / grid);
      labels.forEach((label, at) => {
        if (label !== number) return;
        const [i, j] = [at % grid, Math.floor(at / grid)], [x, y] = [from(i, width), from(j, height)];
        then(x, y, from(i + 1, width) - x, from(j + 1, height) - y);
      });
    },
  };
};

// A gray PNG of 16 bits: canvases would keep the upper eight alone.
const gray16 = async (buffer) => {
  const view = new DataView(buffer), parts = [];
  let [width, height] = [0, 0];
  for (let at = 8; at < buffer.byteLength;) {
    const length = view.getUint32(at), kind = String.fromCharCode(...new Uint8Array(buffer, at + 4, 4));
    if (kind === "IHDR") [width, height] = [view.getUint32(at + 8), view.getUint32(at + 12)];
    if (kind === "IDAT") parts.push(new Uint8Array(buffer, at + 8, length));
    at += 12 + length;
  }
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer()), row = 2 * width, out = new Uint8Array(row * height);
  const paeth = (a, b, c) => {
    const [x, y, z] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
    return x <= y && x <= z ? a : y <= z ? b : c;
  };
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (row + 1)];
    for (let x = 0; x < row; x++) {
      const at = y * row + x, a = x > 1 ? out[at - 2] : 0, b = y ? out[at - row] : 0, c = x > 1 && y ? out[at - row - 2] : 0;
      out[at] = raw[y * (row + 1) + 1 + x] + [0, a, b, (a + b) >> 1, paeth(a, b, c)][filter];
    }
  }
  return Uint16Array.from({ length: width * height }, (_, i) => (out[2 * i] << 8) | out[2 * i + 1]);
};
