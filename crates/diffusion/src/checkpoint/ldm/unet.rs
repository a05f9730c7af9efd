//! `model.diffusion_model.*`: blocks in one flat list, residual blocks as sequences.

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
    let shape = |name: &str| shape(&tensors, name, "unet", blob);
    let blocks = count(&tensors, "input_blocks.");
    // The first downsampling closes the first level: what lies between is its layers.
    let per_level = (1..blocks)
        .find(|i| tensors.contains_key(&format!("input_blocks.{i}.0.op.weight")))
        .unwrap_or(blocks);
    if per_level < 2 || !blocks.is_multiple_of(per_level) {
        let problem = format!(
            "{blocks} input blocks in {} do not divide into levels",
            blob.path
        );
        return Err(Error::Tensor {
            component: "unet",
            problem,
        });
    }
    let (mut widths, mut down, mut up) = (Vec::new(), Vec::new(), Vec::new());
    for first in (1..blocks).step_by(per_level) {
        let attends = tensors.contains_key(&format!("input_blocks.{first}.1.norm.weight"));
        widths.push(shape(&format!("input_blocks.{first}.0.in_layers.2.weight"))?[0]);
        down.push(if attends {
            "CrossAttnDownBlock2D"
        } else {
            "DownBlock2D"
        });
        up.insert(
            0,
            if attends {
                "CrossAttnUpBlock2D"
            } else {
                "UpBlock2D"
            },
        );
    }
    let middle = "middle_block.1.transformer_blocks.0.attn2.to_k.weight";
    let linear = shape("middle_block.1.proj_in.weight")?.len() == 2;
    // Stable Diffusion 2 fixes the width of a head, 1 the number of heads.
    let heads = if linear {
        json!(widths.iter().map(|w| (w / 64).max(1)).collect::<Vec<_>>())
    } else {
        json!(8)
    };
    let config = json!({
        "in_channels": shape("input_blocks.0.0.weight")?[1],
        "out_channels": shape("out.2.weight")?[0],
        "block_out_channels": widths,
        "layers_per_block": per_level - 1,
        "down_block_types": down,
        "up_block_types": up,
        "attention_head_dim": heads,
        "cross_attention_dim": shape(middle)?[1],
        "transformer_layers_per_block": count(&tensors, "middle_block.1.transformer_blocks."),
        "use_linear_projection": linear,
        "time_embedding_dim": shape("time_embed.0.weight")?[0],
    });
    let tensors = translate(
        tensors,
        spare,
        |name| translated(name, per_level),
        |_| false,
    );
    Ok(Network { tensors, config })
}

fn translated(name: &str, per_level: usize) -> Option<String> {
    let parts: Vec<_> = name.split('.').collect();
    let place = |i: &str| i.parse::<usize>().ok();
    let layer = |i: usize| (i / per_level, i % per_level);
    Some(match parts[..] {
        ["time_embed", "0", leaf] => format!("time_embedding.linear_1.{leaf}"),
        ["time_embed", "2", leaf] => format!("time_embedding.linear_2.{leaf}"),
        ["input_blocks", "0", "0", leaf] => format!("conv_in.{leaf}"),
        ["out", "0", leaf] => format!("conv_norm_out.{leaf}"),
        ["out", "2", leaf] => format!("conv_out.{leaf}"),
        ["input_blocks", i, slot, ref rest @ ..] => {
            let (level, layer) = layer(place(i)?.checked_sub(1)?);
            match (slot, rest) {
                ("0", ["op", leaf]) => format!("down_blocks.{level}.downsamplers.0.conv.{leaf}"),
                ("0", rest) => format!("down_blocks.{level}.resnets.{layer}.{}", resnet(rest)?),
                ("1", rest) => format!("down_blocks.{level}.attentions.{layer}.{}", rest.join(".")),
                _ => return None,
            }
        }
        ["middle_block", "0", ref rest @ ..] => format!("mid_block.resnets.0.{}", resnet(rest)?),
        ["middle_block", "1", ref rest @ ..] => {
            format!("mid_block.attentions.0.{}", rest.join("."))
        }
        ["middle_block", "2", ref rest @ ..] => format!("mid_block.resnets.1.{}", resnet(rest)?),
        ["output_blocks", i, slot, ref rest @ ..] => {
            let (level, layer) = layer(place(i)?);
            match (slot, rest) {
                ("1" | "2", ["conv", leaf]) => {
                    format!("up_blocks.{level}.upsamplers.0.conv.{leaf}")
                }
                ("0", rest) => format!("up_blocks.{level}.resnets.{layer}.{}", resnet(rest)?),
                ("1", rest) => format!("up_blocks.{level}.attentions.{layer}.{}", rest.join(".")),
                _ => return None,
            }
        }
        _ => return None,
    })
}

fn resnet(parts: &[&str]) -> Option<String> {
    Some(match parts {
        ["in_layers", "0", leaf] => format!("norm1.{leaf}"),
        ["in_layers", "2", leaf] => format!("conv1.{leaf}"),
        ["emb_layers", "1", leaf] => format!("time_emb_proj.{leaf}"),
        ["out_layers", "0", leaf] => format!("norm2.{leaf}"),
        ["out_layers", "3", leaf] => format!("conv2.{leaf}"),
        ["skip_connection", leaf] => format!("conv_shortcut.{leaf}"),
        _ => return None,
    })
}
