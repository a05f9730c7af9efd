// Catalogs: the list of them, and a new one out of pictures, a manifest and colors.

import { get, post, request, upload } from "./api.js";
import { parse, word } from "./color.js";
import { ago, button, field, make, say } from "./dom.js";
import { room, ROOMS } from "./start.js";

const [UPLOADS, CHUNK, SAMPLE] = [4, 1000, 20];
const number = (value) => value.toLocaleString("en");

// Rows of CSV or TSV, or objects, one on each line.
const table = (text) => {
  const lines = text.replace(/^\uFEFF/, "");
  if (/^\s*\{/.test(lines)) return lines.split("\n").filter((line) => line.trim()).map((line) => JSON.parse(line));
  const [first] = lines.split("\n", 1), by = ["\t", ";", ","].find((one) => first.includes(one)) || ",";
  const rows = [[]];
  for (const [, cell, end] of lines.matchAll(new RegExp(`("(?:[^"]|"")*"|[^${by}\\r\\n]*)(${by}|\\r?\\n|$)`, "gy"))) {
    rows.at(-1).push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell.trim());
    if (!end) break;
    if (end !== by) rows.push([]);
  }
  const [names, ...filled] = rows.filter((row) => row.some(Boolean));
  return filled.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i] ?? ""])));
};

export const counts = (view) => [["passed", view.passed], ["review", view.review], ["rejected", view.rejected], ["failed", view.failed], ["cancelled", view.cancelled], ["live", view.live], ["waiting", view.waiting]];
// How far a catalog is, as a bar of parts.
export const bar = (view) => make("span", { class: "parts", role: "img", "aria-label": counts(view).filter(([, count]) => count).map(([state, count]) => `${number(count)} ${state}`).join(", ") || "no rows" }, counts(view).filter(([, count]) => count).map(([state, count]) => {
  const part = make("span", { "data-state": state });
  part.style.flexGrow = count;
  return part;
}));

export class Catalogs {
  constructor(models) {
    Object.assign(this, { files: new Map(), manifest: null });
    const choose = (accept, then, multiple) => make("input", { type: "file", accept, multiple, hidden: true, onchange: (event) => then([...event.target.files]) });
    const pictures = choose("image/*", (files) => this.add(files), true), manifest = choose(".csv,.tsv,.txt,.json,.jsonl,.ndjson", (files) => this.add(files));
    const input = (props) => make("input", { ...props, oninput: () => this.draw() });
    this.name = input({ maxlength: "200", placeholder: "autumn" });
    this.words = input({ value: "make the sofa {color}", maxlength: "2000" });
    this.colors = input({ value: "teal, #C62828", placeholder: "teal, #1F6F8B" });
    this.preset = make("select", { onchange: () => this.draw() }, models.presets.map((one) => make("option", { value: one, selected: one === "recolor" }, one)));
    this.price = input({ type: "number", min: "0", step: "0.001", placeholder: "0.00" });
    this.plan = make("p", { class: "soft", role: "status" });
    this.problem = make("p", { class: "problem", role: "alert", hidden: true });
    const many = button(null, `Try ${SAMPLE} first`, () => this.start(true), { "data-act": "sample" }), go = button("send", "Start", () => this.start(), { class: "primary", "data-act": "start" });
    this.acts = [many, go];
    this.list = make("div", { class: "earlier" });
    this.node = make("div", { class: "start" }, make("section", { class: "card new" }, make("h1", {}, "Many pictures at once"), make("p", { class: "soft" }, "Every picture in every color. A manifest (CSV, TSV or JSON lines) has a column “image” with file names; each of its columns can stand in the words, as {column}."),
      make("div", { class: "row" }, button("picture", "Pictures", () => pictures.click(), { "data-act": "pictures" }), button("up", "Manifest", () => manifest.click(), { "data-act": "manifest" }), button("dice", "Demo rooms", () => this.demo(), { "data-act": "rooms" }), pictures, manifest),
      make("div", { class: "more" }, field("Name", this.name), field("Say what to change", this.words, { class: "broad" }), field("Colors, each in every picture", this.colors, { class: "broad" }), field("Preset", this.preset), field("Price of one edit", this.price)),
      this.plan, this.problem, make("div", { class: "row" }, go, many)), this.list);
    this.draw();
    this.more();
  }

  take(file) { this.add([file]); }

  async add(files) {
    for (const file of files) {
      if (file.type.startsWith("image/")) { this.files.set(file.name, file); continue; }
      try { this.manifest = table(await file.text()); } catch (error) { this.fail(`${file.name} can't be read: ${error.message}`); return; }
      this.name.value ||= file.name.replace(/\.[^.]+$/, "");
    }
    this.draw();
  }

  async demo() {
    for (let i = 1; i <= ROOMS; i++) this.files.set(`room-${i}`, await room(i));
    this.draw();
  }

  fail(words) { this.problem.hidden = !words; this.problem.textContent = words || ""; }

  // What would be sent, and what is wrong with it.
  rows() {
    const colors = this.colors.value.split(",").map((one) => one.trim()).filter(Boolean);
    const bad = colors.find((one) => !parse(one));
    if (bad) throw new Error(`“${bad}” is no color: write #1F6F8B, or a name such as teal`);
    const entries = this.manifest || [...this.files.keys()].map((image) => ({ image }));
    const rows = entries.flatMap((entry) => (colors.length ? colors.map((one) => ({ ...entry, color: one.startsWith("#") ? word(parse(one)) : one, color_hex: one })) : [entry]));
    const columns = Object.keys(rows[0] || {}), lacks = [...this.words.value.matchAll(/\{([^{}]*)\}/g)].find(([, name]) => rows.length && !columns.includes(name));
    if (lacks) throw new Error(`There is no column “${lacks[1]}”: there are ${columns.join(", ")}`);
    if (rows.length && !columns.includes("image")) throw new Error(`The manifest has no column “image”: there are ${columns.join(", ")}`);
    const missing = [...new Set(rows.map((row) => this.file(row.image)).filter((file) => typeof file === "string"))];
    if (missing.length) throw new Error(`${missing.length} of the manifest's pictures are not chosen yet: ${missing.slice(0, 5).join(", ")}${missing.length > 5 ? ", …" : ""}`);
    return rows;
  }

  file(name) { return this.files.get(name) || this.files.get(name.split(/[\\/]/).pop()) || name; }

  draw() {
    this.fail(null);
    let rows = [];
    try { rows = this.rows(); } catch (error) { this.fail(error.message); }
    for (const one of this.acts) one.disabled = !rows.length;
    const price = Number(this.price.value), pictures = new Set(rows.map((row) => row.image)).size;
    this.plan.textContent = rows.length ? `${number(pictures)} pictures, ${number(rows.length)} edits${price ? `; ${(price * rows.length).toFixed(2)} in all` : ""}${this.rate ? `; about ${Math.ceil((60 * rows.length) / this.rate)} minutes at the last catalog's rate` : ""}.` : "Choose pictures, or take the demo rooms.";
  }

  async start(sample) {
    for (const one of this.acts) one.disabled = true;
    try {
      let rows = this.rows();
      if (sample) rows = rows.map((row) => [Math.random(), row]).sort(([a], [b]) => a - b).slice(0, SAMPLE).map(([, row]) => row);
      const names = [...new Set(rows.map((row) => row.image))], images = new Map(), waiting = [...names];
      await Promise.all(Array.from({ length: UPLOADS }, async () => {
        for (let name; (name = waiting.shift()) !== undefined;) {
          images.set(name, (await upload(this.file(name))).id);
          this.plan.textContent = `Uploading: ${images.size} of ${names.length}`;
        }
      }));
      const preset = this.preset.value, color = ["color_hex", "color"].find((name) => name in rows[0]);
      const defaults = { instruction: this.words.value, preset, ...(color && ["recolor", "auto"].includes(preset) ? { color: `{${color}}` } : {}) };
      const { id } = await post("/v1/catalogs", { name: `${this.name.value || "Catalog"}${sample ? ", sample" : ""}`, defaults });
      for (let from = 0; from < rows.length; from += CHUNK) {
        const lines = rows.slice(from, from + CHUNK).map((values, i) => JSON.stringify({ row: from + i + 1, values, image: images.get(values.image) }));
        await request("POST", `/v1/catalogs/${id}/rows`, { body: new Blob([lines.join("\n")]), headers: { "Content-Type": "application/x-ndjson" }, tries: 6 });
        this.plan.textContent = `Sent: ${number(from + lines.length)} of ${number(rows.length)}`;
      }
      await post(`/v1/catalogs/${id}/seal`);
      location.hash = `catalog=${id}`;
    } catch (error) { this.draw(); this.fail(error.words || error.message); }
  }

  async more(cursor = "") {
    let page;
    try { page = await get(`/v1/catalogs?limit=24${cursor && `&cursor=${cursor}`}`); } catch (error) { say(error.words || error.message, "bad"); return; }
    if (!cursor && page.catalogs.length) this.list.append(make("h2", {}, "Catalogs"), make("ul", { class: "lines" }));
    this.rate ||= page.catalogs.find((one) => one.rate_per_hour)?.rate_per_hour;
    this.list.querySelector("ul")?.append(...page.catalogs.map((one) => make("li", {}, make("a", { class: "card line", href: `#catalog=${one.id}` }, make("strong", {}, one.name || "Without a name"), make("small", { class: "soft" }, `${number(one.rows)} rows · ${one.state} · ${ago(one.created_at)}`), bar(one)))));
    this.list.querySelector(".next")?.remove();
    if (page.next) this.list.append(button(null, "Show more", () => this.more(page.next), { class: "next" }));
  }
}
