"""Trains the committed model further, on rooms of several styles at once.

python finetune.py MODEL OUT MINUTES DATA...      every batch takes as many pairs of each DATA; resumes from OUT/state.pt

The VAE and the tokenizer stay, so latents are those that the product encodes. Learning rates are a fraction of the first
training's, and the prototypes of the parts start at the means of what the model already tells apart.
"""

import math
import os
import shutil
import sys
import time

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

import data
from grounding import Attention, Parts, grounding
from muon import optimizers
from train import save, words


def prepare(source, vae, tokenizer, cache):
    """What a step reads of one folder of pairs, computed once."""
    if os.path.exists(cache):
        return torch.load(cache, weights_only=False)
    pairs = data.Pairs(source)
    chunks = [range(i, min(i + 64, len(pairs))) for i in range(0, len(pairs), 64)]

    @torch.no_grad()
    def encode(pictures):
        return vae.encode(pictures).latent_dist.mode().half()

    prepared = {
        "before": torch.cat([encode(pairs.before(c)) for c in chunks]),
        "after": torch.cat([encode(pairs.after(c)) for c in chunks]),
        "region": torch.cat([pairs.region(c, 32).half() for c in chunks]),
        "labels": torch.cat([pairs.labels(c, 32) for c in chunks]),
        "words": words(tokenizer, pairs.lines),
    }
    torch.save(prepared, cache)
    return prepared


def together(sets):
    """The sets one after another, and where each begins and ends."""
    joined = {key: torch.cat([one[key] for one in sets]) for key in ("before", "after", "region", "labels")}
    joined["words"] = tuple(torch.cat(parts) for parts in zip(*[one["words"] for one in sets]))
    ends = torch.tensor([len(one["region"]) for one in sets]).cumsum(0).tolist()
    return joined, list(zip([0, *ends], ends))


class Step:
    """The three losses of a batch, as in the first training."""

    def __init__(self, net, text, d, tokenizer):
        self.net, self.text, self.d = net, text, d
        self.attention, self.parts = Attention(net), Parts(net, classes=9)
        self.null = torch.tensor([tokenizer.bos_token_id] + [tokenizer.eos_token_id] * 76)
        self.alpha_bar = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2).cumprod(0)

    def run(self, i):
        ids, content, kept, end = self.d["words"]
        batch, u = len(i), torch.rand(len(i))
        no_text, no_image = (u < 0.05) | (u > 0.95), (u < 0.10) & (u >= 0.05) | (u > 0.95)
        before, after = self.d["before"][i].float(), self.d["after"][i].float()
        k = ids[i].clone()
        k[no_text] = self.null
        t = torch.randint(0, 1000, (batch,))
        a, s = self.alpha_bar[t].sqrt().view(-1, 1, 1, 1), (1 - self.alpha_bar[t]).sqrt().view(-1, 1, 1, 1)
        eps = torch.randn_like(after)
        self.attention.maps, self.parts.features = [], []
        with torch.autocast("cpu", dtype=torch.bfloat16):
            image = before * (~no_image).view(-1, 1, 1, 1)
            sample = torch.cat([a * after + s * eps, image], 1).to(memory_format=torch.channels_last)
            v = self.net(sample, t, self.text(k).last_hidden_state).sample
        on = ~(no_text | no_image)
        denoise = F.mse_loss(v.float(), a * eps - s * after)
        look = grounding([m[on] for m in self.attention.maps], content[i][on], kept[i][on], end[i][on], self.d["region"][i][on].float(), 0.8)
        seen = torch.nonzero(~no_image).flatten()[:10]
        return denoise, look, self.parts.loss(seen, self.d["labels"][i][seen].long())

    @torch.no_grad()
    def start_prototypes(self, draw, batches=6):
        sums = torch.zeros_like(self.parts.prototypes)
        for _ in range(batches):
            i = draw()
            self.run(i)
            side = self.parts.side
            fused = torch.cat([F.interpolate(f.float(), (side, side), mode="bilinear") for f in self.parts.features], 1)
            fused = F.normalize(fused, dim=1).permute(0, 2, 3, 1).flatten(0, 2)
            sums.index_add_(0, self.d["labels"][i].flatten().long(), fused)
        self.parts.prototypes.copy_(F.normalize(sums, dim=1))


def main(model, out, minutes, sources, batch=32, rate=0.3, ground=0.1, parts_weight=0.05):
    torch.manual_seed(int(time.time()))
    os.makedirs(out, exist_ok=True)
    for folder in ("vae", "tokenizer"):
        shutil.copytree(f"{model}/{folder}", f"{out}/{folder}", dirs_exist_ok=True)
    tokenizer = CLIPTokenizer.from_pretrained(f"{out}/tokenizer")
    vae = AutoencoderKL.from_pretrained(f"{model}/vae").float().eval()
    d, spans = together([prepare(source, vae, tokenizer, f"{out}/prepared{n}.pt") for n, source in enumerate(sources)])
    net = UNet2DConditionModel.from_pretrained(f"{model}/unet").float().to(memory_format=torch.channels_last)
    text = CLIPTextModel.from_pretrained(f"{model}/text_encoder").float()
    step = Step(net, text, d, tokenizer)
    share = batch // len(spans)

    def draw():
        return torch.cat([torch.randint(low, high, (share,)) for low, high in spans])

    learned = [*net.parameters(), *text.parameters()]
    average = [p.detach().clone() for p in learned]
    optimizer = optimizers(net, text, step.parts, "muon")
    count, spent, state = 0, 0.0, f"{out}/state.pt"
    if os.path.exists(state):
        saved = torch.load(state, weights_only=False)
        for p, value in zip([*learned, *step.parts.parameters()], saved["parameters"]):
            p.data.copy_(value)
        average = saved["average"]
        for one, value in zip(optimizer, saved["optimizer"]):
            one.load_state_dict(value)
        count, spent = saved["step"], saved["spent"]
    else:
        step.start_prototypes(draw)
    start, last, mean = time.time() - spent, time.time(), None
    while (done := (time.time() - start) / (minutes * 60)) < 1:
        now = rate * min(1, (count + 1) / 40) * (0.5 * (1 + math.cos(math.pi * done)) + 0.02)
        for one in optimizer:
            for group in one.param_groups:
                group["lr"] = group["peak"] * now
        denoise, look, tell = step.run(draw())
        (denoise + ground * look + parts_weight * tell).backward()
        torch.nn.utils.clip_grad_norm_([*learned, *step.parts.parameters()], 1.0)
        for one in optimizer:
            one.step()
            one.zero_grad(set_to_none=True)
        count += 1
        for p, e in zip(learned, average):
            e.lerp_(p.detach(), 1 - min(0.995, (1 + count) / (10 + count)))
        losses = torch.tensor([denoise.item(), look.item(), tell.item()])
        mean = losses if mean is None else mean.lerp(losses, 0.03)
        if count % 20 == 0:
            print(f"{count} steps, {time.time() - start:.0f} s: denoise {mean[0]:.4f}, grounding {mean[1]:.4f}, parts {mean[2]:.4f}", flush=True)
        if time.time() - last > 180:
            last = time.time()
            save(out, net, text, average, learned)
            torch.save({"parameters": [p.detach() for p in [*learned, *step.parts.parameters()]], "average": average, "step": count,
                        "optimizer": [one.state_dict() for one in optimizer], "spent": time.time() - start}, state)
    save(out, net, text, average, learned)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:])
