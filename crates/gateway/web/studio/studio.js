// The view of one session: turns on the left, the picture with what to do next in the middle, what is known on the right.

import { get, upload } from "./api.js";
import { Composer } from "./composer.js";
import { button, dialog, h, say, soft, tool, trying } from "./dom.js";
import { Facts } from "./facts.js";
import { Mask, load, tint } from "./mask.js";
import { Session } from "./session.js";
import { Stage } from "./stage.js";
import { Turns } from "./turns.js";

const STAGES = { locate: "Finding the region", edit: "Editing", apply: "Editing", decode: "Drawing the result", find: "Finding the object" };

export class Studio {
  static async open(id, models) {
    const studio = new Studio(new Session(id), models);
    await studio.session.open();
    return studio;
  }

  constructor(session, models) {
    Object.assign(this, { session, stage: new Stage(), ends: new AbortController(), facts: new Facts(session, (turn, change) => this.again(turn, change)) });
    this.turns = new Turns(session, (turn) => this.lost(turn));
    this.composer = new Composer(models, (request) => this.post(request), () => this.masking());
    this.mask = new Mask(this.stage);
    this.region = tool("region", "Show the region", () => this.showRegion(!this.regionOn), { "aria-pressed": false, act: "region" });
    this.stage.tools.querySelector(".compare").append(this.region);
    this.tint = h("canvas.layer.tint", { hidden: true });
    this.stage.overlay.append(this.tint);
    const over = (kind, label) => h("div", { class: kind, hidden: true, role: "group", label });
    this.progress = over("progress", "Under way");
    this.staged = over("staged", "Keep this result?");
    this.maskbar = over("staged", "Use this mask");
    this.live = h("p.hidden", { role: "status" });
    this.offline = h("p.offline.warning", { role: "status", hidden: true }, "The connection is lost. What runs goes on, and this page comes back by itself.");
    this.stage.node.append(this.progress, this.staged, this.maskbar, this.offline);
    this.node = h("div.work", this.turns.node, h("section.center-side", { label: "Picture" }, this.stage.node, this.composer.node), this.facts.node, this.live);
    session.addEventListener("change", () => this.draw());
    const on = (name, then) => document.addEventListener(name, then, { signal: this.ends.signal });
    on("keydown", (event) => this.key(event));
    on("keyup", (event) => { if (event.key === "o") this.stage.original(false); });
  }

  close() { this.session.close(); this.ends.abort(); }

  draw() {
    const { session } = this, turn = session.current, running = session.running(turn), live = (turn && session.live.get(turn.id)) || {}, title = session.title || "Without a name";
    this.offline.hidden = session.online;
    this.stage.show({ before: turn ? session.before(turn) : session.after(null), after: turn && !running ? session.after(turn) : null });
    this.stage.live(running && live.preview, live.region);
    this.advance(turn, running, live);
    this.paint(turn, running, live);
    if (this.offered !== session.head) this.staged.hidden = true;
    this.ended();
    trying(() => this.facts.show(turn));
    document.title = `${title} · Limekiln`;
    this.ontitle?.(title);
  }

  // Where a running edit is.
  advance(turn, running, { step = 0, steps, stage }) {
    this.progress.hidden = !running;
    if (!running) { this.progress.replaceChildren(); return; }
    if (!this.progress.firstChild) {
      this.bar = h("progress", { label: "Progress" });
      this.doing = h("span");
      this.progress.append(this.doing, this.bar, button("close", "Cancel", () => trying(() => this.session.cancel(this.session.current)), { class: "small", act: "cancel" }));
    }
    if (steps) this.bar.value = step / steps; else this.bar.removeAttribute("value");
    if (turn.state === "queued" && this.asked !== turn.id) {
      this.asked = turn.id;
      get(`/v1/edits/${turn.id}`).then((view) => { this.position = view.queue_position; }, () => {});
    }
    const waits = turn.state === "waiting" ? "Waits for the turn before" : `In the queue${this.position ? `, ${this.position} before it` : ""}`, name = STAGES[stage] || stage || "Finding the region";
    const words = turn.state !== "running" ? waits : step && steps ? `${name} · ${step} of ${steps}` : name;
    if (this.doing.textContent !== words) this.doing.textContent = words;
  }

  // Says how the turn ended that this page asked for, and offers to keep it or not.
  ended() {
    const turn = this.mine && this.session.turn(this.mine);
    if (!turn || this.session.running(turn)) return;
    this.mine = null;
    if (turn.state === "succeeded") {
      this.live.textContent = `Done: ${turn.instruction}`;
      this.offer(turn);
    } else if (turn.state === "failed") {
      this.live.textContent = "The edit failed";
      this.composer.wrong.fail(turn.error?.message || "The edit failed");
      this.composer.text.value ||= turn.instruction;
    }
  }

  offer(turn) {
    const { from } = this, end = (then) => () => { this.staged.hidden = true; if (then) trying(then); };
    this.offered = turn.id;
    this.staged.replaceChildren(button("check", "Keep", end(), { class: "primary", act: "keep" }), button("close", "Discard", end(() => this.session.remove(turn, from)), { act: "discard" }), button("brush", "Mend", end(() => this.masking(turn)), { act: "mend" }));
    this.staged.hidden = false;
  }

  async post(request, parent) {
    this.staged.hidden = true;
    const from = this.session.head, accepted = await this.session.edit(request, parent);
    [this.mine, this.from] = [accepted.id, from];
    this.live.textContent = `Under way: ${request.instruction}`;
    this.session.changed();
  }

  // A turn without a result: why, and what can be done.
  lost(turn) {
    const close = (then) => () => { node.close(); trying(then); };
    const node = dialog(turn.instruction, soft(turn.error?.message || "It was cancelled, and has no result."),
      h("div.row.end", button("trash", "Delete", close(() => this.session.remove(turn))), button("redoHere", "Try again", close(() => this.again(turn, {})), { class: "primary" })));
  }

  // The same turn once more, on what it was made from, with something changed.
  again(turn, change) {
    return trying(async () => {
      const { image, parent, region, ...asked } = await this.facts.request(turn);
      await this.post({ ...asked, ...(change.mask ? {} : { region }), ...change }, turn.parent);
    });
  }

  // The region over the picture: of a running turn as soon as it is known, of others on request.
  showRegion(on) {
    this.regionOn = on;
    this.region.setAttribute("aria-pressed", on);
    this.draw();
  }

  async paint(turn, running, live) {
    const url = running ? live.region : turn && this.regionOn ? `/v1/edits/${turn.id}/roi` : null;
    this.tint.hidden = !url || this.stage.painting;
    if (!url || url === this.tinted) return;
    this.tinted = url;
    try { tint(await load(url), this.tint); } catch { this.tint.hidden = true; }
  }

  // A mask: on the turn that is shown, to mend it, or for the next edit.
  async masking(mended = this.session.current) {
    const { session, stage, mask } = this;
    if (stage.painting) { this.unmask(); return; }
    if (session.running(session.current)) { say("Wait until the edit is done, or cancel it"); return; }
    const turn = mended?.state === "succeeded" ? mended : null;
    // Where it has no region, the mask begins empty.
    const region = turn && await load(`/v1/edits/${turn.id}/roi`).catch(() => null);
    this.tint.hidden = this.staged.hidden = true;
    mask.open(region, session.on(turn ? turn.parent : session.head));
    // What the machine found is rough; what people paint is meant.
    const refine = h("input", { type: "checkbox", checked: Boolean(region) });
    const use = (then) => () => trying(async () => {
      const file = await mask.file();
      if (!file) throw new Error("The mask is empty: say where to edit");
      const request = { mask: (await upload(file)).id, ...(refine.checked ? { matte: true } : {}) };
      this.unmask();
      await then(request);
    });
    this.maskbar.replaceChildren(h("span.soft.wide-only", "Click segments, or paint"), ...(turn ? [button("redoHere", "Redo here", use((request) => this.again(turn, request)), { class: "primary", act: "redo" })] : []), button("check", "For the next edit", use((request) => this.composer.located(request)), { class: turn ? "" : "primary", act: "use-mask" }), h("label.inline", refine, "Refine the edge"), button("close", "Cancel", () => this.unmask(), { act: "unmask" }));
    this.maskbar.hidden = false;
  }

  unmask() {
    this.mask.close();
    this.maskbar.hidden = true;
    this.draw();
  }

  key(event) {
    const command = event.ctrlKey || event.metaKey, key = event.key.toLowerCase(), back = event.shiftKey ? "redo" : "undo";
    if (key === "escape" && this.stage.painting) { this.unmask(); return; }
    if (event.target.closest?.("input, textarea, select, dialog") || event.defaultPrevented || event.altKey) return;
    const does = command ? { z: () => this.turns.step(back), y: () => this.turns.step("redo") } : {
      o: () => this.stage.original(true), r: () => this.showRegion(!this.regionOn), m: () => this.masking(), "/": () => this.composer.text.focus(),
      s: () => this.stage.compare({ one: "slider", slider: "side", side: "diff", diff: "one" }[this.stage.mode]),
    };
    if (!does[key]) return;
    event.preventDefault();
    does[key]();
  }
}

export const keys = [["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"], ["O, held", "the original"], ["S", "next way to compare"], ["R", "region on or off"], ["M", "a mask"], ["/", "say what to change"], ["+ − 0 1", "zoom, fit, one to one"], ["Arrows", "move the picture, or the slider"], ["Escape", "leave the mask"]];
