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

// The same, or what to write instead.
export const needed = (text) => {
  const color = parse(text);
  if (!color) throw new Error(`“${text}” is no color: write #1F6F8B, or a name such as teal`);
  return color;
};

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// The plain word for a color: models know words better than numbers. How far apart two are is weighed by how red they are.
export const word = (color) => {
  const [r, g, b] = rgb(color);
  const far = ([, one]) => { const [x, y, z] = rgb(one), red = (r + x) / 512; return (2 + red) * (r - x) ** 2 + 4 * (g - y) ** 2 + (3 - red) * (b - z) ** 2; };
  return PALETTE.reduce((best, one) => (far(one) < far(best) ? one : best))[0];
};
