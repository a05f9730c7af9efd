// One catalog: how far it is, and its rows by picture, of which only those in sight are on the page. Reviewed by keys.

import { content, get, post, request, result, thumb, upload } from "./api.js";
import { bar, counts } from "./catalogs.js";
import { button, confirm, dialog, field, icon, make, save, say } from "./dom.js";
import { Mask } from "./mask.js";
import { Stage } from "./stage.js";

// Rows that the page holds at most; a page of the API; how soon decisions are sent; a line's and a tile's size.
const [MOST, PAGE, SOON, HIGH, WIDE] = [50000, 1000, 200, 148, 136];
const OVER = ["ended", "cancelled"], FROM = { accept: ["review", "rejected"], reject: ["review", "passed"], redo: ["review", "rejected", "passed", "failed"] }, BECOMES = { accept: "passed", reject: "rejected", redo: "waiting" };
const number = (value) => value.toLocaleString("en");
const title = (row) => row.values.sku || row.values.color || row.instruction;

export class Sheet {
  static async open(id) {
    const sheet = new Sheet(id);
    sheet.view = await get(`/v1/catalogs/${id}`);
    sheet.state = sheet.view.review ? "review" : "";
    sheet.draw();
    await sheet.load();
    sheet.listen();
    return sheet;
  }

  constructor(id) {
    Object.assign(this, { id, state: "", rows: [], lines: [], at: 0, pending: new Map(), shown: new Map() });
    this.head = make("header", { class: "sheet-head" });
    this.world = make("div", { class: "sheet-world", role: "presentation" });
    this.grid = make("div", { class: "sheet", tabindex: "0", role: "listbox", "aria-label": "Rows. Arrows move, A accepts, R rejects, D does it again, Enter looks closely", onscroll: () => this.paint(), onkeydown: (event) => this.key(event) }, this.world);
    this.live = make("p", { class: "hidden", role: "status", "aria-live": "polite" });
    this.node = make("div", { class: "catalog" }, this.head, this.grid, this.live);
    new ResizeObserver(() => this.layout()).observe(this.grid);
  }

  close() { this.source?.close(); this.closed = true; this.loading = null; this.flush(); }

  listen() {
    this.source = new EventSource(`/v1/catalogs/${this.id}/events`);
    const told = (event) => {
      this.view = JSON.parse(event.data);
      this.draw();
      if (event.type === "ended") this.source.close();
      this.soon();
    };
    for (const kind of ["progress", "ended"]) this.source.addEventListener(kind, told);
  }

  // Reads what is in sight again, once at a time.
  async soon() {
    if (this.reading) { this.again = true; return; }
    this.reading = true;
    try {
      if (!this.state && this.rows.length >= this.view.rows) await this.refresh(); else await this.load();
    } catch (error) { say(error.words || error.message, "bad"); }
    this.reading = false;
    if (this.again && !this.closed) { this.again = false; this.soon(); }
  }

  async load() {
    const mine = this.loading = {}, rows = [];
    for (let after = 0; after !== null && rows.length < MOST;) {
      const page = await get(`/v1/catalogs/${this.id}/rows?limit=${PAGE}&after=${after}${this.state && `&state=${this.state}`}`);
      if (this.loading !== mine) return;
      rows.push(...page.rows);
      after = page.next;
      if (rows.length <= PAGE || after === null) this.take(rows);
    }
    if (rows.length > this.rows.length) this.take(rows);
  }

  take(rows) {
    // Those decided here stay until the list is asked for anew, so that nothing jumps under the hand.
    const there = new Set(rows.map((row) => row.row));
    const kept = this.rows.filter((row) => row.decided && !there.has(row.row));
    this.rows = kept.length ? [...rows, ...kept].sort((a, b) => a.row - b.row) : rows;
    this.layout();
  }

  async refresh() {
    const open = (row) => row.state === "waiting" || row.state === "live";
    const seen = this.inSight().flatMap((i) => this.lines[i]?.rows || []).filter(open);
    if (!seen.length) return;
    const numbers = seen.map((row) => row.row), first = Math.min(...numbers), span = Math.min(PAGE, Math.max(...numbers) - first + 1);
    const page = await get(`/v1/catalogs/${this.id}/rows?limit=${span}&after=${first - 1}`);
    const fresh = new Map(page.rows.map((row) => [row.row, row]));
    for (const row of this.rows) if (open(row) && fresh.has(row.row)) Object.assign(row, fresh.get(row.row));
    this.paint();
  }

  draw() {
    const { view } = this, over = OVER.includes(view.state) || view.state === "cancelling";
    const act = (path) => async () => { try { const { rows } = this.view; const view = await post(`/v1/catalogs/${this.id}/${path}`); this.view = view.id ? view : { ...this.view, rows }; this.draw(); this.load(); if (path === "retry-failed") this.listen(); } catch (error) { say(error.words || error.message, "bad"); } };
    const facts = [`${number(view.rows)} rows`, view.state, view.rate_per_hour && `${number(Math.round(view.rate_per_hour))} an hour`, !over && view.left_s && `${Math.ceil(view.left_s / 60)} min left`].filter(Boolean).join(" · ");
    const tab = (state, words) => make("button", { type: "button", class: "tab", "aria-pressed": String(this.state === state), "data-tab": state || "all", onclick: () => { this.state = state; this.at = 0; this.rows = []; this.grid.scrollTop = 0; this.draw(); this.load().catch((error) => say(error.words || error.message, "bad")); } }, words);
    const focused = this.head.contains(document.activeElement) && document.activeElement.dataset;
    this.head.replaceChildren(make("div", { class: "row" }, make("a", { href: "#catalogs" }, "Catalogs"), make("h1", {}, view.name || "Without a name"), make("span", { class: "soft", "data-facts": "" }, facts), make("span", { class: "grow" }),
      !over && (view.state === "paused" ? button("redoHere", "Resume", act("resume"), { "data-act": "resume" }) : button("half", "Pause", act("pause"), { "data-act": "pause" })),
      !over && button("close", "Cancel", async () => { if (await confirm("Cancel this catalog", "Rows that wait are not run. Results that are there stay.", "Cancel the catalog")) act("cancel")(); }, { "data-act": "stop" }),
      view.failed > 0 && button("redoHere", "Try failed rows again", act("retry-failed")), button("down", "Results", () => this.results(), { "data-act": "results" })), bar(view),
    make("div", { class: "row tabs", role: "group", "aria-label": "Rows to show" }, tab("", "All"), counts(view).filter(([state, count]) => count || state === this.state).map(([state, count]) => tab(state, `${state} ${number(count)}`)), make("span", { class: "grow" }), make("span", { class: "soft small wide-only" }, make("kbd", {}, "A"), " accept ", make("kbd", {}, "R"), " reject ", make("kbd", {}, "D"), " do again ", make("kbd", {}, "Enter"), " look")));
    if (focused) this.head.querySelector(focused.tab ? `[data-tab="${focused.tab}"]` : `[data-act="${focused.act}"]`)?.focus();
    document.title = `${view.name || "Catalog"} · Limekiln`;
  }

  async results() {
    try { save(await (await request("GET", `/v1/catalogs/${this.id}/results?format=csv`, { tries: 4 })).blob(), `${this.view.name || "results"}.csv`); } catch (error) { say(error.words || error.message, "bad"); }
  }

  // Lines: the rows of a picture, as many as fit beside it.
  layout() {
    const fit = Math.max(1, Math.floor((this.grid.clientWidth - WIDE - 24) / WIDE)), by = new Map();
    for (const row of this.rows) { const rows = by.get(row.image); if (rows) rows.push(row); else by.set(row.image, [row]); }
    this.lines = []; this.order = [];
    for (const [image, rows] of by) {
      for (let i = 0; i < rows.length; i += fit) {
        const part = rows.slice(i, i + fit);
        for (const row of part) { row.line = this.lines.length; row.place = this.order.push(row) - 1; }
        this.lines.push({ image, rows: part, first: i === 0 });
      }
    }
    this.at = Math.min(this.at, Math.max(0, this.order.length - 1));
    this.world.style.height = `${this.lines.length * HIGH}px`;
    for (const node of this.shown.values()) node.remove();
    this.shown.clear();
    this.paint();
  }

  inSight() {
    const from = Math.max(0, Math.floor(this.grid.scrollTop / HIGH) - 2), to = Math.min(this.lines.length, Math.ceil((this.grid.scrollTop + this.grid.clientHeight) / HIGH) + 2);
    return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
  }

  paint() {
    const seen = this.inSight();
    for (const [i, node] of this.shown) if (i < seen[0] || i > seen.at(-1) || !seen.length) { node.remove(); this.shown.delete(i); }
    for (const i of seen) {
      const line = this.lines[i], key = line.rows.map((row) => `${row.row}${row.state}${row.edit}`).join();
      let node = this.shown.get(i);
      if (node?.key !== key) {
        const fresh = Object.assign(this.line(line, i), { key });
        if (node) node.replaceWith(fresh); else this.world.append(fresh);
        this.shown.set(i, node = fresh);
      }
    }
    const current = this.order[this.at];
    for (const tile of this.world.querySelectorAll("[aria-selected]")) tile.setAttribute("aria-selected", String(current !== undefined && tile.id === `row-${current.row}`));
    if (current) this.grid.setAttribute("aria-activedescendant", `row-${current.row}`); else this.grid.removeAttribute("aria-activedescendant");
    this.world.classList.toggle("none", !this.lines.length);
  }

  line({ image, rows, first }, i) {
    const node = make("div", { class: "sheet-line", role: "group", "aria-label": rows[0].values.image || "Picture" }, first ? make("img", { class: "input", src: content(image), alt: "", loading: "lazy", decoding: "async" }) : make("span", { class: "input" }), rows.map((row) => this.tile(row)));
    node.style.top = `${i * HIGH}px`;
    return node;
  }

  tile(row) {
    const why = row.error || row.reasons.join(", ").replaceAll("_", " ");
    const done = row.edit && ["passed", "review", "rejected"].includes(row.state);
    return make("div", { class: "tile", role: "option", id: `row-${row.row}`, "aria-selected": "false", "data-state": row.state, title: `${row.row}: ${row.instruction}${why && `\n${why}`}`, "aria-label": `${row.row}, ${row.instruction}, ${row.state}${why && `, ${why}`}`, onclick: () => { this.to(row.place); this.grid.focus(); }, ondblclick: () => this.look() },
      done ? make("img", { src: thumb(row.edit), alt: "", loading: "lazy", decoding: "async" }) : make("span", { class: "thumb" }), make("span", { class: "tile-words" }, title(row), make("small", {}, why || row.state)));
  }

  to(at) {
    if (!this.order.length) return;
    this.at = Math.max(0, Math.min(this.order.length - 1, at));
    const top = this.order[this.at].line * HIGH, { scrollTop, clientHeight } = this.grid;
    if (top < scrollTop) this.grid.scrollTop = top;
    else if (top + HIGH > scrollTop + clientHeight) this.grid.scrollTop = top + HIGH - clientHeight;
    this.paint();
    this.looked?.();
  }

  // The row as many lines on, as near under this one as there is.
  down(by) {
    const row = this.order[this.at], here = this.lines[row.line].rows.indexOf(row), { rows } = this.lines[Math.max(0, Math.min(this.lines.length - 1, row.line + by))];
    this.to(rows[Math.min(here, rows.length - 1)].place);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.order?.length) return;
    const page = Math.max(1, Math.floor(this.grid.clientHeight / HIGH) - 1);
    const does = { ArrowRight: () => this.to(this.at + 1), ArrowLeft: () => this.to(this.at - 1), ArrowDown: () => this.down(1), ArrowUp: () => this.down(-1), PageDown: () => this.down(page), PageUp: () => this.down(-page), Home: () => this.to(0), End: () => this.to(Infinity),
      a: () => this.decide("accept"), r: () => this.decide("reject"), d: () => this.look(true), Enter: () => this.look() }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  // Seen at once, sent a moment later with what comes meanwhile.
  decide(verdict) {
    const row = this.order[this.at];
    if (!FROM[verdict].includes(row.state)) { this.live.textContent = `Row ${row.row} is ${row.state}`; this.to(this.at + 1); return; }
    Object.assign(row, { state: BECOMES[verdict], decided: true });
    this.live.textContent = `Row ${row.row} ${row.state}`;
    this.pending.set(row.row, verdict);
    this.timer ||= setTimeout(() => this.flush(), SOON);
    this.to(this.at + 1);
  }

  async flush() {
    clearTimeout(this.timer);
    this.timer = null;
    const decided = [...this.pending];
    this.pending.clear();
    for (const verdict of ["accept", "reject"]) {
      const rows = decided.filter(([, one]) => one === verdict).map(([row]) => row);
      for (let from = 0; from < rows.length; from += PAGE) await this.send({ rows: rows.slice(from, from + PAGE), verdict });
    }
    if (decided.length && !this.closed) { this.view = await get(`/v1/catalogs/${this.id}`).catch(() => this.view); this.draw(); }
  }

  async send(decision) {
    try { return await post(`/v1/catalogs/${this.id}/decisions`, decision); } catch (error) {
      say(error.words || error.message, "bad");
      for (const row of this.rows) row.decided = false;
      await this.load().catch(() => {});
      return null;
    }
  }

  // One row closely: before and after, and, to do it again, where and what.
  look(again) {
    const stage = new Stage(), mask = new Mask(stage), words = make("p", { class: "soft" }), acts = make("div", { class: "row" });
    const node = dialog("Row", words, stage.node, acts);
    node.classList.add("look");
    const all = make("input", { type: "checkbox", checked: true }), material = make("input", { placeholder: "main, all, or 1,2" });
    const redo = async () => {
      const row = this.order[this.at], changes = {}, file = await mask.file();
      try { if (file) changes.mask = (await upload(file)).id; } catch (error) { say(error.words || error.message, "bad"); return; }
      if (material.value.trim()) changes.material = material.value.trim();
      // The same once more would be the same result.
      if (!file && !changes.material) changes.seed = crypto.getRandomValues(new Uint32Array(1))[0];
      const done = await this.send({ rows: [row.row], verdict: "redo", picture: all.checked, changes });
      if (!done) return;
      say(`${done.rows} ${done.rows === 1 ? "row is" : "rows are"} done again`);
      for (const one of this.rows) if (one === row || (all.checked && one.image === row.image && one.state === "review")) Object.assign(one, { state: "waiting", decided: true });
      this.source?.close();
      this.listen();
      this.paint();
      node.close();
    };
    const mend = () => {
      if (stage.painting) return;
      stage.tools.hidden = true;
      mask.open(null, { image: this.order[this.at].image });
      stage.node.insertBefore(mask.tools, stage.tools);
      mask.turn("segments");
      acts.replaceChildren(field("Material", material), make("label", { class: "inline" }, all, "All rows of this picture in review"), make("span", { class: "grow" }), button("redoHere", "Do it again", redo, { class: "primary", "data-act": "redo-row" }));
      words.textContent = "Click the object's segments, or paint. Without either, it is done again with another seed.";
    };
    const show = () => {
      const row = this.order[this.at], { sure, share, delta_e: off } = row.measures;
      if (stage.painting) { mask.close(); mask.tools.remove(); stage.tools.hidden = false; }
      node.querySelector("h2").textContent = `${row.row}: ${row.instruction}`;
      words.textContent = [row.state, row.error || row.reasons.join(", ").replaceAll("_", " "), sure !== undefined && `sure ${sure.toFixed(2)}`, share !== undefined && `region ${(100 * share).toFixed(1)} %`, off !== undefined && `ΔE00 ${off.toFixed(1)}`].filter(Boolean).join(" · ");
      const done = row.edit && ["passed", "review", "rejected"].includes(row.state);
      stage.show({ before: content(row.image), after: done ? result(row.edit) : null });
      acts.replaceChildren(button("check", "Accept", () => this.decide("accept"), { class: "primary" }), button("close", "Reject", () => this.decide("reject")), button("redoHere", "Do again", mend, { "data-act": "again" }));
    };
    this.looked = show;
    node.addEventListener("keydown", (event) => {
      if (event.target.closest("input, select, .paint, .cut, .pane") && event.key !== "Escape" && !/^[ar]$/i.test(event.key)) return;
      if (event.target.closest("input") || event.key === "Enter" || stage.painting) return;
      if (event.key === "d") { mend(); event.preventDefault(); return; }
      this.key(event);
    });
    node.addEventListener("close", () => { this.looked = null; mask.close(); this.grid.focus(); });
    show();
    if (again) stage.node.addEventListener("shown", mend, { once: true });
  }
}
