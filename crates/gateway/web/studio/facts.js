// What is known of the turn that is shown: how it went, what it changed, files to take home, proof, and how to repeat it.

import { get, request, result } from "./api.js";
import { ask, button, confirm, copy, count, dialog, grow, icon, link, h, number, save, say, soft, trying } from "./dom.js";
import { prove } from "./proof.js";
import { command, curl, script } from "./repeat.js";

// What an edit says of its request; and what the gateway drew of a region, which is none of it.
const ASKED = ["instruction", "preset", "model", "options", "size", "mask", "matte", "region", "finish", "carry", "color", "material", "reuse", "strip_metadata", "seed"], DRAWN = ["mask", "matte"];
const section = (title, ...content) => h("section", h("h3", title), ...content);
const dot = (color) => { const node = h("span.dot"); node.style.background = color; return node; };

export class Facts {
  constructor(session, again) {
    Object.assign(this, { session, again, views: new Map() });
    this.node = h("aside.side.facts", { label: "About this turn" });
  }

  names(turn) { return this.session.branches.filter((one) => one.turn === turn.id).map((one) => one.name); }

  async view(turn) {
    if (!this.views.has(turn.id)) this.views.set(turn.id, await get(`/v1/edits/${turn.id}`));
    return this.views.get(turn.id);
  }

  async show(turn) {
    const key = turn ? [turn.id, turn.state, this.names(turn)].join() : "root";
    if (key === this.key) return;
    this.key = key;
    const parts = !turn ? [h("h2", "Original"), soft("The picture as it was uploaded. Every edit starts here; none changes it."), this.file("Download", `/v1/images/${this.session.image}/content`, "original")]
      : this.session.running(turn) ? [h("h2", turn.instruction), soft("Under way.")] : this.parts(turn, await this.view(turn));
    if (this.key === key) this.node.replaceChildren(...parts.filter(Boolean));
  }

  file(words, path, name) { return link("down", words, () => this.fetch(path, name)); }

  fetch(path, name) {
    return trying(async () => {
      const answer = await request("GET", path, { tries: 4 }), kind = (answer.headers.get("Content-Type") || "").split("/")[1] || "bin", moved = Number(answer.headers.get("limekiln-pixels-moved"));
      save(await answer.blob(), `${name}.${kind === "jpeg" ? "jpg" : kind}`);
      if (moved) say(`In this format ${count(moved, "pixel")} differ slightly from the stored result`);
    });
  }

  parts(turn, view) {
    const { report, links } = view, name = `limekiln-${turn.number}`, parts = [h("header", h("h2", turn.instruction), h("p", this.names(turn).map((one) => h("span.pill", icon("tag"), one, h("button", { label: `Remove the name ${one}`, onclick: () => trying(() => this.session.unname(one)) }, icon("close"))))))];
    if (view.error) parts.push(h("p.problem", view.error.message));
    if (report) {
      parts.push(...(report.warnings || []).map((text) => h("p.warning", text)), report.recolor && this.painted(turn, report.recolor), this.numbers(report, view));
      const proved = h("div.proved", { role: "status" });
      parts.push(section("Check", button("shield", "Verify the rest is untouched", () => this.proof(turn, proved), { act: "verify" }), proved));
      const quality = h("input", { type: "range", min: "40", value: "90", label: "Quality" }), rated = h("label.inline", { hidden: true }, "Quality", quality);
      const format = h("select", { label: "Format", onchange: () => { rated.hidden = !["jpeg", "webp"].includes(format.value); } }, [["", "as edited"], ["png", "PNG"], ["jpeg", "JPEG"], ["webp", "WebP"]].map(([value, words]) => h("option", { value }, words)));
      parts.push(section("Take home", h("div.row", format, rated, button("down", "Download", () => this.fetch(result(turn.id, format.value && `?format=${format.value}${rated.hidden ? "" : `&quality=${quality.value}`}`), name), { class: "primary", act: "download" })),
        h("div.links", [["Region", links.roi], ["Matte", links.matte], ["Segments", links.segments], ["Overlay", links.overlay], ["Report", `/v1/edits/${turn.id}/report`]].filter(([, path]) => path).map(([words, path]) => this.file(words, path, `${name}-${words.toLowerCase()}`)))));
    }
    parts.push(section("Again", h("div.links", link("copy", "Copy as curl, command or Python", () => this.repeat(turn), { act: "repeat" }), link("dice", "Try again with another seed", () => this.again(turn, { seed: undefined }), { act: "again" }),
      link("link", "Copy the link to this session", () => copy(location.href, "Link")), link("tag", "Name this turn", () => this.name(turn), { act: "name" }), link("trash", "Delete this turn", () => this.remove(turn), { class: "danger", act: "delete" }))));
    return parts;
  }

  // What was painted: from and to, how far from what was asked, and the materials that were found.
  painted(turn, recolor) {
    const chosen = new Set(recolor.materials.filter((one) => one.changed).map((one) => one.number));
    const materials = recolor.materials.map((one) => h("button.chip", { "aria-pressed": one.changed, onclick: (event) => {
      const on = !chosen.delete(one.number);
      if (on) chosen.add(one.number);
      event.currentTarget.setAttribute("aria-pressed", on);
      redo.hidden = !chosen.size;
    } }, dot(one.color), `${Math.round(one.share * 100)} %`));
    const redo = button("redoHere", "Recolor these", () => this.again(turn, { material: [...chosen].sort((a, b) => a - b).join(",") }), { hidden: true });
    return h("section.painted", h("h3", "Color"), h("p.row", dot(recolor.from), `${recolor.from} →`, dot(recolor.to), h("strong", recolor.to)),
      soft(`ΔE00 from the color asked for: median ${recolor.delta_e_median.toFixed(1)}, 95 % within ${recolor.delta_e_p95.toFixed(1)}`, recolor.out_of_gamut ? "; it is outside the picture's gamut" : ""),
      materials.length > 1 && soft("Materials of the object. Choose which get the color:"), materials.length > 1 && h("div.row", materials), redo);
  }

  numbers({ composite, timings = {}, roi_share: share, carry, finish, ...report }, { model, preset }) {
    const seconds = Object.values(timings).reduce((sum, one) => sum + one, 0) / 1000;
    const rows = [["Region", share > 0 && `${(100 * share).toFixed(1)} % of the picture`], ["Outside it", composite && `${count(composite.outside_px, "pixel")}, ${number(composite.changed_outside_px)} changed`], ["Read", (report.words || report.tokens_read || []).join(", ")], ["Finish", carry ? `${finish}, ${carry.way}` : finish], ["Made by", `${model}, ${preset}`], ["Size", report.output_size.join(" × ")], ["Seed", String(report.seed)],
      ["Computed in", seconds > 0 && `${seconds.toFixed(1)} s on ${report.device}`], ["Reused", report.reused?.join(", ")]];
    return h("dl.numbers", rows.filter(([, value]) => value).flatMap(([term, value]) => [h("dt", term), h("dd", value)]));
  }

  async proof(turn, out) {
    const show = (...parts) => out.replaceChildren(...parts.filter(Boolean));
    show(soft("Reading both pictures …"));
    try {
      const facts = await prove(this.session, turn), same = facts.changed === 0, many = facts.turns > 1;
      if (facts.other) show(h("p.warning", `The result is ${facts.size}, the picture ${facts.other}: with the finish “none” there is nothing to compare.`));
      else if (facts.without) show(h("p.warning", `Turn ${facts.without.number} has no matte: it was not laid over its picture, so every pixel may differ.`));
      else {
        show(h("p", { class: same ? "good" : "problem" }, icon(same ? "check" : "close"), `${number(facts.changed)} of ${number(facts.outside)} pixels outside the ${many ? `mattes of ${facts.turns} turns` : "matte"} differ from the ${many ? "upload" : "picture before"}.`),
          soft(`${count(facts.inside, "pixel")} inside changed.`, facts.jpeg ? " Compared are blocks of the JPEG that the edit does not reach." : ""),
          facts.was && h("p.hash", `SHA-256 of those pixels\nbefore ${facts.was}\nafter  ${facts.is}`));
      }
    } catch (error) { show(h("p.problem", error.message)); }
  }

  // The request that makes this edit again, on the same picture.
  async request(turn) {
    const view = await this.view(turn);
    const said = ASKED.filter((name) => view[name] != null && !(view.region && DRAWN.includes(name)));
    return { ...Object.fromEntries(said.map((name) => [name, view[name]])), ...this.session.on(turn.parent) };
  }

  async repeat(turn) {
    const again = await this.request(turn), { mask, matte } = await this.view(turn), { origin } = location;
    dialog("Repeat this edit", soft("The same request with the same seed gives the same picture. Set LIMEKILN_KEY first."),
      ...[["curl", curl(origin, again)], ["limekiln", command(origin, { ...again, mask, matte }, this.session.before(turn))], ["Python", script(origin, again)]].map(([name, text]) => h("section", h("header.row", h("h3", name), grow(), button("copy", "Copy", () => copy(text, name), { class: "small" })), h("pre", { tabindex: "0" }, text))));
  }

  async name(turn) {
    const name = await ask("Name this turn", "Name", "", { pattern: "[a-z0-9][a-z0-9._-]{0,62}", title: "a-z, 0-9, and . _ - between", placeholder: "warm" });
    if (name) await trying(() => this.session.name(turn, name));
  }

  async remove(turn) {
    const below = (one) => this.session.children(one.id).reduce((sum, child) => sum + below(child), 1), all = below(turn);
    if (await confirm("Delete", all > 1 ? `This turn and the ${all - 1} that build on it go, with their results.` : "This turn goes, with its result.", "Delete")) await trying(() => this.session.remove(turn));
  }
}
