// Who has no cookie yet: a key becomes one.

import { enter } from "./api.js";
import { field, make } from "./dom.js";

export const signIn = (icon, then, reason) => {
  const key = make("input", { type: "password", autocomplete: "current-password", required: true, placeholder: "lk_…", spellcheck: "false" });
  const problem = make("p", { class: "problem", role: "alert", hidden: !reason }, reason || "");
  const go = make("button", { class: "button primary wide" }, "Sign in");
  const form = make("form", { class: "card sign-in", onsubmit: async (event) => {
    event.preventDefault();
    go.disabled = true;
    try { await enter(key.value.trim()); await then(); } catch (error) {
      problem.hidden = false;
      problem.textContent = error.status === 401 ? "This key is unknown, or it was revoked or has expired: check that all of it was copied" : error.words || error.message;
      key.select();
    } finally { go.disabled = false; }
  } }, make("img", { src: icon, alt: "", width: "44", height: "44" }), make("h1", {}, "Sign in to Limekiln"), make("p", { class: "soft" }, "With a key of the API. It is sent once and not kept on this page."), field("Key", key), problem, go);
  setTimeout(() => key.focus());
  return make("div", { class: "center" }, form);
};
