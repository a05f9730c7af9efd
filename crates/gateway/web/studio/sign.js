// Who has no cookie yet: a key becomes one.

import { enter } from "./api.js";
import { field, h, problem, soft } from "./dom.js";

export const signIn = (icon, then, reason) => {
  const key = h("input", { type: "password", autocomplete: "current-password", required: true, placeholder: "lk_…", spellcheck: "false" });
  const wrong = problem(reason), go = h("button.button.primary", { type: "submit" }, "Sign in");
  const form = h("form.card.sign-in", { onsubmit: async (event) => {
    event.preventDefault();
    go.disabled = true;
    try { await enter(key.value.trim()); await then(); } catch (error) {
      wrong.fail(error.status === 401 ? "This key is unknown, or it was revoked or has expired: check that all of it was copied" : error.message);
      key.select();
    }
    go.disabled = false;
  } }, h("img", { src: icon, alt: "", width: "44" }), h("h1", "Sign in to Limekiln"), soft("With a key of the API. It is sent once and not kept on this page."), field("Key", key), wrong, go);
  setTimeout(() => key.focus());
  return h("div.center", form);
};
