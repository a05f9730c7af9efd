"""Tokens, text states, U-Net steps, the VAE both ways."""

import torch

import golden

PROMPTS = ["make the sofa red", "", "Turn the LAMP green, please; what if it's   snowing in the mountains?"]
TRICKY = PROMPTS + [
    "a", "A photo of a cat.", "  leading and trailing  ", "tabs\tand\nnew lines\r\n", "it's they're I'll we'd don't he'm you've",
    "IT'S THEY'RE", "naïve café résumé", "nai\u0308ve cafe\u0301", "日本語のテキスト", "Привет мир", "مرحبا", "emoji 🛋️ 👩‍🚀 🇪🇺",
    "123 4567 3.14 1,000", "e=mc²  ½ ⅓ x₂", "под_score __init__ a_b", "hyphen-ated words—and dashes–too", "!!! wow! ...", "?!?!",
    "don''t", "' s 't", "'sofa", "<|startoftext|>", "a <|endoftext|> b", "<|endoftext|>", "<b>html</b> &amp; &lt;", "\u00a0nbsp\u2003em\u200bzero",
    "ﬁ ligature ß ſ İ ı ŉ", "Ω Å K", "\u0000null\u0007bell", "a" * 300, "make the sofa red and the lamp green and " * 12, "red " * 75, "red " * 76,
    "sofa.red", "RED!sofa!", "\ufeffbom", "half-width ｶﾞ ガ", "Ǆ ǅ ǆ",
]


def tokens(pipes):
    for name in ("sd1", "sd2"):
        t = pipes[name].tokenizer
        ids = t(TRICKY, padding="max_length", max_length=77, truncation=True).input_ids
        golden.write_json(f"{name}-tokens", [{"text": text, "ids": " ".join(map(str, row))} for text, row in zip(TRICKY, ids)])


def text_states(pipe):
    ids = pipe.tokenizer(PROMPTS, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    return ids, pipe.text_encoder(ids)[0]


def of(pipe, sizes):
    """Text, the VAE and one U-Net call per size; three rows, each at its own (not whole) timestep."""
    ids, states = text_states(pipe)
    out = {"text.ids": ids, "text.states": states}
    timesteps = torch.tensor([999.0, 473.2105, 0.25])
    for i, (case, (h, w)) in enumerate(sizes.items()):
        sample = golden.normal(10 + i, 3, 8, h, w)
        out |= {f"unet.{case}.sample": sample, f"unet.{case}.output": pipe.unet(sample, timesteps, states).sample}
    out["unet.timesteps"] = timesteps
    factor = 2 ** (len(pipe.vae.config.block_out_channels) - 1)
    pixels, latents = golden.normal(20, 2, 3, 8 * factor, 6 * factor).clamp(-1, 1), golden.normal(21, 2, 4, 7, 5) * 3
    out |= {"vae.pixels": pixels, "vae.mode": pipe.vae.encode(pixels).latent_dist.mode()}
    out |= {"vae.latents": latents, "vae.decoded": pipe.vae.decode(latents).sample}
    return out


@torch.no_grad()
def write():
    pipes = golden.pipelines()
    tokens(pipes)
    for name in ("sd1", "sd2"):
        golden.write(name, of(pipes[name], {"square": (16, 16), "odd": (15, 11), "thin": (5, 12)}))
    for name in ("sd1-ldm", "sd2-ldm"):
        out = of(pipes[name], {"square": (8, 8)})
        if name == "sd1-ldm":  # the two tensors in which its EMA differs
            unet = pipes[name].unet
            for p in (unet.conv_in.weight, unet.conv_out.weight):
                p.mul_(0.75)
            out["unet.square.ema"] = unet(out["unet.square.sample"], out["unet.timesteps"], out["text.states"]).sample
        golden.write(name, out)
