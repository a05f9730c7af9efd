"""What the checks share."""

import os
import functools
import pathlib
import shutil
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
LIMEKILN = pathlib.Path(os.environ.get("LIMEKILN_BIN", ROOT / "target/release/limekiln")).resolve()
CHECKS = []


def check(function):
    """Registers a check under its module's and its own name."""
    CHECKS.append((f"{function.__module__}::{function.__name__}", function))
    return function


def run(*command, **options):
    """The output of a command that must succeed."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}"
    return done.stdout


@functools.cache
def rendered(folder):
    """The objects of a kustomization, as a cluster would get them."""
    command = ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]
    return [document for document in yaml.safe_load_all(run(*command, folder)) if document]


def refuses(function, *arguments):
    """Fails unless the function does: a check that lets everything through is none."""
    try:
        function(*arguments)
    except Exception:  # any refusal will do
        return
    raise AssertionError(f"{function.__name__} let {arguments} through")
