"""Muon for the hidden matrices, AdamW for everything else."""

import torch


def orthogonal(g, steps=5):
    """The nearest semi-orthogonal matrix, roughly: five Newton-Schulz steps (Jordan et al., 2024)."""
    x = g.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.T if tall else x).float()


class Muon(torch.optim.Optimizer):
    def __init__(self, parameters, lr, momentum=0.95, weight_decay=0.01):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                g = p.grad.lerp(buffer, group["momentum"]).flatten(1)
                update = orthogonal(g).view_as(p) * max(1, g.shape[0] / g.shape[1]) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update.contiguous(memory_format=torch.preserve_format), alpha=group["lr"])


def optimizers(net, text, parts, kind):
    """Hidden matrices: every weight of two or more dimensions but embeddings, the first and the last layer."""
    hidden, rest = [], [*parts.parameters()]
    for name, p in [*net.named_parameters(), *text.named_parameters()]:
        edge = any(part in name for part in ("conv_in", "conv_out", "embedding"))
        (hidden if kind == "muon" and p.ndim >= 2 and not edge else rest).append(p)
    adam = torch.optim.AdamW([{"params": rest, "peak": 1e-3 if kind != "muon" else 2e-3}], lr=1e-3, betas=(0.9, 0.99), weight_decay=0.01)
    return [adam, Muon([{"params": hidden, "peak": 0.01}], lr=0.01)] if hidden else [adam]
