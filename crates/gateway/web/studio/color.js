// Colors as people write them, and the words nearest to them.

export const PALETTE = [["red", "#c62828"], ["orange", "#e07a1f"], ["yellow", "#e8c02f"], ["green", "#3a8a3c"], ["teal", "#1f8f89"], ["blue", "#2f62c9"],
  ["purple", "#7a3fa8"], ["pink", "#e88bab"], ["brown", "#7a4a25"], ["white", "#f2f0ea"], ["gray", "#85858a"], ["black", "#232326"]];

export const parse = (text) => {
  const hex = text.trim().match(/^#?([0-9a-f]{6}|[0-9a-f]{3})$/i);
  if (hex) return `#${hex[1].length === 3 ? [...hex[1]].map((digit) => digit + digit).join("") : hex[1]}`.toUpperCase();
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  // What is no color leaves the one before, and both can't be its name.
  const read = ["#010203", "#030201"].map((before) => { context.fillStyle = before; context.fillStyle = text.trim(); return context.fillStyle; });
  return read[0] === read[1] && /^#[0-9a-f]{6}$/.test(read[0]) ? read[0].toUpperCase() : null;
};

export const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
export const hex = ([r, g, b]) => `#${[r, g, b].map((one) => Math.round(one).toString(16).padStart(2, "0")).join("")}`.toUpperCase();

const lab = (color) => {
  const [r, g, b] = rgb(color).map((one) => { const v = one / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
  const [x, y, z] = [(0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505, 0.2126 * r + 0.7152 * g + 0.0722 * b, (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089]
    .map((v) => (v > 0.008856 ? Math.cbrt(v) : 7.787 * v + 16 / 116));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
};

// The plain word for a color: models know words better than numbers.
export const word = (color) => {
  const to = lab(color), far = ([, one]) => Math.hypot(...lab(one).map((v, i) => v - to[i]));
  return PALETTE.reduce((best, one) => (far(one) < far(best) ? one : best))[0];
};
