// One row of a catalog closely: before and after, and, to do it again, where and what.

import { content, result, upload } from "./api.js";
import { done, why } from "./catalogs.js";
import { button, count, dialog, field, grow, make, say, soft, trying } from "./dom.js";
import { Mask } from "./mask.js";
import { Stage } from "./stage.js";

export const look = (sheet, again) => {
  const stage = new Stage(), mask = new Mask(stage), words = soft(), acts = make("div", { class: "row" });
  const node = dialog("Row", words, stage.node, acts);
  const all = make("input", { type: "checkbox", checked: true }), material = make("input", { placeholder: "main, all, or 1,2" });
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
    mask.turn("segments");
    words.textContent = "Click the object’s segments, or paint. Without either, it is done again with another seed.";
    acts.replaceChildren(field("Material", material), make("label", { class: "inline" }, all, "All rows of this picture in review"), grow(), button("redoHere", "Do it again", redo, { class: "primary", act: "redo-row" }));
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
