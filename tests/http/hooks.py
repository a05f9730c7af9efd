"""What the API's description can't say: pictures are pictures, ids are of what exists, presets know their own options.

Only valid requests are touched; invalid ones go out as they were generated.
"""

import base64
import json
import os
import random
import urllib.error
import urllib.request
import uuid

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.file_samples import FILE_SAMPLES, MEDIA_TYPE_FILE_SAMPLES

from pictures import JPEG, WEBP, mask

URL, KEY = os.environ["LIMEKILN_URL"], os.environ["LIMEKILN_KEY"]
# Both a picture and a mask for one of its size.
PNG = mask(16)
OPTIONS = [{}, {"edit": {}}, {"locate": {}}]

# Schemathesis' own samples have one pixel; no model edits that.
FILE_SAMPLES.update(png=PNG, jpg=JPEG, webp=WEBP)
MEDIA_TYPE_FILE_SAMPLES.update({"image/png": PNG, "image/jpeg": JPEG, "image/webp": WEBP})
schemathesis.openapi.media_type("image/png", st.just(PNG))
schemathesis.openapi.media_type("image/jpeg", st.just(JPEG))
schemathesis.openapi.media_type("image/webp", st.just(WEBP))
schemathesis.openapi.media_type("application/octet-stream", st.sampled_from([PNG, JPEG, WEBP]))
# Beside files, schemathesis writes required text as "", whatever its schema says, unless its type has values.
# A character is four tokens at most, and a model reads 75 of them.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=18)
schemathesis.openapi.media_type("text/plain", TEXT.filter(str.strip))


def call(path, body, media_type="application/json"):
    request = urllib.request.Request(
        URL + path, data=body, headers={"Authorization": f"Bearer {KEY}", "Content-Type": media_type}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["id"]


def cancel(path):
    try:
        call(path, b"")
    except urllib.error.HTTPError as error:
        # It ended before: a picture of 16 pixels takes a moment.
        if error.code != 409:
            raise


IMAGE = call("/v1/images", PNG, "image/png")
SESSION = call("/v1/sessions", b"")
PARENT = call("/v1/edits", json.dumps({"image": IMAGE, "instruction": "make the sofa red"}).encode())


# The same picture as OpenAI's JSON has it.
ADDRESS = {"image_url": "data:image/png;base64," + base64.b64encode(PNG).decode()}


def sometimes(dice, real, drawn):
    """Mostly what exists; sometimes what was drawn, which does not."""
    return real if dice.random() < 0.8 else drawn


def edit(body, dice):
    """A valid `createEdit` or `createTurn` that names what exists."""
    for field, real in (("image", IMAGE), ("mask", IMAGE), ("session", SESSION), ("parent", PARENT)):
        if body.get(field) is not None:
            body[field] = sometimes(dice, real, body[field])
    if body.get("options") is not None:
        # `base` locates nothing.
        body["options"] = dice.choice(OPTIONS[:2] if body.get("preset") == "base" else OPTIONS)
    if body.get("model") is not None:
        body["model"] = sometimes(dice, "rooms", body["model"])


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    """A JSON object on each line."""
    return "".join(json.dumps(row) + "\n" for row in (value if isinstance(value, list) else [value])).encode()


# What is made of what, by the operation that makes it.
MADE = {
    "createEdit": "/v1/edits",
    "createTurn": "/v1/edits",
    "segmentImage": "/v1/edits",
    "segmentResult": "/v1/edits",
    "createCatalog": "/v1/catalogs",
}


@schemathesis.hook
def after_call(context, case, response):
    """Edits of no further use make room for those that are waited for."""
    where = MADE.get(case.operation.definition.raw.get("operationId"))
    if where and response.status_code in (201, 202):
        made = json.loads(response.content)["id"]
        if random.Random(made).random() < 0.9:
            cancel(f"{where}/{made}/cancel")


@schemathesis.hook
def before_call(context, case, kwargs):
    # Limits that were drawn would end this run: they are set for nobody.
    if case.operation.definition.raw.get("operationId") == "setTenantLimits":
        try:
            uuid.UUID(str(case.path_parameters["id"]))
            case.path_parameters = {**case.path_parameters, "id": f"{uuid.uuid4()}"}
        except (KeyError, TypeError, ValueError):
            pass
    # A batch's `endpoint` reads like the address of an image whose id is "edits", and is followed as one.
    if (case.path_parameters or {}).get("id") == "edits":
        case.path_parameters = {**case.path_parameters, "id": f"{uuid.uuid4()}"}
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    # A key is for one request; which ones came before is not in the description.
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers = {**case.headers, "Idempotency-Key": f"{uuid.uuid4()}"}
    if case.operation.definition.raw.get("operationId") == "editImage" and isinstance(case.body, dict) and "images" in case.body:
        # Forms stay as they are: what a hook sets is checked again, and the files in a form are no JSON.
        body = {**case.body, "images": [ADDRESS]}
        if body.get("mask") is not None:
            body["mask"] = ADDRESS
        case.body = body
    if case.operation.definition.raw.get("operationId") in ("createEdit", "createTurn") and isinstance(case.body, dict):
        # Others share it.
        body = dict(case.body)
        edit(body, random.Random(repr(sorted(body))))
        case.body = body
