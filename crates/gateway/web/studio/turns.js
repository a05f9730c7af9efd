// The session's tree: each turn a thumbnail, a branch indented under where it leaves.

import { content } from "./api.js";
import { ago, grow, h, icon, soft, tool, trying } from "./dom.js";

const STATES = { waiting: "waits", queued: "in the queue", running: "running", failed: "failed", cancelled: "cancelled" };

export class Turns {
  constructor(session, lost) {
    Object.assign(this, { session, lost, rows: new Map() });
    this.find = h("input", { type: "search", placeholder: "Search turns", label: "Search turns", oninput: () => this.draw() });
    this.list = h("ol.turns");
    this.undo = tool("undo", "Undo", () => this.step("undo"), { title: "Undo (Ctrl+Z)" });
    this.redo = tool("redo", "Redo", () => this.step("redo"), { title: "Redo (Ctrl+Shift+Z)" });
    this.node = h("aside.side.turns-side", { label: "Turns" }, h("header.row", h("h2", "Turns"), grow(), this.undo, this.redo), this.find, this.list);
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
    const says = (turn) => [turn.instruction, ...this.names(turn)].join(" ").toLowerCase().includes(wanted);
    const shown = this.walk().filter(([turn]) => says(turn)).map(([turn, depth]) => this.row(turn, depth));
    if (!wanted) shown.unshift(this.root());
    if (!shown.length) shown.push(h("li", soft("No turn says that.")));
    // Rows stay where they are, so that focus and pictures do.
    shown.forEach((row, at) => { if (this.list.children[at] !== row) this.list.insertBefore(row, this.list.children[at] || null); });
    while (this.list.children.length > shown.length) this.list.lastChild.remove();
    const { current } = session;
    this.undo.disabled = !current;
    this.redo.disabled = !session.children(session.head).some((one) => one.state !== "failed" && one.state !== "cancelled");
    this.node.querySelector("h2").textContent = session.tree.length ? `Turns · ${session.tree.length}` : "Turns";
  }

  names(turn) { return this.session.branches.filter((one) => one.turn === turn.id).map((one) => one.name); }

  // The row of a turn, or of the picture; made once.
  kept(turn, picture, words, small) {
    const key = turn?.id || "root";
    if (!this.rows.has(key)) this.rows.set(key, h("li", h("button.turn", { onclick: () => this.go(key) }, picture, h("span.about", h("strong", words), h("small", small)))));
    const row = this.rows.get(key);
    row.firstChild.setAttribute("aria-current", this.session.head === (turn?.id || null));
    return row;
  }

  root() { return this.kept(null, h("img", { src: content(this.session.image), alt: "", loading: "lazy" }), "Original", "as uploaded"); }

  row(turn, depth) {
    const { session } = this, row = this.kept(turn, h("span.thumb"), turn.instruction), head = row.firstChild, [picture, about] = head.children;
    row.style.setProperty("--depth", Math.min(depth, 6));
    row.classList.toggle("branch", depth > 0);
    head.title = turn.error?.message || turn.instruction;
    row.dataset.state = turn.state;
    const src = session.thumb(turn);
    if (src && picture.tagName !== "IMG") picture.replaceWith(h("img", { src, alt: "", loading: "lazy" }));
    const live = session.live.get(turn.id);
    const state = turn.state === "running" && live?.steps ? `${live.step || 0} of ${live.steps} steps` : STATES[turn.state] || ago(turn.finished_at || turn.created_at);
    about.lastChild.replaceChildren(`${turn.number} · ${state}`, ...this.names(turn).map((one) => h("span.name", icon("tag"), one)));
    return row;
  }

  async go(key) {
    const turn = this.session.turn(key);
    if (turn && ["failed", "cancelled"].includes(turn.state)) this.lost(turn); else await trying(() => this.session.jump(turn));
  }
}
