"""Runs the checks and counts them as cargo does."""

import sys
import time
import traceback

import compose  # noqa: F401: each registers its checks
import images  # noqa: F401
import manifests  # noqa: F401
import monitoring  # noqa: F401
import scaler  # noqa: F401
from harness import CHECKS


def main() -> int:
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [(name, check) for name, check in CHECKS if word in name]
    start, failed = time.monotonic(), []
    print(f"\nrunning {len(chosen)} tests")
    for name, check in chosen:
        try:
            check()
            print(f"test {name} ... ok", flush=True)
        except Exception:  # whatever it is, it is the check's answer
            print(f"test {name} ... FAILED", flush=True)
            traceback.print_exc()
            failed.append(name)
    verdict = "FAILED" if failed or not chosen else "ok"
    print(
        f"\ntest result: {verdict}. {len(chosen) - len(failed)} passed; {len(failed)} failed; 0 ignored; 0 measured; "
        f"{len(CHECKS) - len(chosen)} filtered out; finished in {time.monotonic() - start:.2f}s"
    )
    return 1 if failed or not chosen else 0


sys.exit(main())
