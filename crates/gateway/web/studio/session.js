// A session as the page knows it: its turns and head, kept true by one stream of events.

import { call, content, get, post, result, thumb } from "./api.js";

const LIVE = new Set(["waiting", "queued", "running"]);
const KINDS = ["head", "preview", "waiting", "queued", "started", "located", "progress", "retrying", "succeeded", "failed", "cancelled"];
const SOON = 60;

export class Session extends EventTarget {
  constructor(id) {
    super();
    Object.assign(this, { id, tree: [], branches: [], live: new Map(), online: true });
  }

  async open() {
    await this.reload();
    this.listen();
    return this;
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.closed = true;
  }

  async reload() {
    Object.assign(this, await get(`/v1/sessions/${this.id}`));
    for (const turn of this.tree) if (!LIVE.has(turn.state)) this.live.delete(turn.id);
    this.changed();
  }

  changed() { this.dispatchEvent(new Event("change")); }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.reload().catch(() => this.soon()), SOON);
  }

  listen() {
    const source = new EventSource(`/v1/sessions/${this.id}/events`);
    this.source = source;
    const told = (event) => this.heard(event.type, JSON.parse(event.data));
    for (const kind of KINDS) source.addEventListener(kind, told);
    source.onopen = () => { if (!this.online) { this.online = true; this.soon(); this.changed(); } };
    source.onerror = () => {
      if (this.closed) return;
      if (this.online) { this.online = false; this.changed(); }
      // A browser gives up where an error was answered, and tries again by itself where nothing was.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => { if (!this.closed) this.listen(); }, 1500);
    };
  }

  heard(kind, data) {
    if (kind === "head") {
      if (data.head.version > this.version) this.soon();
      return;
    }
    const about = kind === "preview" ? data : data.turn;
    const turn = this.turn(about.edit);
    if (!turn) return this.soon();
    if (!LIVE.has(turn.state)) return;
    const live = this.live.get(turn.id) || {};
    this.live.set(turn.id, live);
    if (kind === "preview") Object.assign(live, { preview: `data:image/jpeg;base64,${data.jpeg}`, step: Math.max(data.step, live.step || 0) });
    else if (kind === "located") live.region = about.data.png ? `data:image/png;base64,${about.data.png}` : null;
    else if (kind === "progress") { turn.state = "running"; Object.assign(live, about.data); }
    else if (kind === "started") turn.state = "running";
    else return this.soon();
    this.changed();
  }

  turn(id) { return this.tree.find((turn) => turn.id === id); }
  get current() { return this.head ? this.turn(this.head) : null; }
  running(turn) { return turn && LIVE.has(turn.state); }
  children(id) { return this.tree.filter((turn) => turn.parent === id); }

  // The picture that a turn was made from, and the one that it made.
  before(turn) { return turn.parent ? result(turn.parent) : content(this.image); }
  after(turn) { return turn ? result(turn.id) : content(this.image); }
  thumb(turn) { return turn.state === "succeeded" ? thumb(turn.id) : null; }

  // The turns from the picture to this one.
  path(turn) {
    const path = [];
    for (let one = turn; one; one = one.parent && this.turn(one.parent)) path.unshift(one);
    return path;
  }

  // Where a turn builds on: a turn, or the picture itself.
  on(parent) { return parent ? { parent } : { image: this.image }; }

  async edit(request, parent = this.head) {
    const body = { ...request, ...this.on(parent) };
    const accepted = await post(`/v1/sessions/${this.id}/edits`, body, { headers: { "Idempotency-Key": crypto.randomUUID?.() || `${Date.now()}-${Math.random()}` } });
    await this.reload();
    return accepted;
  }

  // Asks, and looks what became of it.
  async does(method, path, body) { await call(method, path, body); await this.reload(); }
  move(to) { return this.does("POST", `/v1/sessions/${this.id}/head`, to); }
  jump(turn) { return this.move(turn ? { turn: turn.id } : { move: "root" }); }
  cancel(turn) { return this.does("POST", `/v1/edits/${turn.id}/cancel`); }

  // Takes a turn away, with what builds on it; the head goes back to `to`, or to where the turn built on.
  async remove(turn, to = turn.parent) {
    // Leaves first: what others build on can't go before them.
    const all = [];
    const gather = (one) => { this.children(one.id).forEach(gather); all.push(one); };
    gather(turn);
    if (all.some((one) => one.id === this.head)) await this.move(to && this.turn(to) ? { turn: to } : { move: "root" });
    for (const one of all) await call("DELETE", `/v1/edits/${one.id}`);
    await this.reload();
  }

  rename(title) { return this.does("PATCH", `/v1/sessions/${this.id}`, { title }); }
  name(turn, name) { return this.does("POST", `/v1/sessions/${this.id}/branches`, { name, turn: turn.id }); }
  unname(name) { return this.does("DELETE", `/v1/sessions/${this.id}/branches/${encodeURIComponent(name)}`); }
}
