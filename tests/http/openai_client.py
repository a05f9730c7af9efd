#!/usr/bin/env python3
"""OpenAI's own client against a running gateway: `openai_client.py URL KEY`. Prints what it checked; fails loudly."""

import base64
import io
import json
import sys
import time
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


def lines(*requests):
    """A file of requests."""
    file = io.BytesIO("\n".join(json.dumps(request) for request in requests).encode())
    file.name = "requests.jsonl"
    return file


def request(custom_id, **body):
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/images/edits", "body": {"model": "gpt-image-1", **body}}


def ended(client, batch):
    deadline = time.monotonic() + 300
    while batch.status in ("validating", "in_progress", "finalizing", "cancelling"):
        assert time.monotonic() < deadline, batch
        time.sleep(0.2)
        batch = client.batches.retrieve(batch.id)
    return batch


def batches(client, picture, check):
    """Files and batches, as OpenAI's documentation has them."""
    room = client.files.create(file=("room.png", picture), purpose="vision", expires_after={"anchor": "created_at", "seconds": 3600})
    assert room.object == "file" and room.bytes == len(picture) and room.expires_at == room.created_at + 3600
    assert client.files.content(room.id).read() == picture
    address = "data:image/png;base64," + base64.b64encode(picture).decode()
    requests = lines(
        request("a", prompt="make the sofa red", images=[{"file_id": room.id}], seed=7),
        request("b", prompt="make the sofa green", images=[{"image_url": address}], output_format="jpeg"),
        request("c", prompt="", images=[{"file_id": room.id}]),
    )
    file = client.files.create(file=requests, purpose="batch")
    assert (file.purpose, file.filename, file.status) == ("batch", "requests.jsonl", "processed")
    assert client.files.retrieve(file.id) == file
    assert file.id in [one.id for one in client.files.list(purpose="batch")]
    assert client.files.content(file.id).read() == requests.getvalue()
    check("files.create, retrieve, list, content")

    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/images/edits", completion_window="24h", metadata={"season": "autumn"}
    )
    assert batch.object == "batch" and batch.metadata == {"season": "autumn"} and batch.expires_at > batch.created_at
    batch = ended(client, batch)
    assert batch.status == "completed", batch
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (3, 2, 1), counts
    results = [json.loads(line) for line in client.files.content(batch.output_file_id).iter_lines()]
    assert [result["custom_id"] for result in results] == ["a", "b"]
    assert all(result["response"]["status_code"] == 200 and result["error"] is None for result in results)
    first, second = (base64.b64decode(result["response"]["body"]["data"][0]["b64_json"]) for result in results)
    assert png_size(first) == (SIDE, SIDE) and second[:3] == b"\xff\xd8\xff"
    [failed] = [json.loads(line) for line in client.files.content(batch.error_file_id).text.splitlines()]
    assert failed["custom_id"] == "c" and failed["response"]["status_code"] == 422, failed
    assert failed["response"]["body"]["error"]["param"] == "prompt", failed
    assert batch.id in [one.id for one in client.batches.list(limit=1)]
    check("batches.create, retrieve, list; output_file_id, error_file_id")

    wrong = lines(request("a", prompt="x", images=[{"file_id": room.id}]), {"custom_id": "b"}, request("a"))
    wrong = client.files.create(file=wrong, purpose="batch")
    batch = client.batches.create(input_file_id=wrong.id, endpoint="/v1/images/edits", completion_window="24h")
    batch = ended(client, batch)
    assert batch.status == "failed" and batch.failed_at and batch.output_file_id is None, batch
    told = [(error.line, error.code, error.param) for error in batch.errors.data]
    assert told == [(2, "missing_required_parameter", "method"), (3, "duplicate_custom_id", "custom_id")], told
    check("batches, wrong lines by their numbers")

    many = lines(*(request(f"{number}", prompt="make the sofa red", images=[{"file_id": room.id}]) for number in range(400)))
    many = client.files.create(file=many, purpose="batch")
    batch = client.batches.create(input_file_id=many.id, endpoint="/v1/images/edits", completion_window="24h")
    batch = ended(client, client.batches.cancel(batch.id))
    assert batch.status == "cancelled" and batch.cancelled_at, batch
    assert batch.request_counts.completed < 400, batch
    check("batches.cancel")

    refused(
        openai.UnprocessableEntityError,
        lambda: client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"),
        param="endpoint",
    )
    refused(openai.UnprocessableEntityError, lambda: client.files.create(file=b"{}", purpose="fine-tune"), param="purpose")
    assert client.files.delete(file.id).deleted
    refused(openai.NotFoundError, lambda: client.files.retrieve(file.id), code="file_not_found")
    refused(openai.NotFoundError, lambda: client.batches.retrieve("batch_0"), code="batch_not_found")
    check("files.delete; errors in OpenAI's words")


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

    batches(client, picture, check)

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
