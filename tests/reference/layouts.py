"""The same random pipelines in every layout that people publish."""

import json
import pathlib
import shutil

import diffusers
import safetensors.torch
import torch

import bpe
import ldm
import styles

ROOT = pathlib.Path(__file__).parent / "checkpoints"
PARTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}


def rounded(pipe):
    """Weights that f16 holds exactly: every layout then gives the same network."""
    with torch.no_grad():
        for part in PARTS:
            for p in getattr(pipe, part).parameters():
                p.copy_(p.half().float())
    return pipe


def tensors(folder):
    return {p: safetensors.torch.load_file(folder / p / f"{stem}.safetensors") for p, stem in PARTS.items()}


def store(states, path):
    safetensors.torch.save_file({name: t.contiguous() for name, t in states.items()}, path, metadata={"format": "pt"})
    path.chmod(0o644)


def tidy(folder):
    """Drops what no repository carries and what names this machine."""
    for path in folder.rglob("*.json"):
        if path.name in ("config.json", "model_index.json", "scheduler_config.json"):
            config = json.loads(path.read_text())
            config.pop("_name_or_path", None)
            path.write_text(json.dumps(config, indent=2) + "\n")


def derive(name, base="sd1"):
    """A copy of `base` without weights."""
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / base, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    return folder


def half(states):
    return {name: t.half() if t.is_floating_point() else t for name, t in states.items()}


def write_sd1():
    folder = ROOT / "sd1"
    shutil.rmtree(folder, ignore_errors=True)
    pipe = rounded(styles.sd1())
    pipe.save_pretrained(folder)
    shutil.rmtree(folder / "tokenizer")
    bpe.write_pair(pipe.tokenizer, folder / "tokenizer")
    # transformers 5 drops the prefix that every published SD1 repository has; and those carry position_ids.
    path = folder / "text_encoder" / "model.safetensors"
    states = {f"text_model.{name}": t for name, t in safetensors.torch.load_file(path).items()}
    states["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    store(states, path)
    # timbrooks/instruct-pix2pix: written before there was a timestep_spacing.
    config = {"_class_name": "EulerAncestralDiscreteScheduler", "_diffusers_version": "0.13.0.dev0", **styles.BETAS,
              "clip_sample": False, "prediction_type": "epsilon", "set_alpha_to_one": False, "skip_prk_steps": True,
              "steps_offset": 1, "trained_betas": None}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config, indent=2) + "\n")
    tidy(folder)


def write_sd2():
    folder = ROOT / "sd2"
    shutil.rmtree(folder, ignore_errors=True)
    rounded(styles.sd2()).save_pretrained(folder)  # the tokenizer as one tokenizer.json
    tidy(folder)


def write_derived():
    base = tensors(ROOT / "sd1")
    folder = derive("sd1-fp16")
    for part, stem in PARTS.items():
        store(half(base[part]), folder / part / f"{stem}.fp16.safetensors")

    folder = derive("sd1-sharded")
    for part, stem in PARTS.items():
        if part != "unet":
            store(half(base[part]), folder / part / f"{stem}.safetensors")
    unet = half(base["unet"])
    names, shards = sorted(unet), 3
    index = {name: f"diffusion_pytorch_model-{1 + i * shards // len(names):05}-of-{shards:05}.safetensors" for i, name in enumerate(names)}
    for file in set(index.values()):
        store({name: unet[name] for name in names if index[name] == file}, folder / "unet" / file)
    total = sum(t.numel() * 2 for t in unet.values())
    table = {"metadata": {"total_size": total}, "weight_map": index}
    (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(table, indent=0) + "\n")

    folder = derive("sd1-bin")  # as the MagicBrush ports: pickles, and PNDM with leading spacing
    for part, stem in PARTS.items():
        torch.save(half(base[part]), folder / part / ("pytorch_model.bin" if part == "text_encoder" else f"{stem}.bin"))
    pndm = diffusers.PNDMScheduler(**styles.BETAS, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading")
    pndm.save_pretrained(folder / "scheduler")
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"][1] = "PNDMScheduler"
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    tidy(folder)

    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for name, conv in (("sd1-legacy-vae", False), ("sd1-legacy-vae-conv", True)):
        folder = derive(name)
        vae = {}
        for key, t in half(base["vae"]).items():
            for new, legacy in old.items():
                if f"attentions.0.{new}." in key:
                    key = key.replace(new, legacy)
                    t = t[:, :, None, None] if conv and key.endswith("weight") else t
            vae[key] = t
        store(vae, folder / "vae" / "diffusion_pytorch_model.safetensors")
        for part in ("unet", "text_encoder"):
            store(half(base[part]), folder / part / f"{PARTS[part]}.safetensors")


def ldm_pipelines():
    return {"sd1-ldm": rounded(styles.ldm("sd1", 3)), "sd2-ldm": rounded(styles.ldm("sd2", 4))}


def write_ldm():
    for name, pipe in ldm_pipelines().items():
        folder = ROOT / name
        shutil.rmtree(folder, ignore_errors=True)
        bpe.write_pair(pipe.tokenizer, folder / "tokenizer")
        states = ldm.state_dict(pipe, name[:3])
        if name == "sd1-ldm":
            ldm.lightning(ldm.with_ema(states), folder / "model.ckpt")
        else:
            store(states, folder / "model.safetensors")


def write():
    write_sd1()
    write_sd2()
    write_derived()
    write_ldm()
