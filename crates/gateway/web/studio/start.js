// Before there is a picture: drop, paste or choose one, or take a drawn room; earlier sessions.

import { content, get, post, result, upload } from "./api.js";
import { ago, button, chooser, count, h, pages, problem, soft } from "./dom.js";

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

// A drawn room, of which there are a few.
export const room = async (which = 1 + Math.floor(Math.random() * ROOMS)) => (await fetch(`/studio/room-${which}.webp`)).blob();

export const start = (open) => {
  const file = chooser("image/*", (files) => take(files));
  const wrong = problem(), busy = soft();
  const take = async ([one], title) => {
    if (!one) return;
    wrong.fail();
    busy.textContent = "Uploading …";
    try {
      const image = await upload(await prepared(one)), session = await post("/v1/sessions", { image: image.id, title: title ?? (one.name || "").replace(/\.[^.]+$/, "").slice(0, 200) });
      open(session.id);
    } catch (error) { wrong.fail(error.message); }
    busy.textContent = "";
  };
  const earlier = h("section.earlier");
  pages(earlier, "Earlier sessions", async (cursor) => { const { sessions, next } = await get(`/v1/sessions?limit=24${cursor}`); return { list: sessions.filter((one) => one.image), next }; }, (one) => {
    const picture = h("img", { alt: "", loading: "lazy", src: one.head ? result(one.head, "?format=webp&max_side=320") : content(one.image) });
    // A head that still runs has no picture yet.
    picture.addEventListener("error", () => { picture.src = content(one.image); }, { once: true });
    return h("a.card", { href: `#${one.id}` }, picture, h("strong", one.title || "Without a name"), h("small", `${count(one.turns, "turn")} · ${ago(one.used_at)}`));
  });
  const zone = h("div.drop", h("h1", "Edit a picture in words"), soft("Only what you name changes. Every other pixel stays the original’s, and you can prove it."),
    h("div.row.middle", button("picture", "Choose a picture", () => file.click(), { class: "primary big", act: "choose" }), button("dice", "Draw a demo room", async () => take([await room()], "Demo room"), { class: "big", act: "room" })), soft("or drop one anywhere, or paste it"), busy, wrong, file);
  return { node: h("div.start", zone, earlier), take };
};
