// Catalogs: the list of them, and a new one out of pictures, a manifest and colors.

import { get, post, request, upload } from "./api.js";
import { needed, word } from "./color.js";
import { ago, button, chooser, count, field, h, number, pages, problem, soft } from "./dom.js";
import { room, ROOMS } from "./start.js";

const [UPLOADS, CHUNK, SAMPLE] = [4, 1000, 20];

// Rows of CSV or TSV, or objects, one on each line.
const table = (text) => {
  if (/^\s*\{/.test(text)) return text.split("\n").filter((line) => line.trim()).map((line) => JSON.parse(line));
  const [first] = text.split("\n", 1), by = ["\t", ";"].find((one) => first.includes(one)) || ",", rows = [[]];
  for (const [, cell, end] of text.matchAll(new RegExp(`("(?:[^"]|"")*"|[^${by}\\r\\n]*)(${by}|\\r?\\n|$)`, "gy"))) {
    rows.at(-1).push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell.trim());
    if (!end) break;
    if (end !== by) rows.push([]);
  }
  const [names, ...filled] = rows.filter((row) => row.some(Boolean));
  return filled.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i] ?? ""])));
};

export const STATES = ["passed", "review", "rejected", "failed", "cancelled", "live", "waiting"];
// How far a catalog is, as a bar of parts.
export const bar = (view) => h("span.parts", { role: "img", label: STATES.map((state) => `${view[state]} ${state}`).join(", ") }, STATES.map((state) => {
  const part = h("span", { "data-state": state });
  part.style.flexGrow = view[state];
  return part;
}));

export const why = (row) => row.error || row.reasons.join(", ").replaceAll("_", " ");
export const done = (row) => row.edit && ["passed", "review", "rejected"].includes(row.state);

export class Catalogs {
  constructor(models) {
    this.files = new Map();
    const take = (files) => this.take(files), pictures = chooser("image/*", take, true), manifest = chooser(".csv,.tsv,.txt,.jsonl,.ndjson", take);
    const input = (props) => h("input", { ...props, oninput: () => this.draw() });
    this.name = input({ maxlength: "200", placeholder: "autumn" });
    this.words = input({ value: "make the sofa {color}", maxlength: "1000" });
    this.colors = input({ value: "teal, #C62828" });
    this.preset = h("select", models.presets.map((one) => h("option", { selected: one === "recolor" }, one)));
    this.price = input({ type: "number", min: "0", step: "0.001", placeholder: "0.00" });
    this.plan = h("p.soft", { role: "status" });
    this.wrong = problem();
    this.acts = [button("send", "Start", () => this.start(), { class: "primary", act: "start" }), button(null, `Try ${SAMPLE} first`, () => this.start(SAMPLE), { act: "sample" })];
    const list = h("div.earlier");
    this.node = h("div.start", h("section.card.new", h("h1", "Many pictures at once"), soft("Every picture in every color. A manifest (CSV, TSV or JSON lines) has a column “image” with file names; each of its columns can stand in the words, as {column}."),
      h("div.row", button("picture", "Pictures", () => pictures.click()), button("up", "Manifest", () => manifest.click()), button("dice", "Demo rooms", () => this.demo(), { act: "rooms" }), pictures, manifest),
      h("div.more", field("Name", this.name), field("Say what to change", this.words, "broad"), field("Colors, each in every picture", this.colors, "broad"), field("Preset", this.preset), field("Price of one edit", this.price)),
      this.plan, this.wrong, h("div.row", this.acts)), list);
    this.draw();
    pages(list, "Catalogs", async (cursor) => { const { catalogs, next } = await get(`/v1/catalogs?limit=24${cursor}`); this.rate ||= catalogs.find((one) => one.rate_per_hour)?.rate_per_hour; return { list: catalogs, next }; },
      (one) => h("a.card", { href: `#catalog=${one.id}` }, h("strong", one.name || "Without a name"), h("small", `${count(one.rows, "row")} · ${one.state} · ${ago(one.created_at)}`), bar(one)));
  }

  async take(files) {
    try {
      for (const file of files) {
        if (file.type.startsWith("image/")) this.files.set(file.name, file); else this.manifest = table(await file.text());
      }
      this.draw();
    } catch (error) { this.wrong.fail(`The manifest can't be read: ${error.message}`); }
  }

  async demo() {
    for (let i = 1; i <= ROOMS; i++) this.files.set(`room-${i}`, await room(i));
    this.draw();
  }

  file(name = "") { return this.files.get(name) || this.files.get(name.split(/[\\/]/).pop()); }

  // What would be sent, or what is wrong with it.
  rows() {
    const colors = this.colors.value.split(",").map((one) => one.trim()).filter(Boolean);
    colors.forEach(needed);
    const entries = this.manifest || [...this.files.keys()].map((image) => ({ image }));
    const rows = entries.flatMap((entry) => (colors.length ? colors.map((one) => ({ ...entry, color: one.startsWith("#") ? word(needed(one)) : one, color_hex: one })) : [entry]));
    if (!rows.length) return rows;
    const columns = Object.keys(rows[0]), lacks = ["image", ...[...this.words.value.matchAll(/\{([^{}]*)\}/g)].map(([, name]) => name)].find((name) => !columns.includes(name));
    if (lacks) throw new Error(`There is no column “${lacks}”: there are ${columns.join(", ")}`);
    const missing = [...new Set(rows.map((row) => row.image))].filter((name) => !this.file(name));
    if (missing.length) throw new Error(`Choose the manifest's pictures, too: ${missing.slice(0, 5).join(", ")}${missing.length > 5 ? ` and ${missing.length - 5} more` : ""}`);
    return rows;
  }

  draw() {
    let rows = [];
    try { rows = this.rows(); this.wrong.fail(); } catch (error) { this.wrong.fail(error.message); }
    for (const one of this.acts) one.disabled = !rows.length;
    const price = this.price.value * rows.length;
    this.plan.textContent = rows.length ? `${count(new Set(rows.map((row) => row.image)).size, "picture")}, ${count(rows.length, "edit")}${price ? `; ${price.toFixed(2)} in all` : ""}${this.rate ? `; about ${count(Math.ceil((60 * rows.length) / this.rate), "minute")} at the last catalog's rate` : ""}.` : "Choose pictures, or take the demo rooms.";
  }

  async start(sample) {
    for (const one of this.acts) one.disabled = true;
    try {
      let rows = this.rows();
      if (sample) rows = rows.map((row) => [Math.random(), row]).sort(([a], [b]) => a - b).slice(0, sample).map(([, row]) => row);
      const names = [...new Set(rows.map((row) => row.image))], images = new Map(), waiting = [...names];
      await Promise.all(Array.from({ length: UPLOADS }, async () => {
        while (waiting.length) {
          const name = waiting.shift();
          images.set(name, (await upload(this.file(name))).id);
          this.plan.textContent = `Uploaded: ${images.size} of ${names.length}`;
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
    } catch (error) { this.draw(); this.wrong.fail(error.message); }
  }
}
