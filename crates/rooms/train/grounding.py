"""The two helping losses: where words look, and what features tell apart."""

import torch
import torch.nn.functional as F
from torch import nn


class Attention:
    """Replaces diffusers' attention processors; keeps every cross-attention's map, mean of heads: [batch, h * w, 77]."""

    def __init__(self, net):
        self.maps = []
        context = net.config.cross_attention_dim
        net.set_attn_processor({
            # attn1 of an `only_cross_attention` block reads the text too.
            name: self._cross if net.get_submodule(name.removesuffix(".processor")).to_k.in_features == context
            and ("attn2" in name or name.startswith(("down_blocks.0", "up_blocks.2"))) else self._self
            for name in net.attn_processors
        })

    @staticmethod
    def _split(attn, h, text):
        def heads(x):
            return x.view(x.shape[0], x.shape[1], attn.heads, -1).transpose(1, 2)

        return heads(attn.to_q(h)), heads(attn.to_k(text)), heads(attn.to_v(text))

    @staticmethod
    def _join(attn, o, h):
        return attn.to_out[0](o.transpose(1, 2).reshape(h.shape[0], h.shape[1], -1))

    def _cross(self, attn, h, encoder_hidden_states=None, attention_mask=None, **_):
        q, k, v = self._split(attn, h, encoder_hidden_states)
        p = ((q @ k.transpose(-1, -2)).float() * attn.scale).softmax(-1)
        self.maps.append(p.mean(1))
        return self._join(attn, p.to(v.dtype) @ v, h)

    def _self(self, attn, h, encoder_hidden_states=None, attention_mask=None, **_):
        q, k, v = self._split(attn, h, h)
        return self._join(attn, (q @ k.transpose(-1, -2) * attn.scale).softmax(-1) @ v, h)


def grounding(maps, content, kept, end, region, inside):
    """Words that LIME reads look into the true region and nowhere else; there the content words take the share `inside`.

    maps: [batch, h * w, 77] a layer; content, kept [batch, 77]; end [batch]; region [batch, 32, 32] in [0, 1].
    The end token has seen every word: left alone, the net reads the whole instruction from it.
    """
    total = 0
    rows = torch.arange(len(end))
    for p in maps:
        side = int(p.shape[1] ** 0.5)
        m = F.adaptive_avg_pool2d(region[:, None], side).flatten(1)
        look, stray = (p @ torch.stack([content, kept - content], -1)).unbind(-1)
        stray = stray * (1 - m) + p[rows, :, end]
        each = content * p.sum(1)
        share = content * (m[:, None] @ p)[:, 0] / (each + 1e-6)
        outside = ((1 - share) ** 2 * content).sum(1) / (content.sum(1) + 1e-6)
        total = total + (F.binary_cross_entropy(look.clamp(1e-5, 1 - 1e-5), inside * m, reduction="none").mean(1) + stray.mean(1) + 0.2 * outside).mean()
    return total / len(maps)


class Parts(nn.Module):
    """Prototypes of wall, floor and each object in the space that LIME clusters: transformer outputs, fused, unit length."""

    def __init__(self, net, classes, side=32, sharpness=12.0):
        super().__init__()
        self.features, self.side, self.sharpness = [], side, sharpness
        width = 0
        for block in [*net.down_blocks, *net.up_blocks]:
            for layer in block.attentions:
                layer.register_forward_hook(lambda _m, _i, output: self.features.append(output[0] if isinstance(output, tuple) else output.sample))
                width += layer.config.in_channels if hasattr(layer, "config") else layer.in_channels
        self.prototypes = nn.Parameter(torch.randn(classes, width) * width**-0.5)

    def loss(self, rows, labels):
        """Cross-entropy of cosine similarities. rows: [n] into the batch; labels [n, side, side]."""
        fused = torch.cat([F.interpolate(f[rows].float(), (self.side, self.side), mode="bilinear") for f in self.features], 1)
        scores = torch.einsum("nchw,kc->nkhw", F.normalize(fused, dim=1), F.normalize(self.prototypes, dim=1))
        return F.cross_entropy(self.sharpness * scores, labels)
