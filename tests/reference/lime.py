"""LIME's two stages spelled out on diffusers: every lane at every step, every map enlarged, the stack built."""

import pathlib
import re

import numpy as np
import torch
import torch.nn.functional as F

import drawn
import golden
import taps

LISTS = pathlib.Path(__file__).parents[2] / "crates/lime/src/stop-words.txt"
STOP, VERBS, _ = (set(part.split()) for part in re.split(r"\[(?:stop|verbs|removing)\]", LISTS.read_text())[1:])
GRID = 16

#        name              checkpoint  preset      size      steps  instruction
EDITS = [("paper",           "sd1", "paper",    (48, 32), 20, "make the sofa red"),
         ("official",        "sd1", "official", (48, 32), 15, "Turn the green lamp off!"),
         ("paper sd2",       "sd2", "paper",    (64, 40), 20, "change it to a blue carpet."),
         ("official sd2",    "sd2", "official", (52, 60), 15, "add a yellow vase, please")]


def select(pipe, instruction, official):
    """Positions that are read, and positions that are penalised, of the 77."""
    ids = pipe.tokenizer(instruction, padding="max_length", max_length=77, truncation=True).input_ids
    end = ids.index(pipe.tokenizer.eos_token_id, 1)
    read, related, word = [], [], []
    for position, piece in enumerate(pipe.tokenizer.convert_ids_to_tokens(ids[1:end]), 1):
        word.append((position, piece))
        if piece.endswith("</w>"):
            text = "".join(p for _, p in word).removesuffix("</w>").lstrip("'")
            positions, word = [p for p, _ in word], []
            if text not in STOP:
                related += positions
                if not (official and (text in VERBS or not any(c.isalnum() for c in text))):
                    read += positions
    kept = related + [end] * official
    return read + [end] * official, [p for p in range(77) if p not in kept]


def prepare(pipe, image, instruction, steps, seed):
    states = torch.cat([pipe.text_encoder(pipe.tokenizer(t, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids)[0]
                        for t in (instruction, "", "")])
    pixels = pipe.image_processor.preprocess(image)
    latents = pipe.vae.encode(pixels).latent_dist.mode()
    generator = torch.Generator().manual_seed(seed)
    pipe.scheduler.set_timesteps(steps)
    noisy = torch.randn(latents.shape, generator=generator) * pipe.scheduler.init_noise_sigma
    return states, torch.cat([latents, latents, torch.zeros_like(latents)]), noisy, generator


def denoise(pipe, image, instruction, steps, scales, seed, bias=lambda step: None, seen=lambda step, seen: None):
    states, conditions, latents, generator = prepare(pipe, image, instruction, steps, seed)
    for step, t in enumerate(pipe.scheduler.timesteps, 1):
        scaled = pipe.scheduler.scale_model_input(latents, t)
        sample = torch.cat([scaled.expand(3, -1, -1, -1), conditions], 1)
        output, found = taps.run(pipe.unet, sample, t, states, bias(step))
        seen(step, found)
        text, picture, none = output.chunk(3)
        eps = none + scales[0] * (text - picture) + scales[1] * (picture - none)
        latents = pipe.scheduler.step(eps, t, latents, generator=generator).prev_sample
    return latents


def sites(pipe, h, w):
    """Sizes of the feature maps by how often they were halved."""
    return {a * b: (a, b) for n in range(4) for a, b in [(-(-h // 2**n), -(-w // 2**n))]}


def window(first, last, of, n):
    at = lambda x: max(1, int(x * n / of + 0.5))
    return range(at(first), at(last) + 1)


def locate(pipe, image, instruction, steps, official, latent, seed=42):
    """The map and the normalised stack, `[GRID^2]` and `[GRID^2, channels]`."""
    h, w = latent
    sizes = sites(pipe, h, w)
    corners = dict(align_corners=True) if official else dict(align_corners=False)
    grow = lambda x: F.interpolate(x[None], (GRID, GRID), mode="bilinear", **corners)[0]
    features_at, map_at = (window(11, 11, 30, steps), window(11, 11, 30, steps)) if official else (window(30, 50, 100, steps), window(1, 75, 100, steps))
    features, maps = {}, []

    def seen(step, found):
        for name, value in found.items():
            kind, _, site = name.partition(".")
            part = site.split(".")[0]
            if kind == "transformer":
                if not official and part != "mid" and step in features_at:
                    features.setdefault(name, []).append(value[1])
                continue
            small = value.shape[-2] < h * w
            size = sizes[value.shape[-2]]
            if kind == "attention" and official and small and step in features_at:
                features.setdefault(name, []).append(value[1].T.unflatten(1, size))
            if kind == "probabilities" and (small if official else part != "mid") and step in map_at:
                maps.append(grow(value[0].mean(0).T.unflatten(1, size)))

    denoise(pipe, image, instruction, steps, (5.5 if official else 7.5, 1.5), seed, seen=seen)
    stack = torch.cat([grow(torch.stack(values).mean(0)) for values in features.values()])
    stack = F.normalize(stack.flatten(1).T, dim=1)
    mean = torch.stack(maps).mean(0)
    if not official:
        mean = mean / mean.sum(0)
    read, _ = select(pipe, instruction, official)
    return mean[read].mean(0).flatten(), stack


def apply(pipe, image, instruction, steps, official, latent, mask, seed=42):
    """Final latents of an edit that is regularised in `mask` (a picture's)."""
    h, w = latent
    sizes = sites(pipe, h, w)
    _, penalised = select(pipe, instruction, official)
    tokens = torch.zeros(77)
    tokens[penalised] = 1
    lanes = torch.tensor([1.0, 1.0, 1.0] if official else [1.0, 0.0, 0.0])
    when = window(1, 27, 30, steps) if official else window(1, 75, 100, steps)

    def bias(pixels):
        a, b = sizes[pixels]
        at = mask[torch.arange(a) * mask.shape[0] // a][:, torch.arange(b) * mask.shape[1] // b].flatten()
        strong = 0.0 if official and (a <= -(-h // 4) and b <= -(-w // 4)) else 1e4
        return -strong * lanes[:, None, None, None] * at[None, None, :, None] * tokens

    return denoise(pipe, image, instruction, steps, (2.0 if official else 3.5, 1.5), seed, bias=lambda step: bias if step in when else None)


@torch.no_grad()
def write():
    pipes, tensors, table = golden.pipelines(), {}, []
    for i, (name, checkpoint, preset, (width, height), steps, instruction) in enumerate(EDITS):
        pipe, official = pipes[checkpoint], preset == "official"
        factor = 2 ** (len(pipe.vae.config.block_out_channels) - 1)
        image, latent = drawn.picture(80 + i, width, height), (height // factor, width // factor)
        mask = torch.zeros(height, width)
        mask[height // 3 :, width // 4 : width // 2] = 1
        found, stack = locate(pipe, image, instruction, steps, official, latent)
        latents = apply(pipe, image, instruction, steps, official, latent, mask)
        plain = apply(pipe, image, instruction, steps, official, latent, torch.zeros_like(mask))
        print(f"  {name}: map {found.min():.4f} to {found.max():.4f}, {stack.shape[1]} channels, the bias moves latents by {(latents - plain).abs().mean():.3f}")
        tensors |= {f"{name}: image": torch.from_numpy(np.array(image)), f"{name}: map": found, f"{name}: stack": stack,
                    f"{name}: mask": (mask * 255).byte(), f"{name}: latents": latents}
        read, penalised = select(pipe, instruction, official)
        table.append(dict(name=name, checkpoint=checkpoint, preset=preset, steps=steps, grid=GRID, seed=42, instruction=instruction, read=len(read), penalised=len(penalised)))
    golden.write("lime", tensors)
    golden.write_json("lime", table)
