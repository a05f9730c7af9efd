"""Noise as torch's CPU generator draws it, and pictures as PIL and diffusers handle them."""

import numpy as np
import PIL.Image
import torch
from diffusers.image_processor import VaeImageProcessor

import golden


def noise():
    out = {}
    for seed in (0, 1, 42, 2**32 - 1, 2**32 + 5, 123456789012345678):
        for n in (1, 2, 5, 15, 16, 17, 24, 31, 32, 33, 100, 1000):
            out[f"{seed} {n}"] = torch.randn(n, generator=torch.Generator().manual_seed(seed))
    g = torch.Generator().manual_seed(42)  # one stream, many draws: the odd normal of a short draw waits for the next short one
    sizes = [3, 3, 20, 1, 16, 7, 2, 700, 1, 1]
    out["stream"] = torch.cat([torch.randn(n, generator=g) for n in sizes])
    out["stream sizes"] = torch.tensor(sizes)
    golden.write("noise", out)


def picture(seed, width, height):
    """Smooth ground, hard edges and some grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    channels = [128 + 90 * np.sin(x / (3 + c) + y / (5 - c)) for c in range(3)]
    pixels = np.stack(channels, -1) + rng.normal(0, 12, (height, width, 3))
    pixels[height // 4 : height // 2, width // 3 : width // 2] = rng.integers(0, 256, 3)
    pixels[:2], pixels[-2:] = 255, 0
    return PIL.Image.fromarray(pixels.clip(0, 255).astype("uint8"))


def pictures():
    out = {}
    for i, (w, h, to_w, to_h) in enumerate([(40, 30, 16, 16), (37, 53, 32, 48), (16, 12, 40, 36), (50, 20, 50, 8), (20, 50, 7, 50), (64, 64, 63, 1), (5, 5, 5, 5), (3, 2, 24, 16)]):
        image = picture(i, w, h)
        out[f"{i} from"] = torch.from_numpy(np.array(image))
        out[f"{i} to"] = torch.from_numpy(np.array(image.resize((to_w, to_h), PIL.Image.LANCZOS)))
    processor = VaeImageProcessor(vae_scale_factor=8)
    out["pixels"] = processor.preprocess(picture(9, 45, 35))  # floored to 40 x 32 first
    out["pixels from"] = torch.from_numpy(np.array(picture(9, 45, 35)))
    decoded = golden.normal(50, 1, 3, 12, 20) * 0.8
    out["decoded"] = decoded
    out["decoded to"] = torch.from_numpy(np.array(processor.postprocess(decoded)[0]))
    golden.write("pictures", out)


def write():
    noise()
    pictures()
