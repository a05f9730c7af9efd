// The picture: before and after in one place, compared four ways, zoomed and moved in step.

import { h, tool } from "./dom.js";

const MODES = [["one", "picture", "Result"], ["slider", "half", "Slider"], ["side", "side", "Side by side"], ["diff", "diff", "Difference"]];
const SCALE_MAX = 64;
const between = (low, value, high) => Math.min(high, Math.max(low, value));

export class Stage {
  constructor() {
    Object.assign(this, { view: { scale: 1, x: 0, y: 0, fit: true }, mode: "slider", cut: 0.5, size: { width: 1, height: 1 }, layers: {} });
    for (const name of ["before", "after", "alone"]) this.layers[name] = h("img", { alt: name === "after" ? "After" : "Before", draggable: "false", class: `layer ${name}`, onload: () => this.loaded(name) });
    this.preview = h("img.layer.preview", { alt: "", hidden: true });
    this.overlay = h("div.layer.overlay");
    const world = (...layers) => h("div.world", layers), corner = (words, kind = "") => h("span", { class: `corner ${kind}` }, words);
    this.worlds = [world(this.layers.before, this.layers.after, this.preview, this.overlay), world(this.layers.alone)];
    this.handle = h("div.cut", { role: "slider", tabindex: "0", label: "Before and after", "aria-valuemin": "0", "aria-valuemax": "100" });
    this.pane = h("div.pane", { tabindex: "0", role: "group", label: "Picture. Plus and minus zoom, arrows move, zero fits, O shows the original" }, this.worlds[0], this.handle, corner("Before"), corner("After", "right"));
    this.beside = h("div.pane.beside", this.worlds[1], corner("Before"));
    this.panes = h("div.panes", this.beside, this.pane);
    this.modes = MODES.map(([mode, icon, words]) => tool(icon, words, () => this.compare(mode), { "data-mode": mode }));
    const hold = tool("eye", "Hold to see the original", null, { act: "hold" });
    for (const name of ["pointerdown", "pointerup", "pointerleave", "blur", "keydown", "keyup"]) hold.addEventListener(name, (event) => this.original(name.endsWith("down") && (!event.key || " Enter".includes(event.key))));
    const wide = { class: "wide-only" };
    this.percent = h("button.button.quiet.percent", { title: "One to one", onclick: () => this.zoom(1 / this.view.scale) });
    this.tools = h("div.tools", { role: "toolbar", label: "View" }, h("div.group.compare", this.modes, hold),
      h("div.group", tool("minus", "Zoom out", () => this.zoom(1 / 1.5), wide), this.percent, tool("plus", "Zoom in", () => this.zoom(1.5), wide), tool("fit", "Fit", () => this.fit())));
    this.node = h("div.stage", this.panes, this.tools);
    for (const pane of [this.pane, this.beside]) this.moved(pane);
    this.slid();
    this.pane.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.again()).observe(this.panes);
    this.compare(this.mode);
  }

  // Shows a picture, or two.
  show({ before, after }) {
    for (const [name, url] of [["before", before], ["alone", before], ["after", after]]) {
      const layer = this.layers[name];
      if (!url) layer.removeAttribute("src"); else if (layer.getAttribute("src") !== url) layer.src = url;
    }
    this.two = Boolean(after);
    this.node.classList.toggle("two", this.two);
    this.compare(this.mode);
  }

  // The first picture says how large all is; a result of another size is laid over it.
  loaded(name) {
    if (name !== "before") return;
    const { naturalWidth: width, naturalHeight: height } = this.layers.before;
    if (width !== this.size.width || height !== this.size.height) {
      this.size = { width, height };
      for (const { style } of this.worlds) Object.assign(style, { width: `${width}px`, height: `${height}px` });
      this.fit();
    }
    this.node.dispatchEvent(new Event("shown"));
  }

  // What a running edit shows so far; its region, where it is known, bounds it.
  live(preview, region) {
    this.preview.hidden = !preview;
    if (preview) this.preview.src = preview;
    this.preview.style.maskImage = region ? `url(${region})` : "none";
  }

  compare(mode) {
    this.mode = mode;
    for (const one of this.modes) one.setAttribute("aria-pressed", one.dataset.mode === mode);
    this.node.dataset.mode = this.two && !this.painting ? mode : "one";
    this.again();
  }

  original(on) { this.node.classList.toggle("original", on); }
  again() { if (this.view.fit) this.fit(); else this.draw(); }

  fit() {
    const box = this.pane.getBoundingClientRect(), { size } = this;
    if (!box.width) return;
    // Room for what lies over it: tools above, words and buttons below.
    const [aside, above, below] = [Math.min(24, box.width * 0.03), 60, 68], [width, height] = [box.width - 2 * aside, Math.max(60, box.height - above - below)];
    const scale = Math.min(width / size.width, height / size.height, SCALE_MAX);
    this.view = { scale, x: aside + (width - size.width * scale) / 2, y: above + (height - size.height * scale) / 2, fit: true };
    this.draw();
  }

  zoom(by, at) {
    const box = this.pane.getBoundingClientRect(), { view } = this, [x, y] = at || [box.width / 2, box.height / 2];
    const scale = between(0.02, view.scale * by, SCALE_MAX), real = scale / view.scale;
    this.view = { scale, x: x - (x - view.x) * real, y: y - (y - view.y) * real, fit: false };
    this.draw();
  }

  move(dx, dy) {
    const { scale, x, y } = this.view;
    this.view = { scale, x: x + dx, y: y + dy, fit: false };
    this.draw();
  }

  draw() {
    const { scale, x, y } = this.view, cut = this.cut * this.pane.clientWidth;
    for (const { style, classList } of this.worlds) {
      style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      style.setProperty("--pixel", `${1 / scale}px`);
      classList.toggle("pixels", scale >= 2);
    }
    this.layers.after.style.clipPath = this.node.dataset.mode === "slider" ? `inset(0 0 0 ${between(0, (cut - x) / scale, this.size.width)}px)` : "none";
    this.handle.style.left = `${cut}px`;
    this.handle.setAttribute("aria-valuenow", Math.round(this.cut * 100));
    this.percent.textContent = `${Math.round(scale * 100)} %`;
  }

  // Where in a pane, and where in the picture an event is.
  in(pane, event) { const box = pane.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; }
  at(event) { const [x, y] = this.in(this.pane, event), { view } = this; return [(x - view.x) / view.scale, (y - view.y) / view.scale]; }

  // By wheel, by one finger or the mouse, by two fingers.
  moved(pane) {
    const down = new Map(), on = (name, then) => pane.addEventListener(name, then);
    let apart = 0;
    pane.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), this.in(pane, event));
    }, { passive: false });
    on("pointerdown", (event) => {
      if (event.target === this.handle || (this.painting && event.button === 0)) return;
      pane.setPointerCapture(event.pointerId);
      down.set(event.pointerId, event);
      apart = 0;
    });
    on("pointermove", (event) => {
      const last = down.get(event.pointerId);
      if (!last) return;
      down.set(event.pointerId, event);
      if (down.size === 1) { this.move(event.clientX - last.clientX, event.clientY - last.clientY); return; }
      const [a, b] = [...down.values()].map((one) => this.in(pane, one)), now = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (apart) this.zoom(now / apart, [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]);
      apart = now;
    });
    for (const end of ["pointerup", "pointercancel"]) on(end, (event) => down.delete(event.pointerId));
    on("dblclick", () => { if (!this.painting) this.fit(); });
  }

  slid() {
    const { handle } = this, to = (cut) => { this.cut = between(0, cut, 1); this.draw(); };
    handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
    handle.addEventListener("pointermove", (event) => { if (handle.hasPointerCapture(event.pointerId)) to(this.in(this.pane, event)[0] / this.pane.clientWidth); });
    handle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
      if (!step) return;
      event.preventDefault(); event.stopPropagation();
      to(this.cut + step);
    });
  }

  key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey) return;
    const moves = this.painting ? {} : { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }, zooms = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, 1: 1 / this.view.scale };
    if (moves[event.key]) this.move(...moves[event.key]);
    else if (zooms[event.key]) this.zoom(zooms[event.key]);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }
}
