//! Pictures and tensors against diffusers' own.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use image::RgbImage;
use limekiln_diffusion::picture::{from_tensor, to_tensor};
use limekiln_pictures::resize::lanczos;
use limekiln_pictures::size::floor_to;
use proptest::prelude::*;

fn golden() -> HashMap<String, Tensor> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference/golden/pictures.safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn picture(bytes: &Tensor) -> RgbImage {
    let (h, w, _) = bytes.dims3().unwrap();
    RgbImage::from_raw(
        w as u32,
        h as u32,
        bytes.flatten_all().unwrap().to_vec1().unwrap(),
    )
    .unwrap()
}

#[test]
fn preprocesses_as_diffusers() {
    let golden = golden();
    let from = picture(&golden["pixels from"]);
    let small = lanczos(&from, floor_to(from.width(), 8), floor_to(from.height(), 8));
    let ours = to_tensor(&small, &Device::Cpu).unwrap();
    assert_eq!(ours.dims(), [1, 3, 32, 40]);
    let off = (ours - &golden["pixels"])
        .unwrap()
        .abs()
        .unwrap()
        .max_all()
        .unwrap()
        .to_scalar::<f32>()
        .unwrap();
    assert!(off <= 1e-6, "{off}");
}

#[test]
fn postprocesses_to_diffusers_bytes() {
    let golden = golden();
    assert!(from_tensor(&golden["decoded"]).unwrap() == picture(&golden["decoded to"]));
}

#[test]
fn what_is_no_picture_is_refused() {
    let nan = Tensor::new(&[[[f32::NAN]], [[0.0]], [[0.0]]], &Device::Cpu).unwrap();
    assert!(
        from_tensor(&nan)
            .unwrap_err()
            .to_string()
            .contains("not a number")
    );
    let two = Tensor::zeros((1, 2, 4, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
    assert!(
        from_tensor(&two)
            .unwrap_err()
            .to_string()
            .contains("3 channels")
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_survive_the_tensor(w in 1u32..9, h in 1u32..9, seed: u32) {
        let picture = RgbImage::from_fn(w, h, |x, y| image::Rgb([x, y, x ^ y].map(|v| v.wrapping_mul(seed).to_le_bytes()[1])));
        prop_assert!(from_tensor(&to_tensor(&picture, &Device::Cpu).unwrap()).unwrap() == picture);
    }
}
