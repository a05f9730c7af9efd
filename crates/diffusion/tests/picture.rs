//! Pictures against PIL and diffusers.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use image::RgbImage;
use limekiln_diffusion::picture::{floor_to, from_tensor, resize_lanczos, to_tensor};
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
fn resizes_to_pils_bytes() {
    let golden = golden();
    for i in 0..8 {
        let (from, want) = (
            picture(&golden[&format!("{i} from")]),
            picture(&golden[&format!("{i} to")]),
        );
        let ours = resize_lanczos(&from, want.width(), want.height());
        assert!(
            ours == want,
            "case {i}: {:?} to {:?}",
            from.dimensions(),
            want.dimensions()
        );
    }
}

#[test]
fn preprocesses_as_diffusers() {
    let golden = golden();
    let from = picture(&golden["pixels from"]);
    let small = resize_lanczos(&from, floor_to(from.width(), 8), floor_to(from.height(), 8));
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

    #[test]
    fn one_color_stays_that_color(w in 1u32..60, h in 1u32..60, to_w in 1u32..60, to_h in 1u32..60, color: [u8; 3]) {
        let resized = resize_lanczos(&RgbImage::from_pixel(w, h, image::Rgb(color)), to_w, to_h);
        prop_assert_eq!(resized.dimensions(), (to_w, to_h));
        prop_assert!(resized.pixels().all(|p| p.0 == color));
    }
}
