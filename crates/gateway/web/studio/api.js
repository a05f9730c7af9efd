// Requests to the gateway. The cookie of the sign-in goes along by itself, to this origin alone.

// What is wrong, in sentences; fields are named where the server names them.
const problem = (status, { detail, title, code, errors = [] }) => Object.assign(new Error(errors.map((one) => `${one.field}: ${one.message}`).join("; ") || detail || title || `The server answered ${status}`), { status, code });
const offline = () => new Error("The server can't be reached. Nothing is lost: try again in a moment.");

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
let signedOut = () => {};
export const onSignedOut = (then) => { signedOut = then; };

export const request = async (method, path, { body, headers = {}, tries = 1, quiet } = {}) => {
  const json = body !== undefined && !(body instanceof Blob);
  const options = { method, headers: { ...(json && { "Content-Type": "application/json" }), ...headers }, body: json ? JSON.stringify(body) : body };
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(path, options).catch(() => null), last = attempt >= tries;
    if (answer?.ok) return answer;
    if (!answer && last) throw offline();
    if (answer && (answer.status < 502 || last)) {
      if (answer.status === 401 && !quiet) signedOut();
      throw problem(answer.status, await answer.json().catch(() => ({})));
    }
    await pause(Math.min(250 * 2 ** attempt, 4000));
  }
};

export const call = async (method, path, body, more = {}) => {
  // Reading again is always safe; writing is, where it carries a key of its own.
  const safe = method === "GET" || (more.headers?.["Idempotency-Key"]);
  const answer = await request(method, path, { body, tries: safe ? 6 : 1, ...more });
  return answer.status === 204 ? null : answer.json();
};

export const get = (path, more) => call("GET", path, undefined, more);
export const post = (path, body, more) => call("POST", path, body, more);

export const upload = (blob) => post("/v1/images", blob, { headers: { "Content-Type": "application/octet-stream" }, tries: 4 });

export const content = (image) => `/v1/images/${image}/content`;
export const result = (edit, query = "") => `/v1/edits/${edit}/result${query}`;
export const thumb = (edit) => result(edit, "?format=webp&max_side=160");

export const bitmap = (blob) => createImageBitmap(blob, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
export const picture = async (path) => bitmap(await (await request("GET", path, { tries: 4 })).blob());

// A key, or a link's secret, becomes a cookie; the page keeps neither.
export const enter = (secret) => post("/v1/sign-in", undefined, { headers: { Authorization: `Bearer ${secret}` }, quiet: true });

// The pixels of a picture, four bytes each.
export const pixels = (bitmap) => {
  const { width, height } = bitmap, context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, width, height);
};
