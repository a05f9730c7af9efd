// Regions over the picture: a tint of one that was found; and a mask made of segments, brush, eraser, or a file.

import { pixels } from "./api.js";
import { chooser, h, save, say, tool, trying } from "./dom.js";
import { segments } from "./segments.js";

const WAYS = [["segments", "Segments: click to take in or out"], ["brush", "Brush"], ["erase", "Eraser"]];

const TINT = [255, 30, 130], COLOR = `rgb(${TINT})`;

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

export class Mask {
  constructor(stage) {
    this.stage = stage;
    this.hint = h("canvas.layer.hint");
    this.canvas = h("canvas.layer.paint", { tabindex: "0", role: "application", label: "Mask. Arrows move, space paints or takes a segment, E changes to the eraser" });
    this.cursor = h("div.brush", { hidden: true });
    this.size = h("input", { type: "range", min: "1", value: "30", label: "Size of the brush", oninput: () => this.sized() });
    this.ways = WAYS.map(([way, words]) => tool(way, words, () => this.turn(way), { "data-way": way }));
    const file = chooser("image/*", ([one]) => this.read(one));
    this.tools = h("div.tools", { role: "toolbar", label: "Mask" }, h("div.group", this.ways, this.size),
      h("div.group", tool("undo", "Undo stroke", () => this.back()), tool("invert", "Invert", () => this.invert()), tool("trash", "Clear", () => this.clear()), tool("up", "Upload a mask", () => file.click()), tool("down", "Download the mask", () => this.write()), file));
  }

  // Starts on a region (gray pixels) or on nothing; `of` is the picture whose segments can be chosen.
  open(region, of) {
    const { stage } = this, { width, height } = stage.size;
    for (const one of [this.canvas, this.hint]) Object.assign(one, { width, height });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    Object.assign(this, { strokes: [], of, segments: null, place: [width / 2, height / 2], ends: new AbortController() });
    this.turn("segments");
    this.sized();
    if (region) this.lay(region);
    stage.overlay.append(this.canvas, this.hint, this.cursor);
    stage.node.insertBefore(this.tools, stage.tools);
    this.listen();
    this.shown(true);
    this.canvas.focus();
  }

  close() {
    this.ends?.abort();
    for (const node of [this.canvas, this.hint, this.cursor, this.tools]) node.remove();
    this.shown(false);
  }

  shown(on) {
    const { stage } = this;
    stage.painting = stage.tools.hidden = on;
    stage.compare(stage.mode);
    stage.node.classList.toggle("masking", on);
  }

  // Gray pixels become paint.
  lay({ data, width, height }) {
    const own = new OffscreenCanvas(width, height), context = own.getContext("2d"), out = context.createImageData(width, height);
    for (let i = 0; i < data.length; i += 4) if (data[i] > 127 && data[i + 3] > 127) out.data.set([...TINT, 255], i);
    context.putImageData(out, 0, 0);
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(own, 0, 0, this.canvas.width, this.canvas.height);
  }

  sized() {
    this.radius = Math.max(0.5, Math.max(this.canvas.width, this.canvas.height) * 0.12 * (this.size.value / 100) ** 1.6);
    this.cursor.style.width = this.cursor.style.height = `${2 * this.radius}px`;
  }

  async turn(way) {
    this.way = way;
    for (const one of this.ways) one.setAttribute("aria-pressed", one.dataset.way === way);
    this.size.disabled = way === "segments";
    this.over(0);
    if (way !== "segments" || this.segments) return;
    const { of, stage } = this;
    stage.node.classList.add("busy");
    const found = await trying(() => segments(of));
    stage.node.classList.remove("busy");
    if (this.of === of) this.segments = found;
    if (this.of === of && !found) this.turn("brush");
  }

  // Lights up a segment.
  over(number) {
    if (number === this.lit) return;
    this.lit = number;
    const context = this.hint.getContext("2d");
    context.clearRect(0, 0, this.hint.width, this.hint.height);
    context.fillStyle = "rgb(255 255 255 / .5)";
    if (number) this.segments.cells(number, (...cell) => context.fillRect(...cell));
  }

  // Takes a segment in, or out where the point is in already.
  toggle([x, y]) {
    const number = this.segments?.at(x, y), { context } = this;
    if (!number) return;
    this.keep();
    const inside = context.getImageData(x, y, 1, 1).data[3] > 127;
    context.fillStyle = COLOR;
    this.segments.cells(number, (...cell) => (inside ? context.clearRect(...cell) : context.fillRect(...cell)));
  }

  all() { return [0, 0, this.canvas.width, this.canvas.height]; }
  keep() {
    // A few steps back are kept, as many as memory bears.
    const most = Math.max(2, Math.min(12, Math.floor(4e7 / (this.canvas.width * this.canvas.height))));
    this.strokes.push(this.context.getImageData(...this.all()));
    if (this.strokes.length > most) this.strokes.shift();
  }
  back() { const last = this.strokes.pop(); if (last) this.context.putImageData(last, 0, 0); else say("There is no stroke to undo"); }
  clear() { this.keep(); this.context.clearRect(...this.all()); }
  invert() {
    this.keep();
    Object.assign(this.context, { globalCompositeOperation: "xor", fillStyle: COLOR });
    this.context.fillRect(...this.all());
    this.context.globalCompositeOperation = "source-over";
  }

  line(from, [x, y]) {
    const { context } = this;
    Object.assign(context, { globalCompositeOperation: this.way === "erase" ? "destination-out" : "source-over", strokeStyle: COLOR, lineWidth: 2 * this.radius, lineCap: "round", lineJoin: "round" });
    context.beginPath(); context.moveTo(...from); context.lineTo(x + 0.01, y); context.stroke();
    context.globalCompositeOperation = "source-over";
  }

  // A click, or the space bar.
  press(at) {
    if (this.way === "segments") { this.toggle(at); return; }
    this.keep();
    this.line(at, at);
  }

  listen() {
    const { canvas, cursor, stage } = this, on = (name, then) => canvas.addEventListener(name, then, { signal: this.ends.signal });
    let last = null;
    const to = (place) => {
      const by = this.way === "segments";
      this.place = place;
      Object.assign(cursor.style, { left: `${place[0] - this.radius}px`, top: `${place[1] - this.radius}px` });
      cursor.hidden = by;
      this.over((by && this.segments?.at(...place)) || 0);
    };
    on("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.press(last = stage.at(event));
    });
    on("pointermove", (event) => {
      to(stage.at(event));
      if (last && this.way !== "segments") { this.line(last, this.place); last = this.place; }
    });
    for (const end of ["pointerup", "pointercancel"]) on(end, () => { last = null; });
    on("pointerleave", () => { cursor.hidden = true; this.over(0); });
    on("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key], by = this.radius / (event.shiftKey ? 1 : 2);
      if (step) to(this.place.map((one, i) => one + step[i] * by));
      else if (event.key === " ") this.press(this.place);
      else if (event.key === "e") this.turn(this.way === "erase" ? "brush" : "erase");
      else if (event.key === "z" && (event.ctrlKey || event.metaKey)) this.back();
      else return;
      event.preventDefault(); event.stopPropagation();
    });
  }

  async read(file) {
    try {
      const image = pixels(await createImageBitmap(file));
      this.clear();
      this.lay(image);
    } catch { say("This file can't be read as a picture: choose a PNG, white where to edit", "bad"); }
  }

  // White where paint is, black elsewhere.
  async file() {
    if (!this.stage.painting) return null;
    const paint = this.context.getImageData(...this.all()), { data } = paint;
    let any = false;
    for (let i = 0; i < data.length; i += 4) {
      const value = data[i + 3] > 127 ? 255 : 0;
      any ||= value > 0;
      data.set([value, value, value, 255], i);
    }
    if (!any) return null;
    const own = new OffscreenCanvas(paint.width, paint.height);
    own.getContext("2d").putImageData(paint, 0, 0);
    return own.convertToBlob();
  }
  async write() { const file = await this.file(); if (file) save(file, "mask.png"); else say("The mask is empty: paint something first"); }
}
