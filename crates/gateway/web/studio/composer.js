// What to do next: an instruction, or a color for an object; where; and the settings behind it.

import { PALETTE, needed, word } from "./color.js";
import { button, field, grow, icon, h, problem } from "./dom.js";

const SUGGESTED = { words: ["make the sofa teal", "turn the lamp red", "make the curtain purple", "make the carpet orange", "remove the lamp"], color: ["sofa", "lamp", "curtain", "carpet", "vase", "wall"] };
// Fields behind the settings: a field of the request, its name, and what there is to choose from; or numbers up to a bound.
const SETTINGS = [["preset", "Preset"], ["finish", "Finish", [["detail", "detail: carried to full size"], ["paste", "paste: laid over"], ["none", "none: as the model gives it"]]],
  ["reuse", "Take over", [["exact", "what is the same"], ["object", "an object's region, too"], ["none", "nothing"]]], ["seed", "Seed", 9007199254740991], ["text", "Follow the words", 30], ["image", "Keep the picture", 30]];

export class Composer {
  // `run` posts a request, `masking` asks where.
  constructor(models, run, masking) {
    this.run = run;
    this.rooms = (models.data.find((one) => one.default) || models.data[0])?.id === "rooms";
    this.text = h("textarea", { rows: "1", maxlength: "1000", placeholder: "Say what to change: make the sofa teal", label: "Instruction", onkeydown: (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.node.requestSubmit(); } } });
    this.thing = h("input", { placeholder: "sofa", label: "What to recolor", maxlength: "200", autocomplete: "off" });
    this.hex = h("input.hex", { label: "Color, as #RRGGBB or a name", spellcheck: "false", onchange: () => this.colored(this.hex.value) });
    this.picker = h("input", { type: "color", label: "Color picker", oninput: () => this.colored(this.picker.value) });
    this.go = h("button.button.primary.go", { type: "submit" }, icon("send"), h("span", "Apply"));
    this.wrong = problem();
    this.chips = h("div.chips", { label: "Suggestions", role: "group" });
    this.where = h("span.pill", "Your mask", h("button", { label: "Forget the mask", onclick: () => this.located() }, icon("close")));
    this.tabs = [["words", "words", "Describe"], ["color", "drop", "Recolor"]].map(([way, name, words]) => h("button.tab", { "data-way": way, onclick: () => this.turn(way) }, icon(name), words));
    const swatches = PALETTE.map(([name, value]) => {
      const one = h("button.swatch", { title: name, label: name, onclick: () => this.colored(value) });
      one.style.background = value;
      return one;
    });
    this.settings = new Map(SETTINGS.map(([name, , choice = models.presets.map((one) => [one, one])]) => [name, Array.isArray(choice) ? h("select", [["", "by default"], ...choice].map(([value, words]) => h("option", { value }, words))) : h("input", { type: "number", min: "0", max: choice, step: name === "seed" ? "1" : "0.1", placeholder: name === "seed" ? "random" : "preset's" })]));
    const more = h("div.more", { hidden: true }, SETTINGS.map(([name, words]) => field(words, this.settings.get(name))));
    const gear = button("gear", "Settings", () => { more.hidden = !more.hidden; gear.setAttribute("aria-expanded", !more.hidden); }, { class: "quiet", "aria-expanded": false, act: "settings" });
    this.ways = { words: h("div.row", this.text), color: h("div.row.color-way", h("label.inline", h("span", "Make the"), this.thing), h("label.inline", h("span", "exactly"), this.hex), this.picker, h("div.swatches", { role: "group", label: "Palette" }, swatches)) };
    this.node = h("form.composer", { onsubmit: (event) => { event.preventDefault(); this.submit(); } },
      h("div.row.tabs", this.tabs, grow(), this.where, button("brush", "Mask", masking, { class: "quiet", act: "mask" }), gear), this.ways.words, this.ways.color, this.wrong, more, h("div.row.last", this.chips, grow(), this.go));
    this.turn("words");
    this.colored("#1F6F8B");
    this.located();
  }

  turn(way) {
    this.way = way;
    for (const one of this.tabs) one.setAttribute("aria-pressed", one.dataset.way === way);
    for (const [name, node] of Object.entries(this.ways)) node.hidden = name !== way;
    const input = way === "words" ? this.text : this.thing;
    this.chips.replaceChildren(...(this.rooms ? SUGGESTED[way] : []).map((one) => h("button.chip", { onclick: () => { input.value = one; input.focus(); } }, one)));
    input.focus();
  }

  colored(text) {
    this.wrong.fail();
    try { this.picker.value = this.hex.value = needed(text); } catch (error) { this.wrong.fail(error.message); }
  }

  // A mask of one's own, for the next edit.
  located(mask) {
    this.mask = mask;
    this.where.hidden = !mask;
  }

  // An input, unless nothing is in it.
  given(input, words) {
    const text = input.value.trim();
    if (text) return text;
    input.focus();
    throw new Error(words);
  }

  request() {
    const request = {}, scales = {};
    if (this.way === "words") request.instruction = this.given(this.text, "Say what to change, for example: make the sofa teal");
    else {
      const thing = this.given(this.thing, "Say what to recolor, for example: sofa").replace(/^the\s+/i, ""), color = needed(this.hex.value);
      Object.assign(request, { instruction: `make the ${thing} ${word(color)}`, preset: "auto", color });
    }
    for (const [name, { value }] of this.settings) {
      if (!value) continue;
      if (name === "text" || name === "image") scales[name] = Number(value); else request[name] = name === "seed" ? Number(value) : value;
    }
    if (Object.keys(scales).length) request.options = { edit: { scales } };
    return { ...request, ...this.mask };
  }

  async submit() {
    this.wrong.fail();
    this.go.disabled = true;
    try {
      await this.run(this.request());
      this.text.value = "";
      this.located();
    } catch (error) { this.wrong.fail(error.message); }
    this.go.disabled = false;
  }
}
