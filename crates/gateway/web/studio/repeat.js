// The same edit again, outside the page: as curl, as the command, as Python.

const shell = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

export const curl = (origin, request) => `curl -s ${origin}/v1/edits \\
  -H "Authorization: Bearer $LIMEKILN_KEY" -H 'Content-Type: application/json' \\
  -d ${shell(JSON.stringify(request))}`;

export const command = (origin, request, before) => {
  const scales = request.options?.edit?.scales || {};
  const flags = [["preset", request.preset], ["seed", request.seed], ["size", request.size], ["color", request.color], ["material", request.material], ["finish", request.finish], ["carry", request.carry], ["reuse", request.reuse],
    ["text-scale", scales.text], ["image-scale", scales.image], ["as", request.model], ["mask", request.mask && "mask.png"]]
    .filter(([, value]) => value !== undefined && value !== null).map(([name, value]) => `--${name} ${/^[\w.]+$/.test(value) ? value : shell(value)}`);
  if (request.matte) flags.push("--matte");
  if (request.strip_metadata) flags.push("--strip-metadata");
  const take = (path, name) => `curl -sL ${origin}${path} -H "Authorization: Bearer $LIMEKILN_KEY" -o ${name}\n`;
  return `${take(before, "before")}${request.mask ? take(`/v1/images/${request.mask}/content`, "mask.png") : ""}limekiln submit before ${shell(request.instruction)} \\
  ${[...flags, `--url ${origin}`].join(" ")} -o result.png`;
};

export const script = (origin, request) => `import json, os, urllib.request

false, null, true = False, None, True

def limekiln(method, path, body=None):
    ask = urllib.request.Request(
        ${JSON.stringify(origin)} + path, method=method, data=json.dumps(body).encode() if body else None,
        headers={"Authorization": "Bearer " + os.environ["LIMEKILN_KEY"], "Content-Type": "application/json"})
    return urllib.request.urlopen(ask)

edit = json.load(limekiln("POST", "/v1/edits", ${JSON.stringify(request, null, 4)}))
with limekiln("GET", edit["links"]["events"]) as events:
    for line in events:                       # until the edit has ended
        print(line.decode().rstrip())
with open("result.png", "wb") as file:
    file.write(limekiln("GET", "/v1/edits/" + edit["id"] + "/result").read())
`;
