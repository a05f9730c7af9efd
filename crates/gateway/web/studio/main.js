// The page: who is signed in, and which view the address names. Sessions are at #id, so that links can be shared.

import { enter as signInWith, get, onSignedOut, post } from "./api.js";
import { Catalogs } from "./catalogs.js";
import { ask, button, dialog, make, say } from "./dom.js";
import { Sheet } from "./sheet.js";
import { signIn } from "./sign.js";
import { start } from "./start.js";
import { Studio, keys } from "./studio.js";

const [bar, main] = [document.getElementById("bar"), document.getElementById("main")];
let view = null, account = null, models = null;

const title = make("button", { type: "button", class: "title", "data-act": "rename", onclick: async () => {
  const { session } = view;
  const text = await ask("Rename the session", "Name", session.title, { required: false, maxlength: "200" });
  if (text !== null) await session.rename(text).catch((error) => say(error.words || error.message, "bad"));
} });
const home = make("a", { class: "brand", href: "#" }, make("img", { src: "/studio/icon.svg", alt: "", width: "26", height: "26" }), make("span", {}, "Limekiln"));
const menu = make("nav", { "aria-label": "Limekiln", hidden: true }, button("plus", "New", () => { location.hash = ""; }, { class: "quiet" }), button("sheet", "Catalogs", () => { location.hash = "catalogs"; }, { class: "quiet" }),
  button(null, "Keys", () => dialog("Keys", make("dl", { class: "keys" }, keys.flatMap(([key, words]) => [make("dt", {}, key), make("dd", {}, words)]))), { class: "quiet wide-only" }),
  make("a", { class: "button quiet wide-only", href: "/docs" }, "API"), button("out", "Sign out", () => signOut(), { bare: true, class: "quiet" }));
const named = make("h1", { class: "named", hidden: true }, title);
bar.append(home, named, make("span", { class: "grow" }), menu);

const show = (next) => {
  view?.close?.();
  view = next;
  named.hidden = !(next instanceof Studio);
  main.replaceChildren(next.node || next);
};

const asked = (reason) => {
  account = null;
  menu.hidden = true;
  document.title = "Sign in · Limekiln";
  show(signIn("/studio/icon.svg", enter, reason));
};

const signOut = async () => {
  await post("/v1/sign-out").catch(() => {});
  asked();
};

const open = (id) => { location.hash = id; };

const route = async () => {
  if (!account) return;
  const id = location.hash.slice(1);
  try {
    if (/^[0-9a-f-]{36}$/.test(id)) {
      const studio = await Studio.open(id, models);
      studio.ontitle = (words) => { title.textContent = words; };
      show(studio);
      studio.draw();
    } else if (id === "catalogs") {
      document.title = "Catalogs · Limekiln";
      show(new Catalogs(models));
    } else if (id.startsWith("catalog=")) {
      const sheet = await Sheet.open(id.slice(8));
      show(sheet);
      sheet.layout();
      sheet.grid.focus();
    } else {
      document.title = "Limekiln";
      show(start(open));
    }
  } catch (error) {
    if (error.status === 401) return;
    if (error.status === 404) { say("This is not there, or it is another tenant’s", "bad"); location.hash = ""; } else {
      show(make("div", { class: "center" }, make("div", { class: "card" }, make("p", {}, error.words || error.message), button("redo", "Try again", route, { class: "primary" }))));
    }
  }
};

const enter = async () => {
  [account, models] = await Promise.all([get("/v1/me"), get("/v1/models")]);
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
  try {
    [account, models] = await Promise.all([get("/v1/me", { quiet: true }), get("/v1/models", { quiet: true })]);
  } catch (error) {
    if (error.status === 401) { asked(reason); return; }
    show(make("div", { class: "center" }, make("div", { class: "card" }, make("p", {}, error.words || error.message), button("redo", "Try again", boot, { class: "primary" }))));
    return;
  }
  menu.hidden = false;
  await route();
};

const taken = async (file) => {
  if (!file || !account) return;
  if (!view?.take) { location.hash = ""; await route(); }
  view.take(file);
};
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dragging"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dragging"); });
addEventListener("drop", (event) => { event.preventDefault(); document.body.classList.remove("dragging"); taken(event.dataTransfer.files[0]); });
addEventListener("paste", (event) => taken([...event.clipboardData.files].find((one) => one.type.startsWith("image/"))));
addEventListener("hashchange", route);
boot();
