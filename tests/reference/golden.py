"""Where goldens go, and how the tests' inputs are drawn."""

import json
import pathlib

import safetensors.torch
import torch

import layouts

FOLDER = pathlib.Path(__file__).parent / "golden"


def write(name, tensors):
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.safetensors"
    layouts.store({key: t.detach().clone() for key, t in tensors.items()}, path)
    print(f"  {path.name}: {path.stat().st_size} bytes")


def write_json(name, value):
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(value, ensure_ascii=True, indent=0) + "\n")


def pipelines():
    """Name -> pipeline, with the weights of the committed checkpoint of that name."""
    made = {"sd1": layouts.rounded(layouts.styles.sd1()), "sd2": layouts.rounded(layouts.styles.sd2())}
    return made | layouts.ldm_pipelines()


def normal(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
