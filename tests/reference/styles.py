"""Random InstructPix2Pix pipelines of both styles, small enough to commit."""

import diffusers
import torch
import transformers

import bpe

BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000)


def unsettle(module, generator):
    """Norms away from 1 and 0, biases away from 0, sharper attention: so that a mistake in any of them shows."""
    with torch.no_grad():
        for name, p in module.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name:
                p.add_(0.1 * noise)
            elif name.endswith("bias"):
                p.add_(0.05 * noise)
            if name.endswith(("to_q.weight", "to_k.weight")):
                p.mul_(2.5)
    return module.eval()


def text_encoder(hidden, layers, heads, act, vocab, generator, intermediate=None):
    config = transformers.CLIPTextConfig(
        vocab_size=vocab, hidden_size=hidden, intermediate_size=intermediate or 2 * hidden, num_hidden_layers=layers,
        num_attention_heads=heads, max_position_embeddings=77, hidden_act=act, layer_norm_eps=1e-5,
        bos_token_id=vocab - 2, eos_token_id=vocab - 1, pad_token_id=vocab - 1, projection_dim=hidden,
    )
    model = transformers.CLIPTextModel(config)
    with torch.no_grad():  # its own initialisation is so small that attention would do nothing
        for name, p in model.named_parameters():
            if p.dim() == 2 and "embedding" not in name:
                p.copy_(torch.randn(p.shape, generator=generator) * p.shape[1] ** -0.5)
            if "embedding" in name:
                p.copy_(torch.randn(p.shape, generator=generator) * 0.5)
    return unsettle(model, generator)


def unet(generator, **config):
    return unsettle(diffusers.UNet2DConditionModel(sample_size=32, in_channels=8, out_channels=4, **config), generator)


def vae(generator, channels, groups, layers=1, scaling=0.18215, sample_size=64):
    model = diffusers.AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * len(channels), up_block_types=["UpDecoderBlock2D"] * len(channels),
        block_out_channels=channels, layers_per_block=layers, latent_channels=4, norm_num_groups=groups,
        scaling_factor=scaling, sample_size=sample_size,
    )
    unsettle(model, generator)
    with torch.no_grad():  # decoded pixels inside [-1, 1], so that clamping hides nothing
        model.decoder.conv_out.weight.mul_(0.5)
    return model


def pipeline(tokenizer, text, unet, vae, scheduler):
    return diffusers.StableDiffusionInstructPix2PixPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )


def sd1(seed=1):
    """Convolutional projections, one head count, quick GELU, epsilon."""
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(seed)
    tokens = bpe.tokenizer()
    return pipeline(
        tokens,
        text_encoder(16, 2, 2, "quick_gelu", len(tokens), g),
        unet(g, block_out_channels=(8, 16), layers_per_block=2, cross_attention_dim=16, attention_head_dim=4, norm_num_groups=4,
             down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")),
        vae(g, (8, 16), 4),
        diffusers.EulerAncestralDiscreteScheduler(**BETAS),
    )


def sd2(seed=2):
    """Linear projections, a list of heads, GELU, one block with cross-attention only, v-prediction, three levels."""
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(seed)
    tokens = bpe.tokenizer(pad="!")
    return pipeline(
        tokens,
        text_encoder(24, 3, 3, "gelu", len(tokens), g),
        unet(g, block_out_channels=(8, 12, 16), layers_per_block=1, cross_attention_dim=24, attention_head_dim=[2, 3, 4],
             norm_num_groups=4, use_linear_projection=True, only_cross_attention=[True, False, False], upcast_attention=True,
             down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
             up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D")),
        vae(g, (4, 8, 8), 4),
        diffusers.EulerAncestralDiscreteScheduler(**BETAS, prediction_type="v_prediction"),
    )


def ldm(style, seed):
    """What an LDM file implies when its config is lost: groups of 32, eight heads (SD1) or heads of 64 wide and at least one (SD2)."""
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(seed)
    two = style == "sd2"
    tokens = bpe.tokenizer(pad="!" if two else "<|endoftext|>")
    return pipeline(
        tokens,
        text_encoder(64, 2, 1, "gelu" if two else "quick_gelu", len(tokens), g, intermediate=256),
        unet(g, block_out_channels=(32, 32), layers_per_block=1, cross_attention_dim=64, norm_num_groups=32,
             attention_head_dim=[1, 1] if two else 8, use_linear_projection=two,
             down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")),
        vae(g, (32, 32), 32),
        diffusers.EulerAncestralDiscreteScheduler(**BETAS),
    )
