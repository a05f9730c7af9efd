"""The VAE: an encoder written down in closed form, a decoder trained against it.

The encoder is the four principal components of 4x4 patches, laid exactly into an AutoencoderKL's weights, so that latents
of a data set are one matrix product and the U-Net can train beside the decoder. The decoder starts as "each patch its mean
color" and learns the edges.

python autoencoder.py DATA OUT MINUTES
"""

import os
import sys
import time

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

import data

PATCH = 4
CONSTANT = 64.0  # the encoder's group norm divides by this, whatever the picture: so it hides nothing
DECODER_CONSTANT = 3.0


class Components:
    """Latents of 4x4 patches: z = (patch - mean) @ basis, unit variance each."""

    def __init__(self, pictures):
        patches = F.pixel_unshuffle(pictures, PATCH).permute(0, 2, 3, 1).reshape(-1, 48).double()
        self.mean = patches.mean(0)
        values, vectors = torch.linalg.eigh((patches - self.mean).T @ (patches - self.mean) / len(patches))
        values, vectors = values[-4:].flip(0), vectors[:, -4:].flip(1)
        vectors = vectors * torch.where(vectors.sum(0) < 0, -1.0, 1.0)
        self.basis = (vectors / values.sqrt()).float()  # [48, 4]
        self.inverse = (vectors * values.sqrt()).T.float()  # [4, 48]
        self.mean = self.mean.float()

    @classmethod
    def load(cls, file):
        one = cls.__new__(cls)
        one.__dict__.update(torch.load(file))
        return one

    def save(self, file):
        torch.save(self.__dict__, file)

    def encode(self, pictures):
        """[n, 3, H, W] in [-1, 1] to [n, 4, H/4, W/4]."""
        centred = F.pixel_unshuffle(pictures, PATCH) - self.mean.view(1, -1, 1, 1)
        return torch.einsum("nchw,ck->nkhw", centred, self.basis)


def blank():
    return AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, sample_size=128, layers_per_block=1, norm_num_groups=4,
        block_out_channels=(32, 64, 64), down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        mid_block_add_attention=False, scaling_factor=1.0,
    )


@torch.no_grad()
def write_encoder(vae, components):
    """silu(z) - silu(-z) = z: with z, -z and large constants in one group, norm and activation are the identity."""
    for parameter in [*vae.encoder.parameters(), *vae.quant_conv.parameters()]:
        parameter.zero_()
    encoder = vae.encoder
    for channel in range(3):
        encoder.conv_in.weight[channel, channel, 1, 1] = 1
    fine = encoder.down_blocks[0].downsamplers[0].conv  # stride 2, padded right and below: reads 2i + 0, 1
    for y in range(2):
        for x in range(2):
            for c in range(3):
                fine.weight[(y * 2 + x) * 3 + c, c, y, x] = 1
    shortcut = encoder.down_blocks[1].resnets[0].conv_shortcut
    for channel in range(12):
        shortcut.weight[channel, channel, 0, 0] = 1
    coarse = encoder.down_blocks[1].downsamplers[0].conv
    basis = components.basis.T.view(4, 3, 2, 2, 2, 2)  # k, c, then (coarse, fine) y, then (coarse, fine) x
    for y in range(2):
        for x in range(2):
            for fy in range(2):
                for fx in range(2):
                    for c in range(3):
                        coarse.weight[0:4, (fy * 2 + fx) * 3 + c, y, x] = basis[:, c, y, fy, x, fx]
    coarse.bias[0:4] = -(components.mean @ components.basis)
    coarse.weight[4:8], coarse.bias[4:8] = -coarse.weight[0:4], -coarse.bias[0:4]
    coarse.bias[8:12], coarse.bias[12:16] = CONSTANT, -CONSTANT
    encoder.conv_norm_out.weight[0:8] = ((1 + CONSTANT**2) / 2) ** 0.5
    for k in range(4):
        encoder.conv_out.weight[k, k, 1, 1], encoder.conv_out.weight[k, k + 4, 1, 1] = 1, -1
    encoder.conv_out.bias[4:8] = -12  # log variance: the posterior is its mean
    for k in range(8):
        vae.quant_conv.weight[k, k, 0, 0] = 1


@torch.no_grad()
def start_decoder(vae, components):
    """Residual branches silent, color carried past the group norms beside a constant of either sign."""
    decoder = vae.decoder
    vae.post_quant_conv.weight.copy_(torch.eye(4).view(4, 4, 1, 1))
    vae.post_quant_conv.bias.zero_()
    color = components.inverse.view(4, 3, 16).mean(2).T  # [3, 4]: latents to the mean color of the patch
    mean = components.mean.view(3, 16).mean(1)
    first = decoder.conv_in
    first.weight[0:8], first.bias[0:8] = 0, 0
    first.weight[0:3, :, 1, 1], first.bias[0:3] = color, mean
    first.weight[3:6, :, 1, 1], first.bias[3:6] = -color, -mean
    first.bias[6], first.bias[7] = DECODER_CONSTANT, -DECODER_CONSTANT
    for module in decoder.modules():
        if type(module).__name__ == "ResnetBlock2D":
            module.conv2.weight.zero_()
            module.conv2.bias.zero_()
            if module.conv_shortcut is not None:
                for channel in range(16):
                    module.conv_shortcut.weight[channel] = 0
                    module.conv_shortcut.weight[channel, channel] = 1
                module.conv_shortcut.bias.zero_()
        if type(module).__name__ == "Upsample2D":
            module.conv.weight[0:8] = 0
            for channel in range(8):
                module.conv.weight[channel, channel, 1, 1] = 1
            module.conv.bias[0:8] = 0
    scale = (2 * (3 * 0.3 + DECODER_CONSTANT**2) / 8) ** 0.5
    decoder.conv_norm_out.weight[0:6] = scale
    decoder.conv_out.weight.mul_(0.1)
    decoder.conv_out.weight[:, 0:8] = 0
    for c in range(3):
        decoder.conv_out.weight[c, c, 1, 1], decoder.conv_out.weight[c, c + 3, 1, 1] = 1, -1
    decoder.conv_out.bias.zero_()


def loss_of(decoded, target):
    edges = sum((decoded.diff(dim=d) - target.diff(dim=d)).abs().mean() for d in (2, 3))
    return (decoded - target).abs().mean() + 2 * F.mse_loss(decoded, target) + 0.5 * edges


def main(source, out, minutes, batch=24, crop=12, noise=0.08):
    torch.manual_seed(0)
    pictures = data.Pairs(source)
    components = Components(pictures.before(range(512)))
    components.save(f"{out}/components.pt")
    vae = blank()
    write_encoder(vae, components)
    start_decoder(vae, components)
    held = pictures.before(range(len(pictures) - 64, len(pictures)))
    exact, coded = components.encode(held), vae.encode(held).latent_dist.mode()
    print(f"encoder against its formula: {(exact - coded).abs().max():.2e}", flush=True)
    vae.encoder.requires_grad_(False)
    vae.decoder.to(memory_format=torch.channels_last)
    parameters = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    average = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, betas=(0.9, 0.99), weight_decay=0.0)
    start, step, last = time.time(), 0, 0.0

    def save():
        keep = [p.detach().clone() for p in parameters]
        for p, a in zip(parameters, average):
            p.data.copy_(a)
        with torch.no_grad():
            error = (vae.decode(exact).sample.clamp(-1, 1) - held).abs().mean().item() * 127.5
        vae.save_pretrained(f"{out}/vae")
        for p, k in zip(parameters, keep):
            p.data.copy_(k)
        print(f"{step} steps, {time.time() - start:.0f} s: mean absolute error {error:.2f} of 255", flush=True)

    while (done := (time.time() - start) / (minutes * 60)) < 1:
        whole = done > 0.6
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 50) * (1.02 - done)
        index = torch.randint(0, len(pictures) - 64, (batch if not whole else batch // 4,)).tolist()
        side = 4 * crop
        target = pictures.before(index) if step % 2 else pictures.after(index)
        latents = components.encode(target)
        if not whole:  # crops on the patch grid, each its own place
            y, x = torch.randint(0, 32 - crop + 1, (2, len(index))).tolist()
            target = torch.stack([t[:, 4 * a : 4 * a + side, 4 * b : 4 * b + side] for t, a, b in zip(target, y, x)])
            latents = torch.stack([z[:, a : a + crop, b : b + crop] for z, a, b in zip(latents, y, x)])
        # The U-Net's latents are never exactly an encoder's: learn to see through a little grain.
        latents = latents + torch.rand(len(latents), 1, 1, 1) * noise * torch.randn_like(latents)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            decoded = vae.decode(latents.to(memory_format=torch.channels_last)).sample
        loss = loss_of(decoded.float(), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        for a, p in zip(average, parameters):
            a.lerp_(p.detach(), 1 - min(0.995, (1 + step) / (10 + step)))
        if time.time() - last > 60:
            last = time.time()
            save()
    save()


if __name__ == "__main__":
    os.makedirs(sys.argv[2], exist_ok=True)
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
