#!/usr/bin/env python3
"""OpenAI's own client against a running gateway: `openai_client.py URL KEY`. Prints what it checked; fails loudly."""

import base64
import io
import sys
import urllib.request

import openai

from pictures import mask, png_size, room

SIDE = 128


def refused(kind, call, **expected):
    try:
        call()
    except kind as error:
        for name, value in expected.items():
            assert getattr(error, name) == value, (name, getattr(error, name), value, str(error))
        return error
    raise AssertionError(f"{kind.__name__} was expected")


def main(url, key):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, timeout=300, max_retries=0)
    picture = room(SIDE)
    checked = []

    def check(name):
        checked.append(name)
        print(f"ok {name}", flush=True)

    models = [model.id for model in client.models.list()]
    assert models, "no models"
    assert client.models.retrieve(models[0]).id == models[0]
    refused(openai.NotFoundError, lambda: client.models.retrieve("nonesuch"))
    check("models.list, models.retrieve")

    one = client.images.edit(image=("room.png", picture, "image/png"), prompt="make the sofa red", model="gpt-image-1")
    result = base64.b64decode(one.data[0].b64_json)
    assert len(one.data) == 1 and one.data[0].url is None and one.created > 1_700_000_000
    assert png_size(result) == (SIDE, SIDE)
    check("images.edit, base64")

    # The way the documentation has it: an open file, a list of one.
    file = io.BytesIO(picture)
    file.name = "room.png"
    assert client.images.edit(image=[file], prompt="make the sofa green", model=models[0]).data[0].b64_json
    check("images.edit, image[]")

    two = client.images.edit(
        image=("room.png", picture), prompt="make the sofa red", n=2, size="256x256", response_format="b64_json",
        extra_body={"seed": 7},
    )
    assert len(two.data) == 2
    again = client.images.edit(
        image=("room.png", picture), prompt="make the sofa red", n=2, size="256x256", response_format="b64_json",
        extra_body={"seed": 7},
    )
    assert [p.b64_json for p in two.data] == [p.b64_json for p in again.data], "the same seeds, the same pictures"
    check("images.edit, n=2, size, seed")

    linked = client.images.edit(image=("room.png", picture), prompt="make the sofa red", response_format="url")
    assert linked.data[0].b64_json is None
    with urllib.request.urlopen(linked.data[0].url, timeout=30) as got:
        assert png_size(got.read()) == (SIDE, SIDE)
    check("images.edit, url")

    jpeg = client.images.edit(
        image=("room.png", picture), prompt="make the sofa red", extra_body={"output_format": "jpeg", "output_compression": 80},
    )
    assert base64.b64decode(jpeg.data[0].b64_json)[:3] == b"\xff\xd8\xff"
    check("images.edit, output_format, output_compression")

    area = ("mask.png", mask(SIDE))
    masked = client.images.edit(image=("room.png", picture), mask=area, prompt="make the sofa red")
    assert png_size(base64.b64decode(masked.data[0].b64_json)) == (SIDE, SIDE)
    check("images.edit, mask")

    # Without a mask it is the picture's own transparency.
    hollow = client.images.edit(image=area, prompt="make the sofa red")
    assert png_size(base64.b64decode(hollow.data[0].b64_json)) == (SIDE, SIDE)
    check("images.edit, the picture's own transparency")

    stream = client.images.edit(image=("room.png", picture), prompt="make the sofa red", stream=True, partial_images=2)
    events = list(stream)
    assert [event.type for event in events].count("image_edit.completed") == 1, events
    assert events[-1].type == "image_edit.completed" and events[-1].usage.total_tokens == 0
    assert png_size(base64.b64decode(events[-1].b64_json)) == (SIDE, SIDE)
    assert all(event.type == "image_edit.partial_image" and event.b64_json for event in events[:-1])
    check("images.edit, stream")

    body = {
        "model": "gpt-image-1", "prompt": "make the sofa red", "seed": 7,
        "images": [{"image_url": "data:image/png;base64," + base64.b64encode(picture).decode()}],
    }
    answer = client.post("/images/edits", body=body, cast_to=object)
    assert png_size(base64.b64decode(answer["data"][0]["b64_json"])) == (SIDE, SIDE)
    check("images.edit, JSON")

    keyed = {"Idempotency-Key": f"openai-{one.created}"}
    first = client.images.edit(image=("room.png", picture), prompt="make the wall blue", extra_headers=keyed)
    second = client.images.edit(image=("room.png", picture), prompt="make the wall blue", extra_headers=keyed)
    assert first.data[0].b64_json == second.data[0].b64_json
    refused(
        openai.UnprocessableEntityError,
        lambda: client.images.edit(image=("room.png", picture), prompt="another", extra_headers=keyed),
        code="idempotency_key_reused",
    )
    check("images.edit, Idempotency-Key")

    def edit(**fields):
        return client.images.edit(**{"image": ("room.png", picture), "prompt": "make the sofa red", **fields})

    refused(openai.AuthenticationError, lambda: client.with_options(api_key="lk_wrong").models.list())
    error = refused(
        openai.AuthenticationError,
        lambda: client.with_options(api_key="lk_wrong").images.edit(image=picture, prompt="x"),
        code="invalid_api_key",
    )
    assert error.type == "invalid_request_error", error.type
    refused(openai.UnprocessableEntityError, lambda: edit(prompt=""), param="prompt", code="request_invalid")
    refused(openai.UnprocessableEntityError, lambda: edit(prompt="x" * 1001), param="prompt")
    refused(openai.UnprocessableEntityError, lambda: edit(n=11), param="n")
    refused(openai.UnprocessableEntityError, lambda: edit(size="3x3"), param="size")
    refused(openai.UnprocessableEntityError, lambda: edit(partial_images=2), param="partial_images")
    refused(openai.UnprocessableEntityError, lambda: edit(image=[("a.png", picture), ("b.png", picture)]), param="image")
    refused(
        openai.UnprocessableEntityError,
        lambda: edit(extra_body={"output_compression": 50}),
        param="output_compression",
    )
    refused(openai.UnprocessableEntityError, lambda: edit(extra_body={"n_images": 2}), param="n_images")
    refused(openai.NotFoundError, lambda: edit(model="no-such-model"), code="model_not_found")
    refused(openai.APIStatusError, lambda: edit(image=("a.png", b"GIF89a...", "image/png")), code="image_unsupported")
    refused(
        openai.UnprocessableEntityError,
        lambda: edit(mask=("m.png", mask(64))),
        code="mask_invalid",
    )
    refused(
        openai.UnprocessableEntityError,
        lambda: edit(mask=("m.png", mask(SIDE, transparent=False))),
        code="mask_invalid",
    )
    check("errors in OpenAI's words")
    print(f"openai {openai.__version__}: {len(checked)} checks")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: openai_client.py URL KEY")
    main(sys.argv[1].rstrip("/"), sys.argv[2])
