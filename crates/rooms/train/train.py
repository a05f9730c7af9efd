"""Trains the U-Net and the text encoder: InstructPix2Pix on drawn rooms, v-prediction.

python train.py DATA OUT MINUTES      OUT holds vae/, components.pt and tokenizer/ already; resumes from OUT/state.pt

Beside the denoising loss there are two that a small net needs where a large one has seen the world:
- grounding (after TokenCompose, arXiv 2312.03626): the words that matter look at the edit's true region;
- parts: the features that LIME clusters tell wall, floor and objects apart, whatever the noise.
"""

import json
import math
import os
import sys
import time

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import data
from autoencoder import Components
from grounding import Attention, Parts, grounding
from muon import optimizers

STOP = set("a an the to of in i be should there and both for with out off it is that from into on at so".split())


def unet(width=(32, 64, 128), heads=(2, 4, 4), context=64):
    return UNet2DConditionModel(
        sample_size=32, in_channels=8, out_channels=4, block_out_channels=width, layers_per_block=1, norm_num_groups=8,
        cross_attention_dim=context, attention_head_dim=heads, only_cross_attention=(True, False, False),
        down_block_types=("CrossAttnDownBlock2D",) * 3, up_block_types=("CrossAttnUpBlock2D",) * 3,
    )


def text_encoder(tokenizer, width=64):
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=4 * width, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=77, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    ))


def words(tokenizer, lines):
    """ids [n, 77]; content [n, 77]: object and color words; kept [n, 77]: every word that LIME reads; end [n]: first end token."""
    ids, content, kept, end = [], [], [], []
    for line in lines:
        row, c, k = [tokenizer.bos_token_id], [0.0], [0.0]
        for word in line["instruction"].split():
            pieces = tokenizer(word, add_special_tokens=False)["input_ids"]
            row += pieces
            c += [float(word in line["content"])] * len(pieces)
            k += [float(word not in STOP)] * len(pieces)
        end.append(len(row))
        pad = 77 - len(row)
        ids.append(row + [tokenizer.eos_token_id] * pad)
        content.append(c + [0.0] * pad)
        kept.append(k + [0.0] * pad)
    return torch.tensor(ids), torch.tensor(content), torch.tensor(kept), torch.tensor(end)


def prepare(source, out, tokenizer):
    """Everything that a step reads, computed once and kept beside the checkpoint."""
    cache = os.path.join(out, "prepared.pt")
    if os.path.exists(cache):
        return torch.load(cache, weights_only=False)
    pairs, components = data.Pairs(source), Components.load(os.path.join(out, "components.pt"))
    chunks = [range(i, min(i + 256, len(pairs))) for i in range(0, len(pairs), 256)]
    prepared = {
        "before": torch.cat([components.encode(pairs.before(c)).half() for c in chunks]),
        "after": torch.cat([components.encode(pairs.after(c)).half() for c in chunks]),
        "region": torch.cat([pairs.region(c, 32).half() for c in chunks]),
        "labels": torch.cat([pairs.labels(c, 32) for c in chunks]),
        "words": words(tokenizer, pairs.lines),
    }
    torch.save(prepared, cache)
    return prepared


def save(out, net, text, average, parameters):
    keep = [p.detach().clone() for p in parameters]
    for p, a in zip(parameters, average):
        p.data.copy_(a)
    net.save_pretrained(f"{out}/unet")
    text.save_pretrained(f"{out}/text_encoder")
    os.makedirs(f"{out}/scheduler", exist_ok=True)
    with open(f"{out}/scheduler/scheduler_config.json", "w") as file:
        json.dump({
            "_class_name": "EulerAncestralDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012,
            "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "prediction_type": "v_prediction",
            "timestep_spacing": "linspace", "steps_offset": 0,
        }, file, indent=2)
    for p, k in zip(parameters, keep):
        p.data.copy_(k)


def main(source, out, minutes, batch=32, ground=0.1, parts_weight=0.05, inside=0.8, muon="muon"):
    torch.manual_seed(int(time.time()))
    tokenizer = CLIPTokenizer.from_pretrained(f"{out}/tokenizer")
    d = prepare(source, out, tokenizer)
    ids, content, kept, end = d["words"]
    count = len(ids)
    null = torch.tensor([tokenizer.bos_token_id] + [tokenizer.eos_token_id] * 76)
    net, text = unet().to(memory_format=torch.channels_last), text_encoder(tokenizer)
    attention = Attention(net)
    parts = Parts(net, classes=9)
    learned = [*net.parameters(), *text.parameters()]
    average = [p.detach().clone() for p in learned]
    optimizer = optimizers(net, text, parts, muon)
    step, spent, state = 0, 0.0, os.path.join(out, "state.pt")
    if os.path.exists(state):
        saved = torch.load(state, weights_only=False)
        for p, value in zip([*learned, *parts.parameters()], saved["parameters"]):
            p.data.copy_(value)
        average = saved["average"]
        for one, value in zip(optimizer, saved["optimizer"]):
            one.load_state_dict(value)
        step, spent = saved["step"], saved["spent"]
    alpha_bar = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2).cumprod(0)
    start, last, mean = time.time() - spent, time.time(), None
    print(f"{sum(p.numel() for p in net.parameters()) / 1e6:.2f} M + {sum(p.numel() for p in text.parameters()) / 1e6:.2f} M parameters", flush=True)

    while (done := (time.time() - start) / (minutes * 60)) < 1:
        rate = min(1, (step + 1) / 100) * (1 if done < 0.3 else 0.5 * (1 + math.cos(math.pi * (done - 0.3) / 0.7)) + 0.01)
        for one in optimizer:
            for group in one.param_groups:
                group["lr"] = group["peak"] * rate
        i, u = torch.randint(0, count, (batch,)), torch.rand(batch)
        no_text, no_image = (u < 0.05) | (u > 0.95), (u < 0.10) & (u >= 0.05) | (u > 0.95)
        before, after = d["before"][i].float(), d["after"][i].float()
        image = before * (~no_image).view(-1, 1, 1, 1)
        k, c, r = ids[i].clone(), content[i], kept[i]
        k[no_text] = null
        t = torch.randint(0, 1000, (batch,))
        a, s = alpha_bar[t].sqrt().view(-1, 1, 1, 1), (1 - alpha_bar[t]).sqrt().view(-1, 1, 1, 1)
        eps = torch.randn_like(after)
        attention.maps, parts.features = [], []
        with torch.autocast("cpu", dtype=torch.bfloat16):
            sample = torch.cat([a * after + s * eps, image], 1).to(memory_format=torch.channels_last)
            v = net(sample, t, text(k).last_hidden_state).sample
        on = ~(no_text | no_image)
        denoise = F.mse_loss(v.float(), a * eps - s * after)
        look = grounding([m[on] for m in attention.maps], c[on], r[on], end[i][on], d["region"][i][on].float(), inside)
        seen = torch.nonzero(~no_image).flatten()
        seen = torch.cat([seen[no_text[seen]], seen[~no_text[seen]]])[:10]
        tell = parts.loss(seen, d["labels"][i][seen].long())
        loss = denoise + ground * look + parts_weight * tell
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*learned, *parts.parameters()], 1.0)
        for one in optimizer:
            one.step()
            one.zero_grad(set_to_none=True)
        step += 1
        for p, e in zip(learned, average):
            e.lerp_(p.detach(), 1 - min(0.998, (1 + step) / (10 + step)))
        now = torch.tensor([denoise.item(), look.item(), tell.item()])
        mean = now if mean is None else mean.lerp(now, 0.02)
        if step % 50 == 0:
            print(f"{step} steps, {time.time() - start:.0f} s: denoise {mean[0]:.4f}, grounding {mean[1]:.4f}, parts {mean[2]:.4f}", flush=True)
        if time.time() - last > 240:
            last = time.time()
            save(out, net, text, average, learned)
            torch.save({"parameters": [p.detach() for p in [*learned, *parts.parameters()]], "average": average, "step": step,
                        "optimizer": [one.state_dict() for one in optimizer], "spent": time.time() - start}, state)
    save(out, net, text, average, learned)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), muon=sys.argv[4] if len(sys.argv) > 4 else "muon")
