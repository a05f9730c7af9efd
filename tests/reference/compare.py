"""`limekiln edit --preset base` against diffusers' pipeline, on random checkpoints and pictures.

    python compare.py 10 --seed 1 --steps 20 100 --binary ../../target/release/limekiln

Prints, for each case, the largest difference of a pixel (of 255) and the relative error of the final latents; fails above
2 and 1e-3.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import diffusers
import numpy as np
import PIL.Image
import safetensors.torch
import torch

import bpe
import drawn
import edits
import styles

INSTRUCTIONS = ["make the sofa red", "turn the lamp green and remove the picture", "add a red vase!", "what if it's snowing?", "Recolor the curtain."]


def random_pipeline(rng):
    """A pipeline of either style with a shape of its own; one line that describes it."""
    seed = rng.randrange(2**31)
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(seed)
    two = rng.random() < 0.5
    depth, layers, groups = rng.randint(2, 4), rng.randint(1, 2), rng.choice([2, 4, 8])
    widths = sorted(rng.choice([8, 16, 24, 32, 48]) for _ in range(depth))
    crossed = [True] + [rng.random() < 0.7 for _ in range(depth - 1)]
    heads = [rng.choice([h for h in (1, 2, 4, 8) if w % h == 0]) for w in widths] if two else rng.choice([1, 2, 4, 8])
    hidden = rng.choice([16, 24, 40])
    tokens = bpe.tokenizer(pad="!" if two else "<|endoftext|>")
    down = ["CrossAttnDownBlock2D" if c else "DownBlock2D" for c in crossed]
    config = dict(
        block_out_channels=widths, layers_per_block=layers, cross_attention_dim=hidden, attention_head_dim=heads, norm_num_groups=groups,
        down_block_types=down, up_block_types=[d.replace("Down", "Up") for d in reversed(down)], use_linear_projection=two,
        only_cross_attention=[rng.random() < 0.3 for _ in widths] if two else False,
        transformer_layers_per_block=rng.choice([1, 1, 2]) if two else 1,
    )
    unet = styles.unet(g, **config)
    with torch.no_grad():  # as loud as the noise it is to predict
        unet.conv_out.weight.mul_(3)
    levels = rng.randint(2, 4)
    vae = styles.vae(g, sorted(rng.choice([8, 16, 24]) for _ in range(levels)), rng.choice([2, 4]), layers=rng.randint(1, 2))
    text = styles.text_encoder(hidden, rng.randint(1, 3), rng.choice([1, 2, 4]), "gelu" if two else "quick_gelu", len(tokens), g)
    spacing = rng.choice([{}, {}, {"timestep_spacing": "leading", "steps_offset": 1}, {"timestep_spacing": "trailing"}])
    prediction = rng.choice(["epsilon", "v_prediction"]) if two else "epsilon"
    scheduler = diffusers.EulerAncestralDiscreteScheduler(**styles.BETAS, prediction_type=prediction, **spacing)
    about = f"{'sd2' if two else 'sd1'} widths {widths} heads {heads} layers {layers} vae 1/{2 ** (levels - 1)} {prediction} {spacing.get('timestep_spacing', 'linspace')}"
    return styles.pipeline(tokens, text, unet, vae, scheduler), about


def ours(binary, folder, picture, instruction, steps, seed):
    """The binary's latents and picture."""
    out = folder / "ours"
    command = [binary, "edit", picture, instruction, "-o", folder / "ours.png", "--model", folder / "model", "--preset", "base",
               "--steps", steps, "--seed", seed, "--artifacts", out, "--device", "cpu", "--dtype", "f32"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    latents = safetensors.torch.load_file(out / "latents.safetensors")["latents"]
    return latents, np.array(PIL.Image.open(folder / "ours.png").convert("RGB"))


def compare(rng, steps, binary):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        pipe, about = random_pipeline(rng)
        pipe.save_pretrained(folder / "model")
        bpe.write_pair(pipe.tokenizer, folder / "model" / "tokenizer")
        pipe = edits.load(folder / "model")
        side = rng.randint(40, 130)
        size = (side, side) if rng.random() < 0.5 else (side, rng.randint(40, 130))
        drawn.picture(rng.randrange(1000), *size).save(folder / "picture.png")
        instruction, seed = rng.choice(INSTRUCTIONS), rng.randrange(2**32)
        with torch.no_grad():
            latents, edited = edits.run(pipe, PIL.Image.open(folder / "picture.png"), instruction, steps, 7.5, 1.5, seed)
        our_latents, our_pixels = ours(binary, folder, folder / "picture.png", instruction, steps, seed)
        pixels = np.array(edited).astype(int)
        if pixels.shape != our_pixels.shape:
            sys.exit(f"{about}: sizes differ, {pixels.shape} and {our_pixels.shape}")
        off = int(np.abs(pixels - our_pixels).max())
        error = float((latents - our_latents).norm() / latents.norm())
        moved = float((latents - latents.mean()).std())
        print(f"{steps:4} steps {size[0]:3} x {size[1]:3}  pixels {off}  latents {error:.1e}  (spread {moved:.2f}, pixels {pixels.std():.0f})  {about}", flush=True)
        return off, error


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--binary", default=str(pathlib.Path(__file__).parents[2] / "target" / "release" / "limekiln"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = random.Random(args.seed)
    results = [compare(rng, args.steps[i % len(args.steps)], args.binary) for i in range(args.count)]
    worst = max(off for off, _ in results), max(error for _, error in results)
    print(json.dumps({"cases": len(results), "pixels": worst[0], "latents": worst[1]}))
    sys.exit(worst[0] > 2 or not worst[1] <= 1e-3)


if __name__ == "__main__":
    main()
