// The view of one session: turns on the left, the picture with what to do next in the middle, what is known on the right.

import { get, picture, pixels, upload } from "./api.js";
import { hex } from "./color.js";
import { Composer } from "./composer.js";
import { button, dialog, make, say } from "./dom.js";
import { Facts } from "./facts.js";
import { Mask } from "./mask.js";
import { TINT, load, tint } from "./region.js";
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
    this.session = session;
    this.stage = new Stage();
    this.turns = new Turns(session);
    this.turns.onproblem = (error) => say(error.words || error.message, "bad");
    this.turns.onlost = (turn) => this.lost(turn);
    this.composer = new Composer({ models, run: (request) => this.post(request), pick: () => this.pick(), mask: () => this.masking() });
    this.facts = new Facts(session, { again: (turn, change) => this.again(turn, change) });
    this.mask = new Mask(this.stage);
    this.region = button("region", "Show the region", () => this.showRegion(!this.regionOn), { bare: true, class: "quiet", "aria-pressed": "false", "data-act": "region" });
    this.stage.tools.querySelector(".compare").append(this.region);
    this.tint = make("canvas", { class: "layer tint", hidden: true });
    this.stage.overlay.append(this.tint);
    this.progress = make("div", { class: "progress", hidden: true });
    this.staged = make("div", { class: "staged", hidden: true, role: "group", "aria-label": "Keep this result?" });
    this.maskbar = make("div", { class: "staged", hidden: true, role: "group", "aria-label": "Use this mask" });
    this.live = make("p", { class: "hidden", role: "status", "aria-live": "polite" });
    this.offline = make("p", { class: "offline", role: "status", hidden: true }, "The connection is lost. What runs goes on, and this page comes back by itself.");
    this.stage.node.append(this.progress, this.staged, this.maskbar, this.offline);
    this.node = make("div", { class: "work" }, this.turns.node, make("section", { class: "center-side", "aria-label": "Picture" }, this.stage.node, this.composer.node), this.facts.node, this.live);
    session.addEventListener("change", () => this.draw());
    this.ends = new AbortController();
    document.addEventListener("keydown", (event) => this.key(event), { signal: this.ends.signal });
    document.addEventListener("keyup", (event) => { if (event.key === "o") this.stage.original(false); }, { signal: this.ends.signal });
  }

  close() { this.session.close(); this.ends.abort(); }

  draw() {
    const { session } = this, turn = session.current;
    this.offline.hidden = session.online;
    const running = session.running(turn);
    if (!turn) this.stage.show({ before: session.after(null) });
    else if (running) this.stage.show({ before: session.before(turn) });
    else this.stage.show({ before: session.before(turn), after: session.after(turn) });
    const live = turn && session.live.get(turn.id);
    this.stage.live(running ? live?.preview : null, live?.region);
    this.advance(turn, running, live);
    this.paint(turn, running, live);
    if (this.offered && this.offered !== session.head) { this.offered = null; this.staged.hidden = true; }
    this.ended(turn);
    this.facts.show(turn).catch((error) => say(error.words || error.message, "bad"));
    const title = session.title || "Without a name";
    document.title = `${title} · Limekiln`;
    this.ontitle?.(title);
  }

  // Where a running edit is.
  advance(turn, running, live = {}) {
    this.progress.hidden = !running;
    if (!running) { this.progress.replaceChildren(); return; }
    if (!this.progress.firstChild) {
      this.bar = make("progress", { max: "1", "aria-label": "Progress" });
      this.doing = make("span", {});
      this.progress.append(this.doing, this.bar, button("close", "Cancel", () => this.attempt(() => this.session.cancel(this.session.current)), { class: "small", "data-act": "cancel" }));
    }
    const { step = 0, steps } = live;
    if (steps) { this.bar.value = step / steps; } else this.bar.removeAttribute("value");
    const words = turn.state !== "running" ? (this.position ? `In the queue, ${this.position} before it` : turn.state === "waiting" ? "Waits for the turn before" : "In the queue") : steps && step ? `${STAGES[live.stage] || live.stage} · ${step} of ${steps}` : STAGES[live.stage] || "Finding the region";
    if (this.doing.textContent !== words) this.doing.textContent = words;
    if (turn.state === "queued" && this.asked !== turn.id) {
      this.asked = turn.id;
      get(`/v1/edits/${turn.id}`).then((view) => { this.position = view.queue_position; }, () => {});
    }
    if (turn.state === "running") this.position = 0;
  }

  // Says how the turn ended that this page asked for, and offers to keep it or not.
  ended(turn) {
    const mine = this.mine && this.session.turn(this.mine);
    if (!mine || this.session.running(mine)) return;
    this.mine = null;
    if (mine.state === "succeeded") {
      this.live.textContent = `Done: ${mine.instruction}`;
      this.offer(mine);
    } else if (mine.state === "failed") {
      this.live.textContent = "The edit failed";
      this.composer.fail(mine.error ? mine.error.message : "The edit failed");
      if (!this.composer.text.value && this.composer.way === "words") this.composer.text.value = mine.instruction;
    }
  }

  offer(turn) {
    const { from } = this;
    const end = (then) => async () => { this.staged.hidden = true; this.offered = null; if (then) await this.attempt(then); };
    this.offered = turn.id;
    this.staged.replaceChildren(button("check", "Keep", end(), { class: "primary", "data-act": "keep" }), button("close", "Discard", end(() => this.session.remove(turn, from)), { "data-act": "discard" }), button("dice", "Another", end(() => this.again(turn, { seed: undefined }, true))), button("brush", "Mend", end(() => this.masking(turn))));
    this.staged.hidden = false;
  }

  async post(request, parent) {
    this.staged.hidden = true;
    const from = this.session.head;
    const accepted = await this.session.edit(request, parent);
    [this.mine, this.from] = [accepted.id, from];
    this.live.textContent = `Under way: ${request.instruction}`;
    this.session.changed();
  }

  // A turn without a result: why, and what can be done.
  lost(turn) {
    const node = dialog(turn.instruction, make("p", { class: turn.error ? "problem" : "soft" }, turn.error ? turn.error.message : "It was cancelled, and has no result."),
      make("div", { class: "row end" }, button("trash", "Delete", () => { node.close(); this.attempt(() => this.session.remove(turn)); }), button("redoHere", "Try again", () => { node.close(); this.again(turn, {}); }, { class: "primary" })));
  }

  // The same turn once more, on what it was made from, with something changed.
  again(turn, change) {
    return this.attempt(async () => {
      const view = this.facts.views.get(turn.id) || await get(`/v1/edits/${turn.id}`);
      const { image, parent, session, ...asked } = this.facts.request(turn, view);
      await this.post({ ...asked, ...change }, turn.parent);
    });
  }

  async attempt(run) { try { await run(); } catch (error) { say(error.words || error.message, "bad"); } }

  // The region over the picture: of a running turn as soon as it is known, of others on request.
  showRegion(on) {
    this.regionOn = on;
    this.region.setAttribute("aria-pressed", String(on));
    this.draw();
  }

  async paint(turn, running, live) {
    const url = running ? live?.region : turn && this.regionOn ? `/v1/edits/${turn.id}/roi` : null;
    this.tint.hidden = !url || this.stage.painting;
    if (!url || url === this.tinted) return;
    this.tinted = url;
    try { tint(await load(url), TINT, this.tint); } catch { this.tint.hidden = true; }
  }

  // Paint a mask: on the turn that is shown, to mend it, or for the next edit.
  async masking(mended = this.session.current) {
    if (this.stage.painting) { this.unmask(); return; }
    if (this.session.running(this.session.current)) { say("Wait until the edit is done, or cancel it"); return; }
    const turn = mended && mended.state === "succeeded" ? mended : null;
    let region = null;
    if (turn) try { region = await load(`/v1/edits/${turn.id}/roi`); } catch { /* It has none: the mask begins empty. */ }
    this.tint.hidden = true;
    this.stage.tools.hidden = true;
    this.mask.open(region, turn ? this.session.on(turn.parent) : this.session.on(this.session.head));
    this.stage.node.insertBefore(this.mask.tools, this.stage.tools);
    const refine = make("input", { type: "checkbox" });
    const use = (then) => async () => {
      const file = await this.mask.file();
      if (!file) { say("The mask is empty: paint where to edit"); return; }
      const settings = refine.checked ? { matte: true } : {};
      await this.attempt(async () => { const mask = await upload(file); this.unmask(); await then({ mask: mask.id, ...settings }); });
    };
    this.maskbar.replaceChildren(...[turn && button("redoHere", "Redo here", use((mask) => this.again(turn, mask)), { class: "primary", "data-act": "redo" }), button("check", "For the next edit", use((mask) => this.composer.located(mask)), { class: turn ? "" : "primary", "data-act": "use-mask" }), make("label", { class: "inline" }, refine, "Refine the edge"), button("close", "Cancel", () => this.unmask(), { "data-act": "unmask" })].filter(Boolean));
    this.maskbar.hidden = false;
    this.staged.hidden = true;
  }

  unmask() {
    this.mask.close();
    this.mask.tools.remove();
    this.stage.tools.hidden = false;
    this.maskbar.hidden = true;
    this.draw();
  }

  // Takes the color under the next click.
  pick() {
    this.stage.node.classList.add("picking");
    say("Click a color in the picture");
    const turn = this.session.current;
    this.stage.pane.addEventListener("click", async (event) => {
      this.stage.node.classList.remove("picking");
      const [x, y] = this.stage.at(event).map(Math.floor);
      await this.attempt(async () => {
        const image = pixels(await picture(this.session.after(turn)));
        if (x < 0 || y < 0 || x >= image.width || y >= image.height) return;
        const at = 4 * (y * image.width + x);
        this.composer.colored(hex([...image.data.slice(at, at + 3)]));
      });
    }, { once: true });
  }

  key(event) {
    const typing = event.target.closest?.("input, textarea, select, dialog");
    const command = event.ctrlKey || event.metaKey;
    if (event.key === "Escape" && this.stage.painting) { this.unmask(); return; }
    if (typing || event.defaultPrevented) return;
    const key = event.key.toLowerCase();
    if (command && key === "z" && !event.shiftKey) this.turns.step("undo");
    else if (command && (key === "y" || (key === "z" && event.shiftKey))) this.turns.step("redo");
    else if (command || event.altKey) return;
    else if (key === "o") this.stage.original(true);
    else if (key === "r") this.showRegion(!this.regionOn);
    else if (key === "m") this.masking();
    else if (key === "/") this.composer.text.focus();
    else if (key === "s") this.stage.compare({ one: "slider", slider: "side", side: "diff", diff: "one" }[this.stage.mode]);
    else return;
    event.preventDefault();
  }
}

export const keys = [["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"], ["O, held", "the original"], ["S", "next way to compare"], ["R", "region on or off"], ["M", "paint a mask"], ["/", "say what to change"], ["+ − 0 1", "zoom, fit, one to one"], ["Arrows", "move the picture, or the slider"], ["Escape", "leave the mask"]].map(([key, words]) => [make("kbd", {}, key), words]);
