"""What the built command understands."""

import functools
import re
import socketserver
import subprocess
import threading

from harness import LIMEKILN, run

# Read by libraries that the command is made of, not by its own arguments.
LIBRARIES = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "HF_HOME"}


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


class Closed(socketserver.BaseRequestHandler):
    """A Postgres that lets nobody in: whoever gets as far as asking it has understood everything else."""

    def handle(self):
        self.request.recv(1024)
        fields = b"SFATAL\0VFATAL\0C28P01\0Mthe door is closed\0\0"
        self.request.sendall(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)


def accepted(calls):
    """Holds that every value is one the command takes: each call must get as far as Postgres' door."""
    calls = {(tuple(arguments), tuple(sorted(environment.items()))) for arguments, environment in calls}
    assert calls, "nothing to call"
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Closed) as door:
        threading.Thread(target=door.serve_forever, daemon=True).start()
        services = {
            "DATABASE_URL": f"postgres://nobody:x@127.0.0.1:{door.server_address[1]}/none?sslmode=disable",
            "AMQP_URL": "amqp://127.0.0.1:1",
        }
        try:
            for arguments, environment in calls:
                done = subprocess.run(
                    [LIMEKILN, *arguments],
                    env={**dict(environment), **services},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=90,
                )
                call = f"limekiln {' '.join(arguments)} with {environment}"
                # 2 is the status of a command line that cannot be right.
                assert done.returncode == 1 and "the door is closed" in done.stderr, f"{call}: {done}"
        finally:
            door.shutdown()
