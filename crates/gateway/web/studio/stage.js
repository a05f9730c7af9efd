// The picture: before and after in one place, compared four ways, zoomed and moved in step.

import { button, make } from "./dom.js";

const MODES = [["one", "picture", "Result"], ["slider", "half", "Slider"], ["side", "side", "Side by side"], ["diff", "diff", "Difference"]];
const SCALE_MAX = 64;

export class Stage {
  constructor() {
    this.view = { scale: 1, x: 0, y: 0, fit: true };
    this.mode = "slider";
    this.cut = 0.5;
    this.size = { width: 1, height: 1 };
    this.layers = {};
    for (const name of ["before", "after", "alone"]) {
      this.layers[name] = make("img", { alt: name === "after" ? "After" : "Before", draggable: "false", class: `layer ${name}` });
      this.layers[name].addEventListener("load", () => this.loaded(name));
    }
    this.preview = make("img", { alt: "", class: "layer preview", hidden: true });
    this.overlay = make("div", { class: "layer overlay" });
    this.world = make("div", { class: "world" }, this.layers.before, this.layers.after, this.preview, this.overlay);
    this.other = make("div", { class: "world" }, this.layers.alone);
    this.handle = make("div", { class: "cut", role: "slider", tabindex: "0", "aria-label": "Before and after", "aria-valuemin": "0", "aria-valuemax": "100" });
    this.pane = make("div", { class: "pane", tabindex: "0", role: "group", "aria-label": "Picture. Plus and minus zoom, arrows move, zero fits, O shows the original" }, this.world, this.handle, make("span", { class: "corner left" }, "Before"), make("span", { class: "corner right" }, "After"));
    this.beside = make("div", { class: "pane beside" }, this.other, make("span", { class: "corner left" }, "Before"));
    this.panes = make("div", { class: "panes" }, this.beside, this.pane);
    this.modes = MODES.map(([mode, icon, words]) => button(icon, words, () => this.compare(mode), { bare: true, class: "quiet", "aria-pressed": "false", "data-mode": mode }));
    this.hold = button("eye", "Hold to see the original", null, { bare: true, class: "quiet", "data-act": "hold" });
    for (const [on, off] of [["pointerdown", "pointerup"], ["keydown", "keyup"]]) {
      this.hold.addEventListener(on, (event) => { if (!event.key || event.key === " " || event.key === "Enter") this.original(true); });
      this.hold.addEventListener(off, () => this.original(false));
    }
    this.hold.addEventListener("pointerleave", () => this.original(false));
    this.hold.addEventListener("blur", () => this.original(false));
    this.percent = make("button", { type: "button", class: "button quiet percent", title: "One to one", onclick: () => this.zoom(1 / this.view.scale) }, "100 %");
    this.tools = make("div", { class: "tools", role: "toolbar", "aria-label": "View" },
      make("div", { class: "group compare" }, ...this.modes, this.hold),
      make("div", { class: "group" }, button("minus", "Zoom out", () => this.zoom(1 / 1.5), { bare: true, class: "quiet wide-only" }), this.percent, button("plus", "Zoom in", () => this.zoom(1.5), { bare: true, class: "quiet wide-only" }), button("fit", "Fit", () => this.fit(), { bare: true, class: "quiet" })));
    this.node = make("div", { class: "stage" }, this.panes, this.tools);
    this.pointers();
    new ResizeObserver(() => { if (this.view.fit) this.fit(); else this.draw(); }).observe(this.panes);
    this.compare(this.mode);
  }

  // Shows a picture, or two; the region, if it is given, is drawn over them.
  show({ before, after }) {
    const set = (name, url) => {
      if ((this.layers[name].getAttribute("src") || "") !== (url || "")) {
        if (url) this.layers[name].src = url; else this.layers[name].removeAttribute("src");
      }
    };
    const fresh = this.layers.before.getAttribute("src") === null;
    set("before", before); set("alone", before); set("after", after);
    this.two = Boolean(after);
    this.node.classList.toggle("two", this.two);
    this.compare(this.mode);
    if (fresh) this.view.fit = true;
  }

  loaded(name) {
    if (name === "alone") return;
    const image = this.layers[name];
    // The first one says how large the picture is; a result of another size is laid over it.
    if (name === "before" && (image.naturalWidth !== this.size.width || image.naturalHeight !== this.size.height)) {
      this.size = { width: image.naturalWidth, height: image.naturalHeight };
      for (const world of [this.world, this.other]) Object.assign(world.style, { width: `${this.size.width}px`, height: `${this.size.height}px` });
      this.fit();
    }
    this.node.dispatchEvent(new CustomEvent("shown", { detail: name }));
  }

  // What a running edit shows so far; its region, where it is known, bounds it.
  live(preview, region) {
    this.preview.hidden = !preview;
    if (preview) this.preview.src = preview;
    this.preview.style.maskImage = region ? `url(${region})` : "none";
  }

  compare(mode) {
    this.mode = mode;
    for (const one of this.modes) one.setAttribute("aria-pressed", String(one.dataset.mode === mode));
    const shown = this.two && !this.painting ? mode : "one";
    this.node.dataset.mode = shown;
    if (this.view.fit) this.fit(); else this.draw();
  }

  original(on) { this.node.classList.toggle("original", on); }

  fit() {
    const box = this.pane.getBoundingClientRect();
    if (!box.width) return;
    // Room for what lies over it: tools above, words and buttons below.
    const [aside, above, below] = [Math.min(24, box.width * 0.03), 60, 68];
    const [width, height] = [box.width - 2 * aside, Math.max(60, box.height - above - below)];
    const scale = Math.min(width / this.size.width, height / this.size.height, SCALE_MAX);
    this.view = { scale, x: aside + (width - this.size.width * scale) / 2, y: above + (height - this.size.height * scale) / 2, fit: true };
    this.draw();
  }

  zoom(by, at) {
    const box = this.pane.getBoundingClientRect(), view = this.view;
    const [x, y] = at || [box.width / 2, box.height / 2];
    const scale = Math.min(SCALE_MAX, Math.max(0.02, view.scale * by));
    const real = scale / view.scale;
    this.view = { scale, x: x - (x - view.x) * real, y: y - (y - view.y) * real, fit: false };
    this.draw();
  }

  move(dx, dy) {
    this.view.x += dx; this.view.y += dy; this.view.fit = false;
    this.draw();
  }

  draw() {
    const { scale, x, y } = this.view, box = this.pane.getBoundingClientRect();
    for (const world of [this.world, this.other]) {
      world.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      world.classList.toggle("pixels", scale >= 2);
    }
    const cut = this.cut * box.width, inside = Math.min(this.size.width, Math.max(0, (cut - x) / scale));
    this.layers.after.style.clipPath = this.node.dataset.mode === "slider" ? `inset(0 0 0 ${inside}px)` : "none";
    this.handle.style.left = `${cut}px`;
    this.handle.setAttribute("aria-valuenow", String(Math.round(this.cut * 100)));
    this.percent.textContent = `${Math.round(scale * 100)} %`;
    this.world.style.setProperty("--pixel", `${1 / scale}px`);
  }

  // Where in the picture an event is.
  at(event) {
    const box = this.pane.getBoundingClientRect();
    return [(event.clientX - box.left - this.view.x) / this.view.scale, (event.clientY - box.top - this.view.y) / this.view.scale];
  }

  pointers() {
    const down = new Map();
    let apart = 0;
    for (const pane of [this.pane, this.beside]) {
      pane.addEventListener("wheel", (event) => {
        event.preventDefault();
        const box = pane.getBoundingClientRect();
        this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), [event.clientX - box.left, event.clientY - box.top]);
      }, { passive: false });
      pane.addEventListener("pointerdown", (event) => {
        if (event.target === this.handle || (this.painting && event.button === 0)) return;
        pane.setPointerCapture(event.pointerId);
        down.set(event.pointerId, event);
        apart = 0;
      });
      pane.addEventListener("pointermove", (event) => {
        const last = down.get(event.pointerId);
        if (!last) return;
        if (down.size === 2) {
          down.set(event.pointerId, event);
          const [a, b] = [...down.values()], now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY), box = pane.getBoundingClientRect();
          if (apart) this.zoom(now / apart, [(a.clientX + b.clientX) / 2 - box.left, (a.clientY + b.clientY) / 2 - box.top]);
          apart = now;
        } else {
          this.move(event.clientX - last.clientX, event.clientY - last.clientY);
          down.set(event.pointerId, event);
        }
      });
      for (const end of ["pointerup", "pointercancel"]) pane.addEventListener(end, (event) => { down.delete(event.pointerId); apart = 0; });
      pane.addEventListener("dblclick", () => { if (!this.painting) this.fit(); });
    }
    const slide = (event) => {
      const box = this.pane.getBoundingClientRect();
      this.cut = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      this.draw();
    };
    this.handle.addEventListener("pointerdown", (event) => { this.handle.setPointerCapture(event.pointerId); this.sliding = true; slide(event); });
    this.handle.addEventListener("pointermove", (event) => { if (this.sliding) slide(event); });
    for (const end of ["pointerup", "pointercancel"]) this.handle.addEventListener(end, () => { this.sliding = false; });
    this.handle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
      if (!step) return;
      this.cut = Math.min(1, Math.max(0, this.cut + step));
      event.preventDefault(); event.stopPropagation();
      this.draw();
    });
    this.pane.addEventListener("keydown", (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey) return;
      const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
      if (step && !this.painting) this.move(...step);
      else if (event.key === "+" || event.key === "=") this.zoom(1.5);
      else if (event.key === "-") this.zoom(1 / 1.5);
      else if (event.key === "0") this.fit();
      else if (event.key === "1") this.zoom(1 / this.view.scale);
      else return;
      event.preventDefault();
    });
  }
}
