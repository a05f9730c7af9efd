// Regions as tints over the picture: found ones, painted ones.

import { pixels } from "./api.js";

const TINT = [255, 30, 130];

// A gray picture as a tint with an edge: white shows, black does not.
export const tint = ({ data, width, height }, canvas) => {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), out = context.createImageData(width, height);
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && data[(y * width + x) * 4] > 127;
  const edge = Math.max(1, Math.round(Math.max(width, height) / 420));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!inside(x, y)) continue;
      const rim = !(inside(x - edge, y) && inside(x + edge, y) && inside(x, y - edge) && inside(x, y + edge));
      out.data.set([...TINT, rim ? 240 : 96], (y * width + x) * 4);
    }
  }
  context.putImageData(out, 0, 0);
};

export const load = async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  return pixels(await createImageBitmap(image));
};
