"""diffusers' tensor names as the original LDM code spells them, and what else such files carry."""

import re
import sys
import types

import torch

RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
          "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
UNET_TOP = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
            "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}


def unet_name(name, config):
    stem, leaf = name.rsplit(".", 1)
    if stem in UNET_TOP:
        return f"model.diffusion_model.{UNET_TOP[stem]}.{leaf}"
    part, rest = name.split(".", 1)
    if part == "mid_block":
        kind, j, tail = rest.split(".", 2)
        place = f"middle_block.{2 * int(j) if kind == 'resnets' else 1}"
    else:
        i, kind, j, tail = rest.split(".", 3)
        i, j, per = int(i), int(j), config["layers_per_block"] + 1
        if part == "down_blocks":
            n, slot = 1 + i * per + j, {"resnets": 0, "attentions": 1, "downsamplers": 0}[kind]
            n += config["layers_per_block"] if kind == "downsamplers" else 0
            place = f"input_blocks.{n}.{slot}"
        else:
            attended = "CrossAttn" in config["up_block_types"][i]
            n = i * per + (per - 1 if kind == "upsamplers" else j)
            place = f"output_blocks.{n}.{ {'resnets': 0, 'attentions': 1, 'upsamplers': 1 + attended}[kind] }"
    if kind == "resnets":
        layer, leaf = tail.split(".")
        tail = f"{RESNET[layer]}.{leaf}"
    if kind == "downsamplers":
        tail = tail.replace("conv", "op")
    return f"model.diffusion_model.{place}.{tail}"


def vae_tensor(name, tensor, levels):
    swaps = [
        (r"mid_block\.resnets\.0", "mid.block_1"), (r"mid_block\.resnets\.1", "mid.block_2"),
        (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"), (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
        (r"mid_block\.attentions\.0\.to_([qkv])", r"mid.attn_1.\1"), (r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block."),
        (r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample"),
        (r"up_blocks\.(\d+)\.resnets\.", lambda m: f"up.{levels - 1 - int(m[1])}.block."),
        (r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample"),
        (r"conv_shortcut", "nin_shortcut"), (r"conv_norm_out", "norm_out"),
    ]
    if re.search(r"to_(q|k|v|out\.0)\.weight", name):
        tensor = tensor[:, :, None, None]  # a 1x1 convolution there
    for old, new in swaps:
        name = re.sub(old, new, name)
    return f"first_stage_model.{name}", tensor


def open_clip(states, layers):
    """A transformers text model as OpenCLIP's, with one more layer at the end that nothing reads."""
    out = {"token_embedding.weight": states["embeddings.token_embedding.weight"],
           "positional_embedding": states["embeddings.position_embedding.weight"]}
    for leaf in ("weight", "bias"):
        out[f"ln_final.{leaf}"] = states[f"final_layer_norm.{leaf}"]
        for i in range(layers + 1):
            here, there = f"encoder.layers.{min(i, layers - 1)}", f"transformer.resblocks.{i}"
            out[f"{there}.attn.in_proj_{leaf}"] = torch.cat([states[f"{here}.self_attn.{x}_proj.{leaf}"] for x in "qkv"])
            for old, new in (("self_attn.out_proj", "attn.out_proj"), ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"),
                             ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj")):
                out[f"{there}.{new}.{leaf}"] = states[f"{here}.{old}.{leaf}"]
    width = states["final_layer_norm.weight"].shape[0]
    out["text_projection"] = torch.zeros(width, width, dtype=torch.float16)
    out["logit_scale"] = torch.tensor(4.6)
    return {f"cond_stage_model.model.{name}": t.clone() for name, t in out.items()}


def state_dict(pipe, style):
    """Everything an LDM file of this pipeline holds, f16, the inert tensors included; EMA apart."""
    half = lambda model: {name: t.half() for name, t in model.state_dict().items()}
    out = {unet_name(name, pipe.unet.config): t for name, t in half(pipe.unet).items()}
    levels = len(pipe.vae.config.block_out_channels)
    out |= dict(vae_tensor(name, t, levels) for name, t in half(pipe.vae).items())
    text = half(pipe.text_encoder)
    if style == "sd2":
        out |= open_clip(text, pipe.text_encoder.config.num_hidden_layers)
    else:
        out |= {f"cond_stage_model.transformer.text_model.{name}": t for name, t in text.items()}
        out["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    alphas = pipe.scheduler.alphas_cumprod
    for name in ("betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod",
                 "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod", "posterior_variance",
                 "posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2"):
        out[name] = alphas.half()
    return out


def with_ema(states):
    """Adds LitEma's copies: names without dots. Two tensors differ from the trained ones; the rest share their storage."""
    out = dict(states)
    for name, t in states.items():
        if name.startswith("model.diffusion_model."):
            changed = name.endswith(("input_blocks.0.0.weight", "out.2.weight"))
            out["model_ema." + name.removeprefix("model.").replace(".", "")] = (t * 0.75) if changed else t
    out["model_ema.decay"] = torch.tensor(0.9999)
    out["model_ema.num_updates"] = torch.tensor(7, dtype=torch.int32)
    return out


def lightning(states, path):
    """Saves as PyTorch Lightning did, with the class of a callback among the pickle's globals."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    callback = type("ModelCheckpoint", (), {"__module__": name})
    parts = name.split(".")
    for i in range(len(parts)):
        sys.modules.setdefault(".".join(parts[: i + 1]), types.ModuleType(".".join(parts[: i + 1])))
    sys.modules[name].ModelCheckpoint = callback
    torch.save({
        "epoch": 3, "global_step": 22000, "pytorch-lightning_version": "1.4.2", "state_dict": states,
        "callbacks": {callback: {"monitor": None, "best_model_score": None, "best_model_path": "last.ckpt"}},
        "optimizer_states": [{"state": {0: {"step": 1, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999)}]}],
        "lr_schedulers": [],
    }, path)
