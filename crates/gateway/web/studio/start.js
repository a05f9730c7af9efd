// Before there is a picture: drop, paste or choose one, or take a drawn room; earlier sessions.

import { content, get, post, result, upload } from "./api.js";
import { ago, button, make, say } from "./dom.js";

const TAKEN = ["image/png", "image/jpeg", "image/webp"];
export const ROOMS = 24;

// What the gateway reads and browsers show goes as it is; what only browsers read goes as PNG.
const prepared = async (file) => {
  if (TAKEN.includes(file.type)) return file;
  try {
    const bitmap = await createImageBitmap(file), canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    return await canvas.convertToBlob({ type: "image/png" });
  } catch { throw new Error(`${file.name || "This"} is no picture that this browser can show: choose a PNG, JPEG or WebP`); }
};

export const begin = async (file, title = "") => {
  const image = await upload(await prepared(file));
  return post("/v1/sessions", { image: image.id, title: title.slice(0, 200) });
};

// A drawn room, of which there are a few.
export const room = async (which = 1 + Math.floor(Math.random() * ROOMS)) => (await fetch(`/studio/room-${which}.webp`)).blob();

export const start = (open) => {
  const file = make("input", { type: "file", accept: "image/*", hidden: true, onchange: () => take(file.files[0]) });
  const problem = make("p", { class: "problem", role: "alert", hidden: true });
  const busy = make("p", { class: "soft", role: "status" });
  const take = async (one, title) => {
    if (!one) return;
    problem.hidden = true;
    busy.textContent = "Uploading …";
    try { open((await begin(one, title ?? (one.name || "").replace(/\.[^.]+$/, ""))).id); } catch (error) {
      problem.hidden = false;
      problem.textContent = error.words || error.message;
    } finally { busy.textContent = ""; }
  };
  const zone = make("div", { class: "drop" }, make("h1", {}, "Edit a picture in words"), make("p", { class: "soft" }, "Only what you name changes. Every other pixel stays the original’s, and you can prove it."),
    make("div", { class: "row middle" }, button("picture", "Choose a picture", () => file.click(), { class: "primary big", "data-act": "choose" }), button("dice", "Draw a demo room", async () => take(await room(), "Demo room"), { class: "big", "data-act": "room" })), make("p", { class: "soft small" }, "or drop one anywhere, or paste it"), busy, problem, file);
  const earlier = make("section", { class: "earlier" });
  more(earlier, open);
  return Object.assign(make("div", { class: "start" }, zone, earlier), { take });
};

const more = async (node, open, cursor = "") => {
  let page;
  try { page = await get(`/v1/sessions?limit=24${cursor && `&cursor=${cursor}`}`); } catch (error) { say(error.words || error.message, "bad"); return; }
  if (!cursor && page.sessions.length) node.append(make("h2", {}, "Earlier sessions"), make("ul", { class: "cards" }));
  const list = node.querySelector("ul");
  list?.append(...page.sessions.filter((one) => one.image).map((one) => {
    const picture = make("img", { alt: "", loading: "lazy", decoding: "async", src: one.head ? result(one.head, "?format=webp&max_side=320") : content(one.image) });
    // A head that still runs has no picture yet.
    picture.addEventListener("error", () => { picture.src = content(one.image); }, { once: true });
    return make("li", {}, make("a", { class: "card", href: `#${one.id}` }, picture, make("strong", {}, one.title || "Without a name"), make("small", {}, `${one.turns} ${one.turns === 1 ? "turn" : "turns"} · ${ago(one.used_at)}`)));
  }));
  node.querySelector(".next")?.remove();
  if (page.next) node.append(button(null, "Show more", () => more(node, open, page.next), { class: "next" }));
};
