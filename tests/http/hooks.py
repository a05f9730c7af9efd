"""What the API's description can't say: pictures are pictures, ids are of what exists, presets know their own options.

Only valid requests are touched; invalid ones go out as they were generated.
"""

import json
import os
import random
import urllib.request
import uuid

import schemathesis
from hypothesis import strategies as st

from pictures import JPEG, WEBP, mask, room

URL, KEY = os.environ["LIMEKILN_URL"], os.environ["LIMEKILN_KEY"]
SIDE = 32
PNG, MASK = room(SIDE), mask(SIDE)
OPTIONS = [{}, {"edit": {}}, {"locate": {}}]

schemathesis.openapi.media_type("image/png", st.sampled_from([PNG, MASK]))
schemathesis.openapi.media_type("image/jpeg", st.just(JPEG))
schemathesis.openapi.media_type("image/webp", st.just(WEBP))
schemathesis.openapi.media_type("application/octet-stream", st.sampled_from([PNG, JPEG, WEBP]))


def call(path, body, media_type="application/json"):
    request = urllib.request.Request(
        URL + path, data=body, headers={"Authorization": f"Bearer {KEY}", "Content-Type": media_type}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["id"]


IMAGE = call("/v1/images", PNG, "image/png")
SESSION = call("/v1/sessions", b"")
PARENT = call("/v1/edits", json.dumps({"image": IMAGE, "instruction": "make the sofa red"}).encode())


def sometimes(dice, real, drawn):
    """Mostly what exists; sometimes what was drawn, which does not."""
    return real if dice.random() < 0.8 else drawn


def edit(body, dice):
    """A valid `createEdit` that names what exists."""
    for field, real in (("image", IMAGE), ("mask", IMAGE), ("session", SESSION), ("parent", PARENT)):
        if body.get(field) is not None:
            body[field] = sometimes(dice, real, body[field])
    if body.get("options") is not None:
        body["options"] = dice.choice(OPTIONS)
    if body.get("model") is not None:
        body["model"] = sometimes(dice, "rooms", body["model"])


def form(body, dice):
    """A valid `editImage` with pictures in it."""
    body["image"] = PNG
    if "mask" in body:
        body["mask"] = MASK
    if "model" in body:
        body["model"] = sometimes(dice, "rooms", body["model"])
    # Each is an edit that is waited for.
    if "n" in body:
        body["n"] = min(body["n"], 2)


@schemathesis.hook
def after_call(context, case, response):
    """Edits of no further use make room for those that are waited for."""
    if case.operation.definition.raw.get("operationId") == "createEdit" and response.status_code == 202:
        made = json.loads(response.content)["id"]
        if random.Random(made).random() < 0.9:
            call(f"/v1/edits/{made}/cancel", b"")


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    # A key is for one request; which ones came before is not in the description.
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers = {**case.headers, "Idempotency-Key": f"{uuid.uuid4()}"}
    if not isinstance(case.body, dict):
        return
    # Others share it.
    case.body = dict(case.body)
    operation = case.operation.definition.raw.get("operationId")
    dice = random.Random(repr(sorted(case.body)))
    if operation == "createEdit":
        edit(case.body, dice)
    elif operation == "editImage":
        form(case.body, dice)
