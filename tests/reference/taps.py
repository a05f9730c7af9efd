"""What LIME reads and changes in attention: features, probabilities, and steps with a bias on every cross-attention layer.

Names: `down.0.1` is `down_blocks.0.attentions.1`, `down.0.1.0.attn2` its `transformer_blocks.0.attn2`; mid is `mid.0.0`.
"""

import re

import torch

import golden
import networks


def site(name):
    """`up.1.0` of `up_blocks.1.attentions.0`, with `.0.attn2` for `.transformer_blocks.0.attn2`."""
    name = name.replace("mid_block.attentions", "mid_blocks.0.attentions")
    found = re.match(r"(down|mid|up)_blocks\.(\d+)\.attentions\.(\d+)(?:\.transformer_blocks\.(\d+)\.(attn\d))?$", name)
    return ".".join(x for x in found.groups() if x is not None)


class Explicit:
    """Attention spelled out, so that scores can be biased and probabilities kept."""

    def __init__(self, name, bias, seen):
        self.name, self.bias, self.seen = name, bias, seen

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **_):
        cross = encoder_hidden_states is not None
        context = encoder_hidden_states if cross else hidden_states
        split = lambda x: x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        q, k, v = split(attn.to_q(hidden_states)), split(attn.to_k(context)), split(attn.to_v(context))
        scores = q @ k.transpose(-1, -2) * attn.scale
        if cross and self.bias is not None:
            scores = scores + self.bias(q.shape[2])
        probabilities = scores.softmax(-1)
        out = attn.to_out[0]((probabilities @ v).transpose(1, 2).flatten(2))
        self.seen[f"attention.{self.name}"] = out
        if cross:
            self.seen[f"probabilities.{self.name}"] = probabilities
        return out


def run(unet, sample, timesteps, states, bias=None):
    """The output and everything seen on the way."""
    seen, hooks, before = {}, [], unet.attn_processors
    unet.set_attn_processor({n: Explicit(site(n.removesuffix(".processor")), bias, seen) for n in before})
    for name, module in unet.named_modules():
        if re.search(r"attentions\.\d+$", name):
            keep = lambda _m, _i, out, name=name: seen.__setitem__(f"transformer.{site(name)}", out[0])
            hooks.append(module.register_forward_hook(keep))
    output = unet(sample, timesteps, states, return_dict=True).sample
    for hook in hooks:
        hook.remove()
    unet.set_attn_processor(before)
    return output, seen


def of(pipe, h, w):
    _, states = networks.text_states(pipe)
    states = states[[0, 1]]
    sample, timesteps = golden.normal(30, 2, 8, h, w), torch.tensor([700.0, 123.5])
    plain = pipe.unet(sample, timesteps, states).sample
    output, seen = run(pipe.unet, sample, timesteps, states)
    assert torch.allclose(plain, output, atol=2e-5), (plain - output).abs().max()
    out = {"sample": sample, "timesteps": timesteps, "states": states, "output": plain, **seen}

    # bias[row, 0, pixel, token] = -strength * rows[row] * mask[pixel] * tokens[token], the mask read nearest at each layer.
    uniform = lambda seed, *shape: torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    cases = {
        "hard": ((uniform(31, h, w) < 0.6).float(), (uniform(32, 77) < 0.8).float(), torch.tensor([1.0, 0.0]), 1e4),
        "soft": (uniform(33, h, w), uniform(34, 77), torch.tensor([1.0, 0.5]), 8.0),
    }
    sizes = {h_ * w_: (h_, w_) for h_, w_ in {tuple(t.shape[2:]) for n, t in seen.items() if n.startswith("transformer")}}
    for case, (mask, tokens, rows, strength) in cases.items():
        def bias(pixels):
            h_, w_ = sizes[pixels]
            at = mask[torch.arange(h_) * h // h_][:, torch.arange(w_) * w // w_].flatten()
            return -strength * rows[:, None, None, None] * at[None, None, :, None] * tokens
        output, _ = run(pipe.unet, sample, timesteps, states, bias)
        assert (output - plain).abs().max() > 1e-2, "the bias changes nothing"
        out |= {f"{case}.mask": mask, f"{case}.tokens": tokens, f"{case}.rows": rows,
                f"{case}.strength": torch.tensor([strength]), f"{case}.output": output}
    return out


@torch.no_grad()
def write():
    pipes = golden.pipelines()
    for name in ("sd1", "sd2"):
        golden.write(f"{name}-taps", of(pipes[name], 7, 5))
