// Elements, icons and short messages. Whatever comes from people or models is set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  undo: "M9 7 4 12l5 5M4 12h10a6 6 0 0 1 6 6", redo: "m15 7 5 5-5 5M20 12H10a6 6 0 0 0-6 6",
  plus: "M12 5v14M5 12h14", minus: "M5 12h14", close: "M6 6l12 12M18 6 6 18", check: "m5 12.5 4.5 4.5L19 7.5",
  fit: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5", eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  brush: "M14 5l5 5-8 8c-1.5 1.5-4 2-6 1 1.5-1 1-2.5 1.5-4zM12 7l5 5", erase: "m4 15 9-9 6 6-7 7H8zM9 10l6 6M12 19h8",
  down: "M12 4v11m-5-4 5 5 5-5M5 20h14", up: "M12 20V9m-5 4 5-5 5 5M5 4h14", copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  shield: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM9 12l2.2 2.2L15.5 10", trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  tag: "M4 4h8l8 8-8 8-8-8zM8 8v.01", link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9v.01", out: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9", redoHere: "M20 12a8 8 0 1 1-2.5-5.8M20 4v4h-4",
  segments: "M4 4h16v16H4zM4 13l7-3 3-6M11 10l3 10M13 15l7-2", dice: "M5 5h14v14H5zM9 9v.01M15 9v.01M12 12v.01M9 15v.01M15 15v.01", drop: "M12 3c4 5 6 7.5 6 11a6 6 0 0 1-12 0c0-3.5 2-6 6-11z",
  sheet: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z", half: "M4 5h16v14H4zM12 3v18", side: "M4 5h7v14H4zM13 5h7v14h-7z", diff: "M4 4h11v11H4zM9 9h11v11H9z", invert: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  words: "M4 6h16M4 12h16M4 18h9", gear: "M4 7h10M18 7h2M4 17h2M10 17h10M16 4.5v5M8 14.5v5", send: "M12 19V5m-6 6 6-6 6 6", region: "M7 5c5-3 11 0 12 4s-1 8-5 10-9 0-10-4 0-8 3-10zM9 13l2 2 4-4",
};

export const icon = (name) => {
  const svg = document.createElementNS(SVG, "svg"), path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
};

const NAMES = { label: "aria-label", act: "data-act" };
const OWN = ["value", "checked", "disabled", "selected", "type", "hidden"];

// An element by its name and classes, as selectors write them. Of its properties, `label` is its name for those who hear the page,
// and `act` what tests know it by.
export const h = (what, ...children) => {
  const [tag, ...classes] = what.split("."), node = document.createElement(tag);
  const props = children[0]?.constructor === Object ? children.shift() : {};
  if (classes.length) node.className = classes.join(" ");
  if (tag === "button") node.type = "button";
  for (const [name, value] of Object.entries(props)) {
    if (value == null) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (OWN.includes(name)) node[name] = value;
    else if (value !== false || name.startsWith("aria")) node.setAttribute(NAMES[name] || name, value === true && !name.startsWith("aria") ? "" : value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
};

export const grow = () => h("span.grow");
export const soft = (...words) => h("p.soft", ...words);

export const button = (name, words, onclick, props = {}) => h("button", { onclick, ...props, class: `button ${props.class || ""}` }, name && icon(name), h("span", words));
// One of an icon alone: its words are for those who hear the page, or wait over it.
export const tool = (name, words, onclick, props = {}) => h("button", { onclick, label: words, title: words, ...props, class: `button quiet ${props.class || ""}` }, icon(name));
// One that looks like a line of words.
export const link = (name, words, onclick, props = {}) => h("button", { onclick, ...props, class: `link ${props.class || ""}` }, icon(name), words);

// A hidden input for files; the same file may be chosen again.
export const chooser = (accept, then, multiple) => {
  const input = h("input", { type: "file", accept, multiple, hidden: true, onchange: () => { then([...input.files]); input.value = ""; } });
  return input;
};

export const field = (label, control, kind = "") => h("label", { class: `field ${kind}` }, h("span", label), control);

// Says in words what went wrong.
export const trying = async (run) => { try { return await run(); } catch (error) { return say(error.message, "bad"); } };

export const say = (text, kind = "plain") => {
  const node = h("div", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(node);
  setTimeout(() => node.remove(), kind === "bad" ? 9000 : 4000);
};

// Where it says what is wrong; hidden where nothing is.
export const problem = (words) => {
  const node = h("p.problem", { role: "alert" });
  node.fail = (said) => { node.hidden = !said; node.textContent = said || ""; };
  node.fail(words);
  return node;
};

export const copy = async (text, what) => {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied`);
  } catch {
    dialog(what, h("textarea.code", { rows: 8, readonly: true, label: what }, text));
  }
};

export const save = (blob, name) => {
  const href = URL.createObjectURL(blob);
  h("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10000);
};

export const dialog = (title, ...content) => {
  const node = h("dialog", { label: title },
    h("header", h("h2", title), tool("close", "Close", () => node.close())), ...content);
  node.addEventListener("close", () => node.remove());
  node.addEventListener("click", (event) => { if (event.target === node) node.close(); });
  document.body.append(node);
  node.showModal();
  return node;
};

const answered = (title, ...content) => new Promise((done) => {
  let sent = false;
  const form = h("form", { method: "dialog", onsubmit: () => { sent = true; } }, ...content);
  dialog(title, form).addEventListener("close", () => done(sent));
});
const act = (words, kind) => h("div.row.end", h("button", { class: `button ${kind}`, type: "submit" }, words));

// Asks for a line of text; null where nobody gave one.
export const ask = async (title, label, value = "", props = {}) => {
  const input = h("input", { value, required: true, ...props });
  return (await answered(title, field(label, input), act("Save", "primary"))) ? input.value : null;
};

export const confirm = (title, text, words) => answered(title, h("p", text), act(words, "danger"));

export const number = (value, digits = 0) => value.toLocaleString("en", { maximumFractionDigits: digits });
export const count = (some, name) => `${number(some)} ${name}${some === 1 ? "" : "s"}`;

// A list that grows by pages: `read` gets one, `card` makes an entry.
export const pages = async (node, title, read, card, cursor = "") => {
  const page = await trying(() => read(cursor && `&cursor=${cursor}`));
  if (!page) return;
  if (!cursor && page.list.length) node.append(h("h2", title), h("ul.cards"));
  node.querySelector("ul")?.append(...page.list.map((one) => h("li", card(one))));
  node.querySelector(".next")?.remove();
  if (page.next) node.append(button(null, "Show more", () => pages(node, title, read, card, page.next), { class: "next" }));
};

export const ago = (text) => {
  const seconds = (Date.now() - Date.parse(text)) / 1000;
  const [size, name] = [[86400, "day"], [3600, "hour"], [60, "minute"]].find(([one]) => seconds >= one) || [];
  return size ? `${count(Math.floor(seconds / size), name)} ago` : "just now";
};
