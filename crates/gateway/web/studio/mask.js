// A mask painted over the picture: brush, eraser, fill, invert, a file in and out.

import { pixels } from "./api.js";
import { button, make, save, say } from "./dom.js";
import { segments } from "./segments.js";

const COLOR = "rgb(255 30 130)";

export class Mask {
  constructor(stage, done) {
    Object.assign(this, { stage, done, radius: 0, strokes: [] });
    this.hint = make("canvas", { class: "layer hint" });
    this.canvas = make("canvas", { class: "layer paint", tabindex: "0", role: "application", "aria-label": "Mask. Arrows move, space paints or takes a segment, E changes to the eraser" });
    this.cursor = make("div", { class: "brush", hidden: true });
    const size = make("input", { type: "range", min: "1", max: "100", value: "30", "aria-label": "Size of the brush", oninput: () => this.sized(Number(size.value)) });
    this.size = size;
    this.ways = [["segments", "segments", "Segments: click to take in or out"], ["brush", "brush", "Brush"], ["erase", "erase", "Eraser"]].map(([way, name, words]) => button(name, words, () => this.turn(way), { bare: true, class: "quiet", "aria-pressed": "false", "data-way": way }));
    const file = make("input", { type: "file", accept: "image/*", hidden: true, onchange: () => this.read(file.files[0]) });
    this.tools = make("div", { class: "tools", role: "toolbar", "aria-label": "Mask" },
      make("div", { class: "group" }, ...this.ways, size),
      make("div", { class: "group" }, button("undo", "Undo stroke", () => this.back(), { bare: true, class: "quiet" }), button("invert", "Invert", () => this.invert(), { bare: true, class: "quiet" }), button("trash", "Clear", () => this.clear(), { bare: true, class: "quiet" }),
        button("up", "Upload a mask", () => file.click(), { bare: true, class: "quiet" }), button("down", "Download the mask", () => this.write(), { bare: true, class: "quiet" }), file));
  }

  // Starts on a region (gray pixels) or on nothing; `of` is the picture whose segments can be chosen.
  open(region, of) {
    const { width, height } = this.stage.size;
    Object.assign(this.canvas, { width, height });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    Object.assign(this, { strokes: [], of, segments: null });
    Object.assign(this.hint, { width, height });
    this.turn("brush");
    this.place = [width / 2, height / 2];
    this.sized(Number(this.size.value));
    if (region) this.lay(region);
    this.stage.overlay.append(this.canvas, this.hint, this.cursor);
    this.stage.painting = true;
    this.stage.compare(this.stage.mode);
    this.stage.node.classList.add("masking");
    this.listen();
    this.canvas.focus();
  }

  close() {
    this.stage.painting = false;
    this.stage.compare(this.stage.mode);
    this.stage.node.classList.remove("masking");
    this.ends?.abort();
    for (const node of [this.canvas, this.hint, this.cursor]) node.remove();
  }

  // Gray pixels become paint.
  lay({ data, width, height }) {
    const own = new OffscreenCanvas(width, height), context = own.getContext("2d"), out = context.createImageData(width, height);
    for (let i = 0; i < data.length; i += 4) if (data[i] > 127 && data[i + 3] > 127) out.data.set([255, 30, 130, 255], i);
    context.putImageData(out, 0, 0);
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(own, 0, 0, this.canvas.width, this.canvas.height);
  }

  sized(value) {
    const side = Math.max(this.canvas.width, this.canvas.height);
    this.radius = Math.max(0.5, side * 0.12 * (value / 100) ** 1.6);
    Object.assign(this.cursor.style, { width: `${2 * this.radius}px`, height: `${2 * this.radius}px` });
  }

  async turn(way) {
    this.way = way;
    for (const one of this.ways) one.setAttribute("aria-pressed", String(one.dataset.way === way));
    this.size.disabled = way === "segments";
    this.over(0);
    if (way !== "segments" || this.segments) return;
    const { of } = this;
    this.stage.node.classList.add("busy");
    try {
      const found = await segments(of);
      if (this.of === of) this.segments = found;
    } catch (error) {
      say(error.words || error.message, "bad");
      if (this.of === of) this.turn("brush");
    } finally { this.stage.node.classList.remove("busy"); }
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
    const number = this.segments?.at(x, y);
    if (!number) return;
    this.keep();
    const inside = this.context.getImageData(x, y, 1, 1).data[3] > 127;
    this.context.fillStyle = COLOR;
    this.segments.cells(number, (...cell) => (inside ? this.context.clearRect(...cell) : this.context.fillRect(...cell)));
  }

  keep() {
    // A few steps back are kept, as many as memory bears.
    const most = Math.max(2, Math.min(12, Math.floor(4e7 / (this.canvas.width * this.canvas.height))));
    this.strokes.push(this.context.getImageData(0, 0, this.canvas.width, this.canvas.height));
    if (this.strokes.length > most) this.strokes.shift();
  }
  back() { const last = this.strokes.pop(); if (last) this.context.putImageData(last, 0, 0); else say("There is no stroke to undo"); }
  clear() { this.keep(); this.context.clearRect(0, 0, this.canvas.width, this.canvas.height); }
  invert() {
    this.keep();
    this.context.globalCompositeOperation = "xor";
    this.context.fillStyle = COLOR;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.context.globalCompositeOperation = "source-over";
  }

  line(from, to) {
    const context = this.context;
    context.globalCompositeOperation = this.way === "erase" ? "destination-out" : "source-over";
    Object.assign(context, { strokeStyle: COLOR, lineWidth: 2 * this.radius, lineCap: "round", lineJoin: "round" });
    context.beginPath(); context.moveTo(...from); context.lineTo(...to); context.stroke();
    context.globalCompositeOperation = "source-over";
  }

  listen() {
    this.ends = new AbortController();
    const on = (name, then) => this.canvas.addEventListener(name, then, { signal: this.ends.signal });
    let last = null;
    const show = () => { Object.assign(this.cursor.style, { left: `${this.place[0] - this.radius}px`, top: `${this.place[1] - this.radius}px` }); this.cursor.hidden = this.way === "segments"; this.over(this.way === "segments" ? this.segments?.at(...this.place) || 0 : 0); };
    on("pointerdown", (event) => {
      if (event.button !== 0) return;
      if (this.way === "segments") { this.toggle(this.stage.at(event)); return; }
      this.canvas.setPointerCapture(event.pointerId);
      this.keep();
      last = this.stage.at(event);
      this.line(last, [last[0] + 0.01, last[1]]);
    });
    on("pointermove", (event) => {
      this.place = this.stage.at(event);
      show();
      if (last) { this.line(last, this.place); last = this.place; }
    });
    for (const end of ["pointerup", "pointercancel"]) on(end, () => { last = null; });
    on("pointerleave", () => { this.cursor.hidden = true; this.over(0); });
    on("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      const by = event.shiftKey ? this.radius : this.radius / 2;
      if (step) { this.place = [this.place[0] + step[0] * by, this.place[1] + step[1] * by]; show(); }
      else if (event.key === " " && this.way === "segments") this.toggle(this.place);
      else if (event.key === " ") { this.keep(); this.line(this.place, [this.place[0] + 0.01, this.place[1]]); }
      else if (event.key === "e" || event.key === "E") this.turn(this.way === "erase" ? "brush" : "erase");
      else if (event.key === "z" && (event.ctrlKey || event.metaKey)) this.back();
      else return;
      event.preventDefault(); event.stopPropagation();
    });
  }

  async read(file) {
    if (!file) return;
    try {
      const image = pixels(await createImageBitmap(file));
      this.keep();
      this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
      this.lay(image);
    } catch { say("This file can't be read as a picture: choose a PNG, white where to edit", "bad"); }
  }

  // White where paint is, black elsewhere.
  async file() {
    const { width, height } = this.canvas;
    const paint = this.context.getImageData(0, 0, width, height), out = new ImageData(width, height);
    let any = false;
    for (let i = 0; i < paint.data.length; i += 4) {
      const value = paint.data[i + 3] > 127 ? 255 : 0;
      any ||= value > 0;
      out.data.set([value, value, value, 255], i);
    }
    if (!any) return null;
    const own = new OffscreenCanvas(width, height);
    own.getContext("2d").putImageData(out, 0, 0);
    return own.convertToBlob({ type: "image/png" });
  }
  async write() { const file = await this.file(); if (file) save(file, "mask.png"); else say("The mask is empty: paint something first"); }
}
