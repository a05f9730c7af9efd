"""`fast` spelled out on diffusers: locating by one call on the picture's own noised latents, and editing in a window of them."""

import diffusers
import numpy as np
import torch
import torch.nn.functional as F

import drawn
import golden
import lime
import schedules
import taps

GRID, LEVEL, STEPS, SEED, LOCATE_SEED = 16, 500, 4, 42, 7
TEXT, PICTURE = 3.5, 1.5

#        name   checkpoint  latents   mask, of latents   window            least  instruction
EDITS = [("sd1", "sd1", (16, 12), (4, 4, 8, 7), (2, 2, 8, 8), 6, "make the sofa red"),
         ("sd2", "sd2", (16, 12), (6, 2, 9, 5), (4, 0, 8, 8), 8, "change it to a blue carpet.")]


def noised(pipe, clean, noise, level):
    """By the betas of the checkpoint, whatever its solver."""
    scheduler = diffusers.DDIMScheduler.from_config(pipe.scheduler.config)
    return scheduler.add_noise(clean, noise, torch.tensor([level]))


def encode(pipe, image, instruction):
    tokens = lambda text: pipe.tokenizer(text, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    states = torch.cat([pipe.text_encoder(tokens(text))[0] for text in (instruction, "", "")])
    return states, pipe.vae.encode(pipe.image_processor.preprocess(image)).latent_dist.mode()


def locate(pipe, states, latents):
    """z_t; of the call's text and image lane: outputs, attention by size (heads averaged, layers summed), features; map and stack."""
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(LOCATE_SEED))
    z = noised(pipe, latents * pipe.vae.config.scaling_factor, noise, LEVEL)
    output, seen = taps.run(pipe.unet, torch.cat([z, latents], 1).expand(2, -1, -1, -1), LEVEL, states[:2])
    sizes = lime.sites(pipe, *latents.shape[2:])
    grow = lambda x: F.interpolate(x[None], (GRID, GRID), mode="bilinear", align_corners=False)[0]
    out, stack, maps = {"z": z, "located": output}, [], []
    for name, value in seen.items():
        kind, _, site = name.partition(".")
        if site.startswith("mid"):
            continue
        if kind == "transformer":
            out[f"feature.{site}"] = value
            stack.append(grow(value[1]))
        if kind == "probabilities":
            size = sizes[value.shape[-2]]
            attention = value.mean(1).transpose(1, 2).unflatten(2, size)
            key = f"attention.{size[0]}x{size[1]}"
            out[key] = out.get(key, 0) + attention
            maps.append(grow(attention[0]))
    return out, torch.stack(maps).mean(0), F.normalize(torch.cat(stack).flatten(1).T, dim=1)


def penalise(pipe, instruction, mask, latent, rect):
    """The bias of a call on the part `rect` of the latents, in the text lane of three."""
    (left, top, width, height), (h, w) = rect, latent
    tokens = torch.zeros(77)
    tokens[lime.select(pipe, instruction, True)[1]] = 1
    levels = {}
    for n in range(4):
        halve = lambda x: -(-x // 2**n)
        a, b = halve(h), halve(w)
        at = mask[torch.arange(a) * mask.shape[0] // a][:, torch.arange(b) * mask.shape[1] // b]
        part = at[top >> n : (top >> n) + halve(height), left >> n : (left >> n) + halve(width)]
        levels.setdefault(part.numel(), part.flatten())
    lanes = torch.tensor([1.0, 0.0, 0.0])
    return lambda pixels: -1e4 * lanes[:, None, None, None] * levels[pixels][None, None, :, None] * tokens


def guided(pipe, sample, latents, states, t, rect, bias):
    """The guided prediction of a call on the part `rect`."""
    left, top, width, height = rect
    cut = lambda x: x[:, :, top : top + height, left : left + width]
    conditions = torch.cat([latents, latents, torch.zeros_like(latents)])
    output, _ = taps.run(pipe.unet, cut(torch.cat([sample.expand(3, -1, -1, -1), conditions], 1)), t, states, bias)
    text, picture, none = output.chunk(3)
    return none + TEXT * (text - picture) + PICTURE * (picture - none)


def edit(pipe, states, latents, instruction, mask, inside, rect):
    """Both first predictions, and the latents after the last step."""
    scheduler = schedules.CLASSES["dpm++2m"].from_config(pipe.scheduler.config)
    scheduler.set_timesteps(STEPS)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(SEED))
    clean, x = latents * pipe.vae.config.scaling_factor, noise * scheduler.init_noise_sigma
    h, w = latents.shape[2:]
    whole, (left, top, width, height) = (0, 0, w, h), rect
    biased, first = lime.window(1, 75, 100, STEPS), {}
    for step, t in enumerate(scheduler.timesteps, 1):
        sample = scheduler.scale_model_input(x, t)
        bias = lambda part: penalise(pipe, instruction, mask, (h, w), part) if step in biased else None
        part = guided(pipe, sample, latents, states, t, rect, bias(rect))
        if step == 1:  # the picture as a whole, once
            eps = guided(pipe, sample, latents, states, t, whole, bias(whole))
            first = {"first": part, "first whole": eps}
        else:
            eps = F.pad(part, (left, w - left - width, top, h - top - height))
        x = scheduler.step(eps, t, x).prev_sample
        alpha, sigma = scheduler._sigma_to_alpha_sigma_t(scheduler.sigmas[step])
        x = torch.where(inside, x, alpha * clean + sigma * noise)
    return first, x


@torch.no_grad()
def write():
    pipes, tensors, table = golden.pipelines(), {}, []
    for i, (name, checkpoint, (w, h), box, rect, least, instruction) in enumerate(EDITS):
        pipe = pipes[checkpoint]
        factor = 2 ** (len(pipe.vae.config.block_out_channels) - 1)
        image = drawn.picture(90 + i, w * factor, h * factor)
        states, latents = encode(pipe, image, instruction)
        out, maps, stack = locate(pipe, states, latents)
        read, _ = lime.select(pipe, instruction, False)
        out |= {"map": (maps / maps.sum(0))[read].mean(0).flatten(), "stack": stack}

        left, top, right, bottom = box
        mask, inside = torch.zeros(h * factor, w * factor), torch.zeros(h, w, dtype=torch.bool)
        mask[top * factor : bottom * factor, left * factor : right * factor] = 1
        inside[top - 1 : bottom + 1, left - 1 : right + 1] = True
        first, final = edit(pipe, states, latents, instruction, mask, inside, rect)
        part = first["first whole"][:, :, rect[1] : rect[1] + rect[3], rect[0] : rect[0] + rect[2]]
        within = inside[rect[1] : rect[1] + rect[3], rect[0] : rect[0] + rect[2]]
        apart = ((first["first"] - part)[:, :, within].norm() / part[:, :, within].norm()).item()
        decode = lambda x: np.array(pipe.image_processor.postprocess(pipe.vae.decode(x / pipe.vae.config.scaling_factor).sample)[0])
        pixels = decode(final)
        alone = decode(final[:, :, rect[1] : rect[1] + rect[3], rect[0] : rect[0] + rect[2]])
        cut = pixels[rect[1] * factor : (rect[1] + rect[3]) * factor, rect[0] * factor : (rect[0] + rect[2]) * factor]
        print(f"  {name}: the first predictions differ by {apart:.3f}; decoded alone the window differs by up to {np.abs(alone.astype(int) - cut).max()} of 255")
        out |= first | {"image": torch.from_numpy(np.array(image)), "mask": (mask * 255).byte(), "latents": final, "decoded": torch.from_numpy(pixels)}
        tensors |= {f"{name}: {key}": value for key, value in out.items()}
        table.append(dict(name=name, checkpoint=checkpoint, level=LEVEL, locate_seed=LOCATE_SEED, steps=STEPS, seed=SEED, grid=GRID,
                          rect=rect, least=least, difference=apart, instruction=instruction))
    golden.write("windowed", tensors)
    golden.write_json("windowed", table)
