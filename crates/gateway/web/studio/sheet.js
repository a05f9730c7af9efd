// One catalog: how far it is, and its rows by picture, of which only those in sight are on the page. Reviewed by keys.

import { content, get, post, request, result, thumb, upload } from "./api.js";
import { STATES, bar, done, why } from "./catalogs.js";
import { button, confirm, count, dialog, field, grow, h, number, save, say, soft, trying } from "./dom.js";
import { Mask } from "./mask.js";
import { Stage } from "./stage.js";

// Rows that the page holds at most, a page of the API, how soon decisions are sent, and how high and wide a row is shown.
const [MOST, PAGE, SOON, HIGH, WIDE] = [50000, 1000, 200, 148, 136];
const FROM = { accept: ["review", "rejected"], reject: ["review", "passed"] }, BECOMES = { accept: "passed", reject: "rejected" };

const said = (state) => (state === "live" ? "running" : state);

export class Sheet {
  static async open(id) {
    const sheet = new Sheet(`/v1/catalogs/${id}`);
    sheet.view = await get(sheet.path);
    sheet.state = sheet.view.review ? "review" : "";
    sheet.draw();
    await sheet.load();
    sheet.listen();
    return sheet;
  }

  constructor(path) {
    Object.assign(this, { path, rows: [], lines: [], order: [], at: 0, pending: new Map(), shown: new Map() });
    this.head = h("header.sheet-head");
    this.world = h("div.sheet-world", { role: "presentation" });
    this.grid = h("div.sheet", { tabindex: "0", role: "listbox", label: "Rows. Arrows move, A accepts, R rejects, D does it again, Enter looks closely", onscroll: () => this.paint(), onkeydown: (event) => this.key(event) }, this.world);
    this.live = h("p.hidden", { role: "status" });
    this.node = h("div.catalog", this.head, this.grid, this.live);
    new ResizeObserver(() => this.layout()).observe(this.grid);
  }

  close() { this.loading = null; this.closed = true; this.source.close(); this.flush(); }

  listen() {
    this.source?.close();
    this.source = new EventSource(`${this.path}/events`);
    const told = (event) => {
      this.view = JSON.parse(event.data);
      if (event.type === "ended") this.source.close();
      // Not under a button that is being pressed.
      if (!this.head.matches(":active")) this.draw();
      this.soon();
    };
    for (const kind of ["progress", "ended"]) this.source.addEventListener(kind, told);
  }

  page(after, limit = PAGE) { return get(`${this.path}/rows?limit=${limit}&after=${after}${this.state && `&state=${this.state}`}`); }

  // Reads all rows, or once they are there what is in sight of them; one reading at a time.
  async soon() {
    this.again = true;
    while (this.again && !this.reading && !this.closed) {
      [this.again, this.reading] = [false, true];
      await trying(() => (this.state || this.rows.length < Math.min(MOST, this.view.rows) ? this.load() : this.refresh()));
      this.reading = false;
    }
  }

  async load() {
    const mine = this.loading = {}, rows = [];
    for (let after = 0; after !== null && rows.length < MOST;) {
      const page = await this.page(after);
      if (this.loading !== mine) return;
      rows.push(...page.rows);
      after = page.next;
      if (rows.length <= PAGE && after) this.take(rows);
    }
    this.take(rows);
  }

  // Rows that were decided here stay until others are asked for, so that nothing jumps under the hand.
  take(rows) {
    const there = new Set(rows.map((row) => row.row)), kept = this.rows.filter((row) => row.decided && !there.has(row.row));
    this.rows = [...rows, ...kept].sort((a, b) => a.row - b.row);
    this.layout();
  }

  async refresh() {
    const seen = this.inSight().flatMap((i) => this.lines[i].rows.map((row) => row.row));
    if (!seen.length) return;
    const first = Math.min(...seen), fresh = await this.page(first - 1, Math.min(PAGE, Math.max(...seen) - first + 1));
    const by = new Map(fresh.rows.map((row) => [row.row, row]));
    for (const row of this.rows) if (!this.pending.has(row.row)) Object.assign(row, by.get(row.row));
    this.paint();
  }

  draw() {
    const { view } = this, over = ["ended", "cancelled", "cancelling"].includes(view.state);
    const act = (what) => () => trying(async () => {
      await post(`${this.path}/${what}`);
      this.view = await get(this.path);
      this.draw();
      this.listen();
    });
    const tab = (state, words) => h("button.tab", { "aria-pressed": this.state === state, act: state || "all", onclick: () => this.turn(state) }, words);
    const focused = this.head.contains(document.activeElement) && document.activeElement.dataset.act;
    this.head.replaceChildren(h("div.row", h("h1", view.name || "Without a name"), h("span.soft", { act: "facts" }, [count(view.rows, "row"), view.state === "sealed" ? "running" : view.state, view.rate_per_hour && `${number(view.rate_per_hour)} an hour`, !over && view.left_s && `${count(Math.ceil(view.left_s / 60), "minute")} left`].filter(Boolean).join(" · ")), grow(),
      !over && (view.state === "paused" ? button("redoHere", "Resume", act("resume"), { act: "resume" }) : button("half", "Pause", act("pause"), { act: "pause" })),
      !over && button("close", "Cancel", async () => { if (await confirm("Cancel this catalog", "Rows that wait are not run. Results that are there stay.", "Cancel the catalog")) act("cancel")(); }, { act: "stop" }),
      view.failed > 0 && button("redoHere", "Try failed rows again", act("retry-failed")),
      button("down", "Results", () => trying(async () => save(await (await request("GET", `${this.path}/results?format=csv`)).blob(), `${view.name || "results"}.csv`)), { act: "results" })), bar(view),
    h("div.row.tabs", { role: "group", label: "Rows to show" }, tab("", "All"), STATES.filter((state) => view[state] || state === this.state).map((state) => tab(state, `${number(view[state])} ${said(state)}`)), grow(), h("span.soft.wide-only", ["A", " accept ", "R", " reject ", "D", " do again ", "Enter", " look"].map((one, i) => (i % 2 ? one : h("kbd", one))))));
    if (focused) this.head.querySelector(`[data-act="${focused}"]`)?.focus();
    document.title = `${view.name || "Catalog"} · Limekiln`;
  }

  async turn(state) {
    Object.assign(this, { state, at: 0, rows: [] });
    this.grid.scrollTop = 0;
    this.grid.focus();
    this.draw();
    await trying(() => this.load());
  }

  // Lines: the rows of a picture, as many as fit beside it.
  layout() {
    const fit = Math.max(1, Math.floor((this.grid.clientWidth - 24) / WIDE) - 1);
    Object.assign(this, { lines: [], order: [] });
    for (const rows of Map.groupBy(this.rows, (row) => row.image).values()) {
      for (let i = 0; i < rows.length; i += fit) {
        const part = rows.slice(i, i + fit);
        for (const row of part) { row.line = this.lines.length; row.place = this.order.push(row) - 1; }
        this.lines.push({ rows: part, first: !i });
      }
    }
    this.at = Math.max(0, Math.min(this.at, this.order.length - 1));
    this.world.style.height = `${this.lines.length * HIGH}px`;
    this.paint();
  }

  inSight() {
    const { scrollTop, clientHeight } = this.grid, from = Math.max(0, Math.floor(scrollTop / HIGH) - 2), to = Math.min(this.lines.length, Math.ceil((scrollTop + clientHeight) / HIGH) + 2);
    return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
  }

  paint() {
    const seen = new Set(this.inSight()), current = this.order[this.at];
    for (const [i, node] of this.shown) if (!seen.has(i)) { node.remove(); this.shown.delete(i); }
    for (const i of seen) {
      const { rows, first } = this.lines[i], key = rows.map((row) => [row.row, row.state, row.edit]).join();
      if (this.shown.get(i)?.key === key) continue;
      this.shown.get(i)?.remove();
      const line = h("div.sheet-line", { role: "group", label: rows[0].values.image || "Picture" }, first ? h("img.input", { src: content(rows[0].image), alt: "", loading: "lazy" }) : h("span.input"), rows.map((row) => this.tile(row)));
      line.style.top = `${i * HIGH}px`;
      this.shown.set(i, Object.assign(line, { key }));
      this.world.append(line);
    }
    for (const tile of this.world.querySelectorAll(".tile")) tile.setAttribute("aria-selected", tile.id === `row-${current?.row}`);
    this.grid.setAttribute("aria-activedescendant", current ? `row-${current.row}` : "");
  }

  tile(row) {
    const words = [row.values.sku, row.color || row.values.color].filter(Boolean).join(" · ") || row.instruction;
    return h("div.tile", { role: "option", id: `row-${row.row}`, "aria-selected": false, "data-state": row.state, title: `${row.row}: ${row.instruction}`, onclick: () => (this.at === row.place ? look(this) : this.to(row.place)) },
      done(row) ? h("img", { src: thumb(row.edit), alt: "", loading: "lazy" }) : h("span.thumb"), h("span", words, h("small", (row.state === "review" || row.state === "failed") && why(row) || said(row.state))));
  }

  to(at) {
    this.at = Math.max(0, Math.min(this.order.length - 1, at));
    const top = this.order[this.at].line * HIGH, { scrollTop, clientHeight } = this.grid;
    this.grid.scrollTop = Math.max(Math.min(scrollTop, top), top + HIGH - clientHeight);
    this.paint();
    this.looked?.();
  }

  // So many lines on, as near under this row as there is one.
  down(by) {
    const row = this.order[this.at], { rows } = this.lines[Math.max(0, Math.min(this.lines.length - 1, row.line + by))];
    this.to(rows[Math.min(this.lines[row.line].rows.indexOf(row), rows.length - 1)].place);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.order.length) return;
    const page = Math.max(1, Math.floor(this.grid.clientHeight / HIGH) - 1);
    const does = { ArrowRight: () => this.to(this.at + 1), ArrowLeft: () => this.to(this.at - 1), ArrowDown: () => this.down(1), ArrowUp: () => this.down(-1), PageDown: () => this.down(page), PageUp: () => this.down(-page), Home: () => this.to(0), End: () => this.to(Infinity),
      a: () => this.decide("accept"), r: () => this.decide("reject"), d: () => look(this, true), Enter: () => look(this) }[event.key.length > 1 ? event.key : event.key.toLowerCase()];
    if (!does) return;
    event.preventDefault();
    does();
  }

  // Seen at once, sent a moment later with what comes meanwhile.
  decide(verdict) {
    const row = this.order[this.at];
    if (FROM[verdict].includes(row.state)) {
      Object.assign(row, { state: BECOMES[verdict], decided: true });
      this.pending.set(row.row, verdict);
      this.timer ||= setTimeout(() => this.flush(), SOON);
    }
    this.live.textContent = `Row ${row.row}: ${row.state}`;
    this.to(this.at + 1);
  }

  async flush() {
    this.timer = null;
    const decided = Map.groupBy(this.pending, ([, verdict]) => verdict);
    this.pending.clear();
    for (const [verdict, some] of decided) {
      for (let from = 0; from < some.length; from += PAGE) await this.send({ rows: some.slice(from, from + PAGE).map(([row]) => row), verdict });
    }
  }

  async send(decision) {
    const sent = await trying(() => post(`${this.path}/decisions`, decision));
    // What was not taken is as it was before.
    if (!sent) { this.rows = []; await trying(() => this.load()); }
    this.view = await get(this.path).catch(() => this.view);
    if (!this.closed) this.draw();
    return sent;
  }
}

// One row closely: before and after, and, to do it again, where and what.
const look = (sheet, again) => {
  const stage = new Stage(), mask = new Mask(stage), words = soft(), acts = h("div.row");
  const node = dialog("Row", words, stage.node, acts);
  const all = h("input", { type: "checkbox", checked: true }), material = h("input", { placeholder: "main, all, or 1,2" });
  const row = () => sheet.order[sheet.at];
  const redo = () => trying(async () => {
    const { row: number, image } = row(), file = await mask.file(), changes = {};
    if (file) changes.mask = (await upload(file)).id;
    if (material.value.trim()) changes.material = material.value.trim();
    // The same once more would be the same result.
    if (!file && !changes.material) changes.seed = crypto.getRandomValues(new Uint32Array(1))[0];
    const sent = await sheet.send({ rows: [number], verdict: "redo", picture: all.checked, changes });
    if (!sent) return;
    say(`Done again: ${count(sent.rows, "row")}`);
    for (const one of sheet.rows) if (one.row === number || (all.checked && one.image === image && one.state === "review")) Object.assign(one, { state: "waiting", decided: true });
    sheet.listen();
    sheet.paint();
    node.close();
  });
  const mend = () => {
    mask.open(null, { image: row().image });
    words.textContent = "Click the object’s segments, or paint. Without either, it is done again with another seed.";
    acts.replaceChildren(field("Material", material), h("label.inline", all, "All rows of this picture in review"), grow(), button("redoHere", "Do it again", redo, { class: "primary", act: "redo-row" }));
  };
  const show = () => {
    const one = row(), { sure, share, delta_e: off } = one.measures;
    node.querySelector("h2").textContent = `${one.row}: ${one.instruction}`;
    words.textContent = [one.state, why(one), sure !== undefined && `sure ${sure.toFixed(2)}`, share !== undefined && `region ${(100 * share).toFixed(1)} %`, off !== undefined && `ΔE00 ${off.toFixed(1)}`].filter(Boolean).join(" · ");
    stage.show({ before: content(one.image), after: done(one) ? result(one.edit) : null });
    acts.replaceChildren(button("check", "Accept", () => sheet.decide("accept"), { class: "primary" }), button("close", "Reject", () => sheet.decide("reject")), button("redoHere", "Do again", mend, { act: "again" }));
  };
  node.classList.add("look");
  node.addEventListener("keydown", (event) => {
    // Enter presses what has the focus; arrows move what they are for.
    if (stage.painting || event.key === "Enter" || event.target.closest(".cut, .pane") && event.key.startsWith("Arrow")) return;
    if (event.key === "d") { event.preventDefault(); mend(); } else sheet.key(event);
  });
  node.addEventListener("close", () => { sheet.looked = null; mask.close(); sheet.grid.focus(); });
  sheet.looked = show;
  show();
  if (again) stage.node.addEventListener("shown", mend, { once: true });
};
