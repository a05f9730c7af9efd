"""Whole plain InstructPix2Pix edits by diffusers' own pipeline."""

import numpy as np
import PIL.Image
import torch

import drawn
import golden
import layouts
import schedules
from diffusers import StableDiffusionInstructPix2PixPipeline

#        name               checkpoint  size      scheduler          steps  s_T  s_I  instruction
EDITS = [("square",          "sd1", (64, 64), None,               20, 7.5, 1.5, "make the sofa red"),
         ("wide",            "sd1", (64, 40), None,               20, 7.5, 1.5, "turn the lamp green"),
         ("odd",             "sd1", (45, 31), None,               20, 3.5, 1.5, "what if it were snowing?"),
         ("v square",        "sd2", (64, 64), None,               20, 7.5, 1.5, "make the sofa red"),
         ("v tall",          "sd2", (40, 64), None,               20, 7.5, 1.5, "add a red vase!"),
         ("hundred",         "sd1", (48, 64), None,              100, 7.5, 1.5, "change the color of the carpet to blue"),
         ("v hundred",       "sd2", (64, 48), None,              100, 7.5, 1.5, "remove the picture"),
         ("text only",       "sd1", (32, 32), None,                5, 1.0, 1.5, "make the sofa red"),
         ("image below one", "sd1", (32, 32), None,                5, 7.5, 0.8, "make the sofa red"),
         ("bin",             "sd1-bin", (32, 48), None,           20, 7.5, 1.5, "paint the vase yellow"),
         ("ddim",            "sd1", (32, 32), "ddim",             20, 7.5, 1.5, "make the sofa red"),
         ("pndm",            "sd2", (32, 32), "pndm",             20, 7.5, 1.5, "make the sofa red"),
         ("dpm",             "sd1", (32, 32), "dpm++2m",          20, 7.5, 1.5, "make the sofa red"),
         ("unipc",           "sd2", (32, 32), "unipc",            20, 7.5, 1.5, "make the sofa red")]


def load(path):
    pipe = StableDiffusionInstructPix2PixPipeline.from_pretrained(path, safety_checker=None, use_safetensors="bin" not in str(path))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run(pipe, image, instruction, steps, text, scale, seed=42):
    """Final latents and the picture decoded from them."""
    settings = dict(num_inference_steps=steps, guidance_scale=text, image_guidance_scale=scale)
    latents = pipe(instruction, image, generator=torch.Generator().manual_seed(seed), output_type="latent", **settings).images
    pixels = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    return latents, pipe.image_processor.postprocess(pixels)[0]


@torch.no_grad()
def write():
    tensors, table = {}, []
    for i, (name, checkpoint, size, scheduler, steps, text, scale, instruction) in enumerate(EDITS):
        pipe = load(layouts.ROOT / checkpoint)
        if scheduler:
            pipe.scheduler = schedules.CLASSES[scheduler].from_config(pipe.scheduler.config)
        image = drawn.picture(60 + i, *size)
        latents, edited = run(pipe, image, instruction, steps, text, scale)
        pixels = np.array(edited)
        print(f"  {name}: latents {latents.abs().mean():.3f}, pixels {pixels.mean():.0f} +- {pixels.std():.0f}, clipped {np.isin(pixels, (0, 255)).mean():.2f}")
        tensors |= {f"{name}: image": torch.from_numpy(np.array(image)), f"{name}: latents": latents, f"{name}: edited": torch.from_numpy(pixels)}
        table.append(dict(name=name, checkpoint=checkpoint, scheduler=scheduler, steps=steps, text=text, image=scale, seed=42, instruction=instruction))
    golden.write("edits", tensors)
    golden.write_json("edits", table)
