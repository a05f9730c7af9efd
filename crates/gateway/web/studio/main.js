// The page: who is signed in, and which view the address names. Sessions are at #id, so that links can be shared.

import { enter as signInWith, get, onSignedOut, post } from "./api.js";
import { Catalogs } from "./catalogs.js";
import { ask, button, dialog, grow, h, say, tool, trying } from "./dom.js";
import { Sheet } from "./sheet.js";
import { signIn } from "./sign.js";
import { start } from "./start.js";
import { Studio, keys } from "./studio.js";

const [bar, main] = [document.getElementById("bar"), document.getElementById("main")];
let view = null, account = null, models = null;

const open = (hash) => { location.hash = hash; };
const title = h("button.title", { act: "rename", onclick: async () => {
  const { session } = view, text = await ask("Rename the session", "Name", session.title, { required: false, maxlength: "200" });
  if (text !== null) await trying(() => session.rename(text));
} });
const menu = h("nav", { label: "Limekiln", hidden: true }, button("plus", "New", () => open(""), { class: "quiet" }), button("sheet", "Catalogs", () => open("catalogs"), { class: "quiet", act: "catalogs" }),
  button(null, "Keys", () => dialog("Keys", h("dl.keys", keys.flatMap(([key, words]) => [h("dt", h("kbd", key)), h("dd", words)]))), { class: "quiet wide-only" }),
  h("a.button.quiet.wide-only", { href: "/docs" }, "API"), tool("out", "Sign out", async () => { await post("/v1/sign-out").catch(() => {}); asked(); }));
const named = h("h1.named", { hidden: true }, title);
bar.append(h("a.brand", { href: "#" }, h("img", { src: "/studio/icon.svg", alt: "", width: "26" }), "Limekiln"), named, grow(), menu);

const show = (next, words) => {
  view?.close?.();
  view = next;
  if (words) document.title = `${words} · Limekiln`;
  named.hidden = !(next instanceof Studio);
  main.replaceChildren(next.node || next);
};

const asked = (reason) => {
  account = null;
  menu.hidden = true;
  show(signIn("/studio/icon.svg", enter, reason), "Sign in");
};

const failed = (error, again) => show(h("div.center", h("div.card", h("p", error.message), button("redo", "Try again", () => again(), { class: "primary" }))));

const route = async () => {
  if (!account) return;
  const id = location.hash.slice(1);
  try {
    if (/^[0-9a-f-]{36}$/.test(id)) {
      const studio = await Studio.open(id, models);
      studio.ontitle = (words) => { title.textContent = words; };
      show(studio);
      studio.draw();
    } else if (id === "catalogs") show(new Catalogs(models), "Catalogs");
    else if (id.startsWith("catalog=")) {
      const sheet = await Sheet.open(id.slice(8));
      show(sheet);
      sheet.grid.focus();
    } else show(start(open), "Edit a picture");
  } catch (error) {
    if (error.status === 404) { say("This is not there, or it is another tenant’s", "bad"); open(""); } else if (error.status !== 401) failed(error, route);
  }
};

const enter = async (reason) => {
  try { [account, models] = await Promise.all(["/v1/me", "/v1/models"].map((path) => get(path, { quiet: true }))); } catch (error) {
    if (error.status === 401) asked(reason); else failed(error, enter);
    return;
  }
  menu.hidden = false;
  await route();
};

const boot = async () => {
  let reason;
  const link = location.hash.match(/^#link=(\w+)$/);
  if (link) {
    history.replaceState(null, "", location.pathname);
    // A link works once; who is signed in already needs none.
    try { await signInWith(link[1]); } catch { reason = "This link was used before, or is too old: sign in with the key, or start limekiln dev again for a new link"; }
  }
  onSignedOut(() => asked("You were signed out: sign in again to go on"));
  await enter(reason);
};

const taken = async (files) => {
  if (!files.length || !account) return;
  // Into an open mask a picture is a mask.
  if (view?.stage?.painting) { view.mask.read(files[0]); return; }
  if (!view?.take) { open(""); await route(); }
  view.take(files);
};
const drag = (on) => document.body.classList.toggle("dragging", on);
addEventListener("dragover", (event) => { event.preventDefault(); drag(true); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) drag(false); });
addEventListener("drop", (event) => { event.preventDefault(); drag(false); taken([...event.dataTransfer.files]); });
addEventListener("paste", (event) => taken([...event.clipboardData.files]));
addEventListener("hashchange", route);
boot();
