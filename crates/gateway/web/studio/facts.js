// What is known of the turn that is shown: how it went, what it changed, files to take home, proof, and how to repeat it.

import { get, request, result } from "./api.js";
import { ask, button, confirm, copy, dialog, icon, make, save, say } from "./dom.js";
import { prove } from "./proof.js";
import { command, curl, script } from "./repeat.js";

const number = (value) => value.toLocaleString("en");
const size = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1000))} KB` : `${(bytes / 1e6).toFixed(1)} MB`);

// What an edit says of its request.
const ASKED = ["instruction", "preset", "model", "options", "size", "mask", "matte", "finish", "carry", "color", "material", "strip_metadata", "seed"];

export class Facts {
  constructor(session, act) {
    Object.assign(this, { session, act });
    this.views = new Map();
    this.node = make("aside", { class: "side facts", "aria-label": "About this turn" });
  }

  async show(turn) {
    const key = turn ? `${turn.id} ${turn.state} ${this.session.branches.filter((one) => one.turn === turn.id).map((one) => one.name)}` : "root";
    if (key === this.key) return;
    this.key = key;
    if (!turn) { this.node.replaceChildren(make("h2", {}, "Original"), make("p", { class: "soft" }, "The picture as it was uploaded. Every edit starts here; none changes it."), this.take([["Download", `/v1/images/${this.session.image}/content`, "original"]])); return; }
    if (this.session.running(turn)) { this.node.replaceChildren(make("h2", {}, turn.instruction), make("p", { class: "soft" }, "Under way.")); return; }
    if (!this.views.has(turn.id)) this.views.set(turn.id, await get(`/v1/edits/${turn.id}`));
    if (this.key === key) this.draw(turn, this.views.get(turn.id));
  }

  take(links) {
    return make("div", { class: "links" }, links.filter(Boolean).map(([words, path, name]) => make("button", { type: "button", class: "link", onclick: () => this.fetch(path, name) }, icon("down"), words)));
  }

  async fetch(path, name) {
    try {
      const answer = await request("GET", path, { tries: 4 });
      const kind = (answer.headers.get("Content-Type") || "").split("/")[1] || "bin";
      save(await answer.blob(), `${name}.${kind === "jpeg" ? "jpg" : kind}`);
      const moved = answer.headers.get("limekiln-pixels-moved");
      if (moved && moved !== "0") say(`In this format ${number(Number(moved))} pixels differ slightly from the stored result`);
    } catch (error) { say(error.words || error.message, "bad"); }
  }

  draw(turn, view) {
    const { report } = view, names = this.session.branches.filter((one) => one.turn === turn.id);
    const name = `limekiln-${turn.number}`;
    const section = (title, ...content) => make("section", {}, make("h3", {}, title), ...content);
    const parts = [make("header", {}, make("h2", {}, turn.instruction), names.length ? make("p", {}, names.map((one) => make("span", { class: "pill" }, icon("tag"), one.name, make("button", { type: "button", "aria-label": `Remove the name ${one.name}`, onclick: () => this.try(() => this.session.unname(one.name)) }, icon("close"))))) : null)];
    if (view.error) parts.push(make("p", { class: "problem" }, view.error.message));
    if (report) {
      parts.push(...(report.warnings || []).map((text) => make("p", { class: "warning" }, text)));
      parts.push(this.painted(turn, report.recolor || null), this.numbers(report));
      parts.push(section("Check", make("div", { class: "row" }, button("shield", "Verify the rest is untouched", () => this.proof(turn), { class: "wide", "data-act": "verify" })), this.proved = make("div", { class: "proved", role: "status" })));
      const quality = make("input", { type: "range", min: "40", max: "100", value: "90", "aria-label": "Quality" });
      const format = make("select", { "aria-label": "Format", onchange: () => { rated.hidden = format.value === "png" || format.value === ""; } }, [["", "as edited"], ["png", "PNG"], ["jpeg", "JPEG"], ["webp", "WebP"]].map(([value, words]) => make("option", { value }, words)));
      const rated = make("label", { class: "inline", hidden: true }, "Quality", quality);
      parts.push(section("Take home", make("div", { class: "row" }, format, rated, button("down", "Download", () => this.fetch(result(turn.id, format.value && `?format=${format.value}${format.value === "png" ? "" : `&quality=${quality.value}`}`), name), { class: "primary", "data-act": "download" })),
        this.take([["Region", view.links.roi, `${name}-region`], view.links.matte && ["Matte", view.links.matte, `${name}-matte`], ["Segments", view.links.segments, `${name}-segments`], ["Overlay", view.links.overlay, `${name}-overlay`], ["Report", `/v1/edits/${turn.id}/report`, `${name}-report`]].filter((one) => one && one[1]))));
    }
    parts.push(section("Again", make("div", { class: "links" },
      make("button", { type: "button", class: "link", "data-act": "repeat", onclick: () => this.repeat(turn, view) }, icon("copy"), "Copy as curl, command or Python"),
      make("button", { type: "button", class: "link", "data-act": "again", onclick: () => this.act.again(turn, { seed: undefined }) }, icon("dice"), "Try again with another seed"),
      make("button", { type: "button", class: "link", onclick: () => copy(location.href, "Link") }, icon("link"), "Copy the link to this session"),
      make("button", { type: "button", class: "link", "data-act": "name", onclick: () => this.name(turn) }, icon("tag"), "Name this turn"),
      make("button", { type: "button", class: "link danger", "data-act": "delete", onclick: () => this.remove(turn) }, icon("trash"), "Delete this turn"))));
    this.node.replaceChildren(...parts.filter(Boolean));
  }

  // What was painted: from and to, how far from what was asked, and the materials that were found.
  painted(turn, recolor) {
    if (!recolor) return null;
    const dot = (color) => { const node = make("span", { class: "dot" }); node.style.background = color; return node; };
    const chosen = new Set(recolor.materials.filter((one) => one.changed).map((one) => one.number));
    const materials = recolor.materials.map((one) => make("button", { type: "button", class: "material", "aria-pressed": String(one.changed), onclick: (event) => {
      const on = !chosen.delete(one.number);
      if (on) chosen.add(one.number);
      event.currentTarget.setAttribute("aria-pressed", String(on));
      redo.hidden = !chosen.size;
    } }, dot(one.color), `${Math.round(one.share * 100)} %`));
    const redo = button("redoHere", "Recolor these", () => this.act.again(turn, { material: [...chosen].sort((a, b) => a - b).join(",") }), { hidden: true });
    return make("section", { class: "painted" }, make("h3", {}, "Color"),
      make("p", { class: "row" }, dot(recolor.from), recolor.from, "→", dot(recolor.to), make("strong", {}, recolor.to)),
      make("p", { class: "soft" }, `ΔE00 from the color asked for: ${recolor.delta_e_median.toFixed(1)} in the middle, ${recolor.delta_e_p95.toFixed(1)} at 95 %`, recolor.out_of_gamut ? "; it is outside the picture's gamut" : ""),
      recolor.materials.length > 1 ? make("div", {}, make("p", { class: "soft" }, "Materials of the object. Choose which get the color:"), make("div", { class: "row" }, materials), redo) : null);
  }

  numbers(report) {
    const { composite, timings = {} } = report;
    const seconds = Object.values(timings).reduce((sum, one) => sum + one, 0) / 1000;
    const rows = [["Region", report.roi_share > 0 && `${(100 * report.roi_share).toFixed(1)} % of the picture`]];
    if (composite) rows.push(["Outside it", `${number(composite.outside_px)} pixels, ${number(composite.changed_outside_px)} changed`]);
    rows.push(["Read", (report.words || report.tokens_read || []).join(", ")], ["Finish", report.carry ? `${report.finish}, ${report.carry.way}` : report.finish], ["Size", report.output_size.join(" × ")], ["Seed", String(report.seed)], ["Computed in", seconds > 0 && `${seconds.toFixed(1)} s on ${report.device}`]);
    if (report.reused?.length) rows.push(["Reused", report.reused.join(", ")]);
    return make("dl", { class: "numbers" }, rows.filter(([, value]) => value).flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)]));
  }

  async proof(turn) {
    const out = this.proved;
    out.replaceChildren(make("p", { class: "soft" }, "Reading both pictures …"));
    try {
      const whole = this.session.path(turn).length > 1;
      const facts = await prove(this.session, turn, whole);
      if (facts.other) { out.replaceChildren(make("p", { class: "warning" }, `The result is ${facts.size}, the picture ${facts.other}: with the finish “none” there is nothing to compare.`)); return; }
      if (facts.without) { out.replaceChildren(make("p", { class: "warning" }, `Turn ${facts.without.number} has no matte: it was not laid over its picture, so every pixel may differ.`)); return; }
      const same = facts.changed === 0;
      out.replaceChildren(make("p", { class: same ? "good" : "problem" }, icon(same ? "check" : "close"), `${number(facts.changed)} of ${number(facts.outside)} pixels outside the ${facts.turns > 1 ? `mattes of ${facts.turns} turns` : "matte"} differ from the ${facts.turns > 1 ? "upload" : "picture before"}.`),
        make("p", { class: "soft" }, `${number(facts.inside)} pixels inside changed.`, facts.jpeg ? " Compared are blocks of the JPEG that the edit does not reach." : ""),
        facts.was ? make("p", { class: "hash" }, `SHA-256 of those pixels\nbefore ${facts.was}\nafter  ${facts.is}`) : null);
    } catch (error) { out.replaceChildren(make("p", { class: "problem" }, error.words || error.message)); }
  }

  // The request that makes this edit again, on the same picture.
  request(turn, view) {
    const asked = {};
    for (const name of ASKED) if (view[name] !== undefined && view[name] !== null) asked[name] = view[name];
    return { ...asked, ...this.session.on(turn.parent) };
  }

  repeat(turn, view) {
    const again = this.request(turn, view), { origin } = location;
    const ways = [["curl", curl(origin, again)], ["limekiln", command(origin, again, this.session.before(turn))], ["Python", script(origin, again)]];
    dialog("Repeat this edit", make("p", { class: "soft" }, "The same request with the same seed gives the same picture. Set LIMEKILN_KEY first."),
      ...ways.map(([name, text]) => make("section", {}, make("header", { class: "row" }, make("h3", {}, name), make("span", { class: "grow" }), button("copy", "Copy", () => copy(text, name), { class: "small" })), make("pre", { tabindex: "0" }, text))));
  }

  async try(run) { try { await run(); } catch (error) { say(error.words || error.message, "bad"); } }

  async name(turn) {
    const name = await ask("Name this turn", "Name", "", { pattern: "[a-z0-9][a-z0-9._-]{0,62}", title: "a-z, 0-9, and . _ - between", placeholder: "warm" });
    if (name) await this.try(() => this.session.name(turn, name));
  }

  async remove(turn) {
    const count = (one) => this.session.children(one.id).reduce((sum, child) => sum + count(child), 1), all = count(turn);
    if (await confirm("Delete", all > 1 ? `This turn and the ${all - 1} that build on it go, with their results.` : "This turn goes, with its result.", "Delete")) await this.try(() => this.session.remove(turn));
  }
}
