// What to do next: an instruction, or a color for an object; where; and the settings behind it.

import { Offline } from "./api.js";
import { PALETTE, parse, word } from "./color.js";
import { button, field, icon, make } from "./dom.js";

const ROOMS = ["make the sofa teal", "turn the lamp red", "make the curtain purple", "make the carpet orange", "recolor the vase in blue", "remove the lamp"];
const THINGS = ["sofa", "lamp", "curtain", "carpet", "vase", "wall"];

export class Composer {
  // `run` posts a request; `about` says what the session is on.
  constructor({ run, models, pick, mask }) {
    Object.assign(this, { run, models, pick, way: "words", color: "#1F6F8B", mask: null });
    const model = models.data.find((one) => one.default) || models.data[0];
    this.rooms = model?.id === "rooms";
    this.text = make("textarea", { rows: "1", maxlength: "2000", placeholder: "Say what to change: make the sofa teal", "aria-label": "Instruction", onkeydown: (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.node.requestSubmit(); } }, oninput: () => this.grow() });
    this.thing = make("input", { placeholder: "sofa", "aria-label": "What to recolor", list: "things", maxlength: "200", autocomplete: "off" });
    this.hex = make("input", { value: this.color, "aria-label": "Color, as #RRGGBB or a name", spellcheck: "false", class: "hex", onchange: () => this.colored(this.hex.value, true) });
    this.picker = make("input", { type: "color", value: this.color, "aria-label": "Color picker", oninput: () => this.colored(this.picker.value) });
    this.go = make("button", { class: "button primary go" }, icon("send"), make("span", {}, "Apply"));
    this.problem = make("p", { class: "problem", role: "alert", hidden: true });
    this.chips = make("div", { class: "chips", "aria-label": "Suggestions", role: "group" });
    this.where = make("div", { class: "where" });
    const tab = (way, name, words) => make("button", { type: "button", class: "tab", "aria-pressed": String(way === this.way), "data-way": way, onclick: () => this.turn(way) }, icon(name), words);
    this.tabs = [tab("words", "words", "Describe"), tab("color", "drop", "Recolor")];
    this.swatches = make("div", { class: "swatches", role: "group", "aria-label": "Palette" }, PALETTE.map(([name, value]) => {
      const one = make("button", { type: "button", class: "swatch", title: name, "aria-label": name, onclick: () => this.colored(value) });
      one.style.background = value;
      return one;
    }));
    this.more = this.settings();
    this.node = make("form", { class: "composer", onsubmit: (event) => { event.preventDefault(); this.submit(); } },
      make("div", { class: "row tabs" }, this.tabs, make("span", { class: "grow" }), this.where, button("brush", "Mask", mask, { class: "quiet", "data-act": "mask" }), button("gear", "Settings", () => this.open(), { class: "quiet", "aria-expanded": "false", "data-act": "settings" })),
      make("div", { class: "row words-way" }, this.text),
      make("div", { class: "row color-way", hidden: true }, make("label", { class: "inline" }, make("span", {}, "Make the"), this.thing), make("label", { class: "inline" }, make("span", {}, "exactly"), this.hex), this.picker, button("eye", "Pick from the picture", () => this.pick(), { bare: true, class: "quiet" }), this.swatches,
        make("datalist", { id: "things" }, THINGS.map((one) => make("option", { value: one })))),
      this.problem, this.more, make("div", { class: "row last" }, this.chips, make("span", { class: "grow" }), this.go));
    this.suggest();
    this.located(null);
  }

  turn(way) {
    this.way = way;
    for (const one of this.tabs) one.setAttribute("aria-pressed", String(one.dataset.way === way));
    this.node.querySelector(".words-way").hidden = way !== "words";
    this.node.querySelector(".color-way").hidden = way !== "color";
    this.suggest();
    (way === "words" ? this.text : this.thing).focus();
  }

  suggest() {
    const list = !this.rooms ? [] : this.way === "words" ? ROOMS : THINGS;
    this.chips.replaceChildren(...list.map((one) => make("button", { type: "button", class: "chip", onclick: () => {
      if (this.way === "words") { this.text.value = one; this.grow(); this.text.focus(); } else { this.thing.value = one; this.thing.focus(); }
    } }, one)));
    this.chips.hidden = !list.length;
  }

  grow() { this.text.style.height = "auto"; this.text.style.height = `${Math.min(this.text.scrollHeight, 160)}px`; }

  colored(text, written) {
    const color = parse(text);
    if (!color) { this.fail(`“${text}” is no color: write #1F6F8B, or a name such as teal`); return; }
    if (written) this.fail(null);
    this.color = color;
    this.hex.value = color;
    this.picker.value = color.toLowerCase();
  }

  settings() {
    const select = (options) => make("select", {}, options.map(([value, words]) => make("option", { value }, words)));
    const number = (props) => make("input", { type: "number", ...props });
    this.preset = select([["", "by default"], ...this.models.presets.map((one) => [one, one])]);
    this.finish = select([["", "by default"], ["detail", "detail: carried to full size"], ["paste", "paste: laid over"], ["none", "none: as the model gives it"]]);
    this.seed = number({ min: "0", max: "9007199254740991", step: "1", placeholder: "random" });
    this.st = number({ min: "0", max: "30", step: "0.1", placeholder: "preset's" });
    this.si = number({ min: "0", max: "30", step: "0.1", placeholder: "preset's" });
    return make("div", { class: "more", hidden: true }, field("Preset", this.preset), field("Finish", this.finish), field("Seed", this.seed), field("Follow the words", this.st), field("Keep the picture", this.si));
  }
  open() {
    this.more.hidden = !this.more.hidden;
    this.node.querySelector("[data-act=settings]").setAttribute("aria-expanded", String(!this.more.hidden));
    if (!this.more.hidden) this.preset.focus();
  }

  // A mask of one's own, for the next edit.
  located(mask) {
    this.mask = mask;
    this.where.replaceChildren(...(mask ? [make("span", { class: "pill" }, "Your mask", make("button", { type: "button", "aria-label": "Forget the mask", onclick: () => this.located(null) }, icon("close")))] : []));
  }

  request() {
    const request = {};
    if (this.way === "words") {
      const instruction = this.text.value.trim();
      if (!instruction) { this.text.focus(); throw new Error("Say what to change, for example: make the sofa teal"); }
      request.instruction = instruction;
    } else {
      const thing = this.thing.value.trim().replace(/^the\s+/i, "");
      const color = parse(this.hex.value);
      if (!thing) { this.thing.focus(); throw new Error("Say what to recolor, for example: sofa"); }
      if (!color) { this.hex.focus(); throw new Error(`“${this.hex.value}” is no color: write #1F6F8B, or a name such as teal`); }
      Object.assign(request, { instruction: `make the ${thing} ${word(color)}`, preset: "auto", color });
    }
    if (this.preset.value) request.preset = this.preset.value;
    if (this.finish.value) request.finish = this.finish.value;
    if (this.seed.value) request.seed = Number(this.seed.value);
    const scales = {};
    if (this.st.value) scales.text = Number(this.st.value);
    if (this.si.value) scales.image = Number(this.si.value);
    if (Object.keys(scales).length) request.options = { edit: { scales } };
    if (this.mask) Object.assign(request, this.mask);
    return request;
  }

  fail(words) {
    this.problem.hidden = !words;
    this.problem.textContent = words || "";
  }

  async submit() {
    let request;
    try { request = this.request(); } catch (error) { this.fail(error.message); return; }
    this.fail(null);
    this.go.disabled = true;
    try {
      await this.run(request);
      this.text.value = "";
      this.grow();
      this.located(null);
    } catch (error) {
      this.fail(error.words || error.message);
      if (error instanceof Offline) this.text.focus();
    } finally { this.go.disabled = false; }
  }
}
