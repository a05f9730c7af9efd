//! `first_stage_model.*`: the decoder's levels are counted from the coarsest, attention is made of 1x1 convolutions.

use serde_json::json;

use super::names::{Network, count, shape, translate};
use crate::Error;
use crate::checkpoint::blob::Blob;
use crate::checkpoint::tensors::Tensors;

pub(super) fn network(
    tensors: Tensors,
    spare: &mut Vec<String>,
    blob: &Blob,
) -> Result<Network, Error> {
    let shape = |name: &str| shape(&tensors, name, "vae", blob);
    let levels = count(&tensors, "encoder.down.");
    let widths = (0..levels)
        .map(|i| Ok(shape(&format!("encoder.down.{i}.block.0.conv2.weight"))?[0]))
        .collect::<Result<Vec<_>, Error>>()?;
    let config = json!({
        "in_channels": shape("encoder.conv_in.weight")?[1],
        "out_channels": shape("decoder.conv_out.weight")?[0],
        "latent_channels": shape("decoder.conv_in.weight")?[1],
        "block_out_channels": widths,
        "down_block_types": vec!["DownEncoderBlock2D"; levels],
        "up_block_types": vec!["UpDecoderBlock2D"; levels],
        "layers_per_block": count(&tensors, "encoder.down.0.block."),
        "use_quant_conv": tensors.contains_key("quant_conv.weight"),
        "use_post_quant_conv": tensors.contains_key("post_quant_conv.weight"),
        "mid_block_add_attention": tensors.contains_key("decoder.mid.attn_1.norm.weight"),
    });
    let tensors = translate(tensors, spare, |name| translated(name, levels), |_| false);
    let tensors = tensors.into_iter().map(|(name, stored)| {
        if name.contains(".attentions.") {
            (name, stored.linear())
        } else {
            (name, stored)
        }
    });
    Ok(Network {
        tensors: tensors.collect(),
        config,
    })
}

fn translated(name: &str, levels: usize) -> Option<String> {
    let parts: Vec<_> = name.split('.').collect();
    Some(match parts[..] {
        ["quant_conv" | "post_quant_conv", _]
        | ["encoder" | "decoder", "conv_in" | "conv_out", _] => name.to_owned(),
        [side @ ("encoder" | "decoder"), ref rest @ ..] => {
            format!("{side}.{}", inside(rest, levels)?)
        }
        _ => return None,
    })
}

fn inside(parts: &[&str], levels: usize) -> Option<String> {
    let from_coarsest = |i: &str| levels.checked_sub(1 + i.parse::<usize>().ok()?);
    Some(match parts {
        ["norm_out", leaf] => format!("conv_norm_out.{leaf}"),
        ["mid", "block_1", rest @ ..] => format!("mid_block.resnets.0.{}", resnet(rest)?),
        ["mid", "block_2", rest @ ..] => format!("mid_block.resnets.1.{}", resnet(rest)?),
        ["mid", "attn_1", layer, leaf] => {
            let layer = match *layer {
                "norm" => "group_norm",
                "q" => "to_q",
                "k" => "to_k",
                "v" => "to_v",
                "proj_out" => "to_out.0",
                _ => return None,
            };
            format!("mid_block.attentions.0.{layer}.{leaf}")
        }
        ["down", i, "block", j, rest @ ..] => {
            format!("down_blocks.{i}.resnets.{j}.{}", resnet(rest)?)
        }
        ["down", i, "downsample", "conv", leaf] => {
            format!("down_blocks.{i}.downsamplers.0.conv.{leaf}")
        }
        ["up", i, "block", j, rest @ ..] => format!(
            "up_blocks.{}.resnets.{j}.{}",
            from_coarsest(i)?,
            resnet(rest)?
        ),
        ["up", i, "upsample", "conv", leaf] => {
            format!("up_blocks.{}.upsamplers.0.conv.{leaf}", from_coarsest(i)?)
        }
        _ => return None,
    })
}

fn resnet(parts: &[&str]) -> Option<String> {
    Some(match parts {
        ["nin_shortcut", leaf] => format!("conv_shortcut.{leaf}"),
        [layer @ ("norm1" | "conv1" | "norm2" | "conv2"), leaf] => format!("{layer}.{leaf}"),
        _ => return None,
    })
}
