"""The Dockerfiles."""

import re
import tomllib

from harness import ROOT, check, refuses, run

FILES = sorted((ROOT / "deploy/docker").glob("Dockerfile*"))
TOML = tomllib.loads((ROOT / "Cargo.toml").read_text())


def lint(path):
    run("hadolint", "--failure-threshold", "style", path)


def stages(path):
    """Instructions of each stage, continuation lines joined, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.M).replace("\\\n", " ")
    return [stage.splitlines() for stage in re.split(r"^(?=FROM )", text, flags=re.M) if stage.strip()]


@check
def hadolint_has_nothing_to_say():
    assert len(FILES) == 2
    for path in FILES:
        lint(path)


@check
def hadolint_would_say_so(tmp=ROOT / "target/deploy-tools/Dockerfile.bad"):
    tmp.write_text("FROM debian\nRUN cd /tmp && apt-get install curl\n")
    refuses(lint, tmp)


@check
def the_last_stage_is_small_and_not_root():
    for path in FILES:
        *_, last = stages(path)
        instructions = {line.split()[0]: line.split(maxsplit=1)[1] for line in last if line.strip()}
        assert re.search(r"-slim\b|-base-", instructions["FROM"]), path
        user = re.fullmatch(r"(\d+):(\d+)", instructions["USER"])
        assert user and int(user[1]) >= 10000, path
        assert instructions["ENTRYPOINT"] == '["limekiln"]', path
        assert not re.search(r"cargo|rustc|-dev\b|gcc", "\n".join(last)), path


@check
def what_is_copied_and_built_is_there():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for path in FILES:
        text = path.read_text()
        for source in re.findall(r"^COPY (?!--from)(?:--\S+ )*(\S+) ", text, flags=re.M):
            assert source == "." or (ROOT / source).exists(), f"{path}: {source}"
            assert source == "." or f"!{source}" in ignored, f"{source} is ignored"
        for package in re.findall(r"--package (\S+)", text):
            run("cargo", "pkgid", "--offline", "--package", package)
        # The compiler is at least the workspace's oldest.
        oldest = TOML["workspace"]["package"]["rust-version"]
        found = re.findall(r"^FROM rust:(\d+\.\d+)", text, flags=re.M)
        assert found == [oldest], f"{path}: rust {found}, the workspace asks for {oldest}"


@check
def every_member_of_the_workspace_reaches_the_build():
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    for manifest in [*ROOT.glob("crates/*/Cargo.toml"), ROOT / "tests/fleet/Cargo.toml", ROOT / "migrations/x"]:
        path, out = str(manifest.parent.relative_to(ROOT)), False
        for pattern in ignored:
            plain = pattern.lstrip("!")
            if path == plain or path.startswith(f"{plain}/"):
                out = not pattern.startswith("!")
        assert not out, f"{path} is ignored"
    # Embedded in the binary, so it must be in the context.
    assert "crates/rooms/model" not in ignored and (ROOT / "crates/rooms/model").is_dir()


@check
def the_health_check_asks_for_readiness(script=ROOT / "deploy/docker/ready"):
    import http.server
    import subprocess
    import threading

    for status, expected in [(200, 0), (503, 1)]:
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.handle_request, daemon=True).start()
            done = subprocess.run([script, str(server.server_port)], timeout=30, capture_output=True)
        assert (done.returncode == 0) == (expected == 0) and asked == ["/readyz"], (status, done)
