"""What the built command understands."""

import concurrent.futures
import functools
import re
import subprocess

from harness import LIMEKILN, run

# Read by libraries that the command is made of, not by its own arguments.
LIBRARIES = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HF_HOME"}


@functools.cache
def help_of(subcommand):
    """Flags and environment variables of a subcommand."""
    text = run(LIMEKILN, subcommand, "--help")
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)), set(re.findall(r"\[env: ([A-Z0-9_]+)", text))


def understood(arguments, environment, shared=()):
    """Holds that a process so called reads every flag and variable it is given, except those shared with others."""
    assert arguments, "no subcommand"
    flags, variables = help_of(arguments[0])
    for argument in arguments[1:]:
        flag = argument.split("=")[0]
        assert not argument.startswith("-") or flag in flags, f"limekiln {arguments[0]} has no {flag}"
    for name in environment:
        known = name in variables or name in LIBRARIES or name in shared
        assert known, f"limekiln {arguments[0]} does not read {name}"


def accepted(calls):
    """Holds that every value is one the command takes: each call must get as far as looking for Postgres.

    Side by side, for a look takes ten seconds.
    """
    calls = {(tuple(arguments), tuple(sorted(environment.items()))) for arguments, environment in calls}
    assert calls, "nothing to call"
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as threads:
        for outcome in [threads.submit(call, *one) for one in calls]:
            outcome.result()


def call(arguments, environment):
    environment = {**dict(environment), "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "AMQP_URL": "amqp://127.0.0.1:1"}
    done = subprocess.run(
        [LIMEKILN, *arguments], env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    # 2 is the status of a command line that cannot be right.
    assert done.returncode == 1, f"limekiln {' '.join(arguments)} with {environment}: {done.returncode}: {done.stderr}"
    assert "Postgres" in done.stderr, done.stderr
