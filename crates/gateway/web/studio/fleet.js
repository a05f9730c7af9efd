// The operators' page: queues, workers, dead letters and tenants of the whole fleet, for keys of the role admin.

import { get, onSignedOut, post, request } from "./api.js";
import { ago, button, confirm, grow, h, number, say, soft, tool, trying } from "./dom.js";
import { signIn } from "./sign.js";

const EVERY = 2000;
const bar = document.getElementById("bar"), main = document.getElementById("main");
const tenth = (value) => number(value, 1);
let [timer, last, letters, tenants] = [null, null, null, null];

const act = (path, words) => () => trying(async () => { await post(path); say(words); await draw(true); });

const table = (title, names, rows, none, ...acts) => h("section.earlier", h("header.row", h("h2", title), grow(), acts),
  rows.length ? h("div.scroll", { tabindex: "0", role: "region", label: title }, h("table", h("thead", h("tr", names.map((name) => h("th", { scope: "col" }, name)))), h("tbody", rows.map((row) => h("tr", row.map((cell) => h("td", cell ?? ""))))))) : soft(none));

// What this gateway counted since the look before: sums of its metrics by name.
const rates = async () => {
  const text = await (await request("GET", "/metrics")).text().catch(() => ""), now = { at: Date.now() };
  for (const [, name, value] of text.matchAll(/^limekiln_([a-z_]+)(?:\{.*\})? ([\d.e+-]+)$/gm)) now[name] = (now[name] || 0) + Number(value);
  const before = last, since = (name) => (now[name] || 0) - (before[name] || 0), each = (name) => (since(`${name}_count`) ? `${tenth((1000 * since(`${name}_sum`)) / since(`${name}_count`))} ms` : "–");
  last = now;
  if (!before) return [];
  const seconds = (now.at - before.at) / 1000;
  return [["Edits a minute", tenth((60 * since("submitted_total")) / seconds)], ["Requests a second", tenth(since("http_requests_total") / seconds)], ["An answer takes", each("http_seconds")], ["Taking an edit in", each("submit_seconds")]];
};

const draw = async (now) => {
  clearTimeout(timer);
  const [queues, { workers }, facts] = await Promise.all([get("/v1/admin/queues"), get("/v1/admin/workers"), rates()]);
  if (now || !letters) [letters, tenants] = await Promise.all([get("/v1/admin/dead-letters?limit=50"), get("/v1/admin/tenants?limit=100")]);
  const focused = document.activeElement?.dataset?.act, alive = workers.filter((one) => one.alive);
  const named = new Map(tenants.tenants.map((one) => [one.id, one.name]));
  const drain = (path, words) => async () => { if (await confirm("Drain", words, "Drain")) await act(path, "It drains")(); };
  main.replaceChildren(h("div.start", {  },
    h("div.row", h("h1", queues.paused ? "The fleet is paused" : `${alive.length} ${alive.length === 1 ? "worker" : "workers"}, ${alive.reduce((sum, one) => sum + one.busy, 0)} of ${alive.reduce((sum, one) => sum + one.slots, 0)} slots busy`), grow(),
      queues.paused ? button("redoHere", "Resume", act("/v1/admin/resume", "The fleet goes on"), { class: "primary", act: "resume" }) : button("half", "Pause", act("/v1/admin/pause", "No more edits are handed out"), { act: "pause" })),
    facts.length && h("dl.figures", facts.map(([term, value]) => h("div", h("dt", term), h("dd", value)))),
    table("Queues", ["Model", "Class", "Waiting", "Queued", "Announced", "Running", "Oldest"], queues.queues.map((one) => [one.model, one.class, number(one.waiting), h("span", { class: one.unable ? "warning" : "" }, number(one.queued), one.unable ? `, ${one.unable} need ${one.unable_needs.join(", ")}` : ""), number(one.announced), number(one.running), `${tenth(one.oldest_queued_s)} s`]), "Every queue is empty."),
    table("Workers", ["Name", "Models", "Busy", "Device", "Version", "Seen", "Drain"], workers.map((one) => [one.name, one.models.join(", "), `${one.busy} of ${one.slots}`, one.device, one.version, one.alive ? ago(one.seen_at) : h("span.problem", `lost, ${ago(one.seen_at)}`), one.draining ? "drains" : button(null, "Drain", drain(`/v1/admin/workers/${one.id}/drain`, `${one.name} takes no more edits, and ends when those at hand have ended.`), { class: "small", act: one.id })]), "No worker is there.", workers.length > 1 && button(null, "Drain all", drain("/v1/admin/drain", "All workers take no more edits, and end when those at hand have ended."), { class: "small", act: "drain" })),
    table("Dead letters", ["Edit", "Tenant", "Model", "Why", "Attempts", "When", "Retry"], letters.dead_letters.map((one) => [h("code", one.edit.slice(-8)), named.get(one.tenant) || one.tenant, one.model, one.error.message, one.attempts, ago(one.finished_at), button(null, "Retry", act(`/v1/admin/edits/${one.edit}/retry`, "Queued again"), { class: "small", act: one.edit })]), "No edit has failed by the fleet's fault.", button("redoHere", "Look again", () => draw(true), { class: "small", act: "again" })),
    table("Tenants", ["Name", "Under way", "Edits a second", "Stored", "Keys"], tenants.tenants.map((one) => [one.name, `${number(one.used.in_flight)} of ${number(one.limits.in_flight)}`, number(one.limits.rate_per_second), `${number(one.used.stored_bytes / 1e6)} MB`, one.keys.map((key) => `${key.label || "without a label"} (${key.role}${key.revoked_at ? ", revoked" : key.expires_at ? `, until ${key.expires_at.slice(0, 10)}` : ""}${key.used_at ? `, used ${ago(key.used_at)}` : ""})`).join("; ")]), "There is no tenant.")));
  if (focused) main.querySelector(`[data-act="${focused}"]`)?.focus();
  timer = setTimeout(follow, EVERY);
};

// On and on; what can't be read is tried again.
const follow = async () => {
  if (document.hidden || document.querySelector("dialog") || main.matches(":active")) { timer = setTimeout(follow, EVERY); return; }
  try { await draw(); } catch (error) {
    if (error.status === 403) asked("This key is a tenant’s. The fleet is for keys of the role admin: limekiln keys create --admin");
    else if (error.status !== 401) { say(error.message, "bad"); timer = setTimeout(follow, 3 * EVERY); }
  }
};

const asked = (reason) => {
  clearTimeout(timer);
  menu.hidden = true;
  main.replaceChildren(signIn("/studio/icon.svg", enter, reason));
};
const enter = async () => { menu.hidden = false; await follow(); };
const menu = h("nav", { label: "Limekiln" }, h("a.button.quiet", { href: "/docs" }, "API"), tool("out", "Sign out", async () => { await post("/v1/sign-out").catch(() => {}); asked(); }));
bar.append(h("a.brand", { href: "/fleet" }, h("img", { src: "/studio/icon.svg", alt: "", width: "26" }), "Limekiln fleet"), grow(), menu);
onSignedOut(() => asked(last ? "You were signed out: sign in again to go on" : undefined));
enter();
