//! Self-attention never has all its scores in memory.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use limekiln_diffusion::config::UnetConfig;
use limekiln_diffusion::control::Untouched;
use limekiln_diffusion::unet::Unet;

/// The most memory this process ever had, in MiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .next()
        .unwrap()
        .parse::<usize>()
        .unwrap()
        / 1024
}

#[test]
fn scores_are_never_all_in_memory() {
    let config = r#"{
        "in_channels": 8, "block_out_channels": [8], "layers_per_block": 1, "cross_attention_dim": 8,
        "attention_head_dim": 2, "norm_num_groups": 4,
        "down_block_types": ["CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D"]
    }"#;
    let config = UnetConfig::from_json(config).unwrap();
    let unet = Unet::new(VarBuilder::zeros(DType::F32, &Device::Cpu), &config).unwrap();
    let side = 96;
    let sample = Tensor::ones((1, 8, side, side), DType::F32, &Device::Cpu).unwrap();
    let states = Tensor::ones((1, 77, 8), DType::F32, &Device::Cpu).unwrap();
    let context = unet.text(&states).unwrap();
    let before = peak();
    unet.forward(&sample, &[500.0], &context, &mut Untouched)
        .unwrap();
    let used = peak() - before;
    // All scores of one layer: two heads of 9216 x 9216 in f32, 648 MiB.
    assert!(used < 64, "{used} MiB");
}
