#!/usr/bin/env python3
"""Schemathesis against a running gateway: `conformance.py URL KEY [--examples N] [--seed N]`.

With a key of the role admin the admin routes are tested too, last: they pause the fleet and drain its workers, so give a
gateway that nobody needs any more. Every check of schemathesis is on. What a description can't say is in `hooks.py`.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent


def get(url, key):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def run(args, name, *filters):
    """Runs schemathesis over some of the operations; returns whether it found nothing."""
    print(f"== {name}", flush=True)
    command = [
        str(pathlib.Path(sys.executable).with_name("schemathesis")),
        f"--config-file={HERE / 'schemathesis.toml'}",
        "run",
        f"{args.url}/openapi.json",
        f"--header=Authorization: Bearer {args.key}",
        f"--max-examples={args.examples}",
        f"--seed={args.seed}",
        *filters,
    ]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "hooks",
        "PYTHONPATH": str(HERE),
        "LIMEKILN_URL": args.url,
        "LIMEKILN_KEY": args.key,
    }
    return subprocess.run(command, env=environment, cwd=HERE, check=False).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("key")
    parser.add_argument("--examples", type=int, default=40, help="generated requests for each operation and phase")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    args.url = args.url.rstrip("/")
    good = run(args, "everything but the admin routes", "--exclude-tag=admin")
    if get(f"{args.url}/v1/me", args.key)["role"] == "admin":
        good &= run(args, "admin routes", "--include-tag=admin")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
