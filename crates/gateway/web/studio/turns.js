// The session's tree: each turn a thumbnail, a branch indented under where it leaves.

import { content } from "./api.js";
import { ago, button, grow, icon, make, soft, trying } from "./dom.js";

const STATES = { waiting: "waits", queued: "in the queue", running: "running", failed: "failed", cancelled: "cancelled" };

export class Turns {
  constructor(session, lost) {
    Object.assign(this, { session, lost, rows: new Map() });
    this.find = make("input", { type: "search", placeholder: "Search turns", label: "Search turns", oninput: () => this.draw() });
    this.list = make("ol", { class: "turns" });
    this.undo = button("undo", "Undo", () => this.step("undo"), { tool: true, tip: "Undo (Ctrl+Z)" });
    this.redo = button("redo", "Redo", () => this.step("redo"), { tool: true, tip: "Redo (Ctrl+Shift+Z)" });
    this.node = make("aside", { class: "side turns-side", label: "Turns" }, make("header", { class: "row" }, make("h2", {}, "Turns"), grow(), this.undo, this.redo), this.find, this.list);
    this.list.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!by) return;
      const all = [...this.list.querySelectorAll("button.turn")];
      all[all.indexOf(document.activeElement) + by]?.focus();
      event.preventDefault();
    });
    session.addEventListener("change", () => this.draw());
  }

  step(move) { return trying(() => this.session.move({ move })); }

  // Turns in the order of a walk, each with how far it is indented: the first child goes on, the others come right where they
  // branch off.
  walk() {
    const rows = [];
    const walk = (id, depth) => {
      let next = id, here = depth;
      for (;;) {
        const [first, ...rest] = this.session.children(next);
        for (const one of rest) { rows.push([one, here + 1]); walk(one.id, here + 1); }
        if (!first) return;
        rows.push([first, here]);
        next = first.id;
      }
    };
    walk(null, 0);
    return rows;
  }

  draw() {
    const { session } = this, wanted = this.find.value.trim().toLowerCase();
    const turns = this.walk().filter(([turn]) => !wanted || turn.instruction.toLowerCase().includes(wanted) || session.branches.some((one) => one.turn === turn.id && one.name.includes(wanted)));
    const shown = turns.map(([turn, depth]) => this.row(turn, depth));
    if (!wanted) shown.unshift(this.root());
    if (!shown.length) shown.push(make("li", {}, soft("No turn says that.")));
    // Rows stay where they are, so that focus and pictures do.
    shown.forEach((row, at) => { if (this.list.children[at] !== row) this.list.insertBefore(row, this.list.children[at] || null); });
    while (this.list.children.length > shown.length) this.list.lastChild.remove();
    const { current } = session;
    this.undo.disabled = !current;
    this.redo.disabled = !session.children(session.head).some((one) => one.state !== "failed" && one.state !== "cancelled");
    this.node.querySelector("h2").textContent = session.tree.length ? `Turns · ${session.tree.length}` : "Turns";
  }

  root() {
    const row = this.kept("root", () => make("button", { class: "turn", onclick: () => this.go(null) }, make("img", { src: content(this.session.image), alt: "", loading: "lazy" }), make("span", { class: "about" }, make("strong", {}, "Original"), make("small", {}, "as uploaded"))));
    row.firstChild.setAttribute("aria-current", this.session.head === null);
    return row;
  }

  row(turn, depth) {
    const { session } = this;
    const row = this.kept(turn.id, () => make("button", { class: "turn", onclick: () => this.go(session.turn(turn.id)) }, make("span", { class: "thumb" }), make("span", { class: "about" }, make("strong", {}, turn.instruction), make("small"))));
    const head = row.firstChild, [picture, about] = head.children;
    row.style.setProperty("--depth", Math.min(depth, 6));
    row.classList.toggle("branch", depth > 0);
    head.setAttribute("aria-current", session.head === turn.id);
    head.title = turn.error ? turn.error.message : turn.instruction;
    row.dataset.state = turn.state;
    const src = session.thumb(turn);
    if (src && picture.tagName !== "IMG") picture.replaceWith(make("img", { src, alt: "", loading: "lazy", decoding: "async" }));
    const live = session.live.get(turn.id), names = session.branches.filter((one) => one.turn === turn.id);
    const state = turn.state === "running" && live?.steps ? `${live.step || 0} of ${live.steps} steps` : STATES[turn.state] || ago(turn.finished_at || turn.created_at);
    about.lastChild.replaceChildren(`${turn.number} · ${state}`, ...names.map((one) => make("span", { class: "name" }, icon("tag"), one.name)));
    return row;
  }

  kept(key, build) {
    if (!this.rows.has(key)) this.rows.set(key, make("li", {}, build()));
    return this.rows.get(key);
  }

  async go(turn) {
    if (turn && ["failed", "cancelled"].includes(turn.state)) { this.lost(turn); return; }
    await trying(() => this.session.jump(turn));
  }
}
