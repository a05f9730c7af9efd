#!/usr/bin/env python3
"""Deliveries of a running `limekiln dev`, verified by Standard Webhooks' own library and by what /docs shows:
`webhooks.py URL KEY`. Prints what it checked; fails loudly."""

import json
import queue
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

from pictures import room

DELIVERIES = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        DELIVERIES.put((self.headers, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def main(url, key):
    def call(method, path, body=None, media_type="application/json"):
        headers = {"Authorization": f"Bearer {key}", "Content-Type": media_type}
        request = urllib.request.Request(url + path, data=body, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    with urllib.request.urlopen(f"{url}/openapi.json", timeout=30) as answer:
        [sample] = json.load(answer)["webhooks"]["editEnded"]["post"]["x-codeSamples"]
    shown = {}
    exec(sample["source"], shown)

    def verified(secret, headers, body):
        """Both say the same, of the delivery and of one that somebody changed."""
        answers = []
        for text in (body, body.replace(b"edit.", b"edit_", 1)):
            try:
                Webhook(secret).verify(text, dict(headers))
                answers.append(True)
            except WebhookVerificationError:
                answers.append(False)
            try:
                shown["verify"](secret, headers, text)
                assert answers[-1], "/docs is content where the library is not"
            except ValueError:
                assert not answers[-1], "the library is content where /docs is not"
        assert not answers[1], "a changed body"
        return answers[0]

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    image = call("POST", "/v1/images", room(64), "image/png")["id"]
    edit = {"image": image, "instruction": "make the sofa red", "webhook": f"http://127.0.0.1:{server.server_port}/"}

    def delivery():
        made = call("POST", "/v1/edits", json.dumps(edit).encode())["id"]
        headers, body = DELIVERIES.get(timeout=120)
        told = json.loads(body)
        assert told["edit"]["id"] == made and told["id"] == headers["webhook-id"], told
        assert told["type"] == "edit.succeeded", told
        return headers, body

    first = call("GET", "/v1/webhooks/secret")["secret"]
    assert verified(first, *delivery())
    print("ok signed", flush=True)

    rotated = call("POST", "/v1/webhooks/secret/rotate")
    assert rotated["former"]["secret"] == first
    both = delivery()
    assert verified(first, *both) and verified(rotated["secret"], *both)
    print("ok signed with both secrets", flush=True)

    last = call("POST", "/v1/webhooks/secret/rotate?overlap_hours=0")["secret"]
    one = delivery()
    assert verified(last, *one) and not verified(rotated["secret"], *one) and not verified(first, *one)
    print("ok the former secrets are gone", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: webhooks.py URL KEY")
    main(sys.argv[1].rstrip("/"), sys.argv[2])
