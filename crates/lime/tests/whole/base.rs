//! `base` against diffusers' own pipeline.

use std::collections::HashMap;

use crate::common::{model, reference, run};
use candle_core::{Device, Tensor, safetensors};
use image::RgbImage;
use limekiln_lime::{Edit, Preset, Request};
use limekiln_pictures::{resize, size};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    name: String,
    checkpoint: String,
    scheduler: Option<String>,
    steps: usize,
    text: f64,
    image: f64,
    seed: u64,
    instruction: String,
}

fn rgb(tensor: &Tensor) -> RgbImage {
    let (height, width, _) = tensor.dims3().unwrap();
    RgbImage::from_raw(
        width as u32,
        height as u32,
        tensor.flatten_all().unwrap().to_vec1().unwrap(),
    )
    .unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn base_is_diffusers_pipeline() {
    let text = std::fs::read_to_string(reference("golden/edits.json")).unwrap();
    let table: Vec<Golden> = serde_json::from_str(&text).unwrap();
    let tensors: HashMap<String, Tensor> =
        safetensors::load(reference("golden/edits.safetensors"), &Device::Cpu).unwrap();
    assert!(table.len() >= 10);
    for golden in table {
        let model = model(&golden.checkpoint);
        let find = |what: &str| &tensors[&format!("{}: {what}", golden.name)];
        let image = rgb(find("image"));
        let factor = model.factor() as u32;
        let floor = |side| size::floor_to(side, factor);
        let image = resize::lanczos(&image, floor(image.width()), floor(image.height()));
        let mut preset = Preset::base();
        let edit = preset.edit.as_mut().unwrap();
        edit.steps = golden.steps;
        edit.scales.text = golden.text;
        edit.scales.image = golden.image;
        let scheduler = golden.scheduler.map(|name| name.parse().unwrap());
        let request = Request {
            image,
            instruction: golden.instruction,
            seed: golden.seed,
            preset,
            mask: None,
            scheduler,
            full: None,
            beside: false,
        };
        let outcome = run(&model, Edit::new(&model, request).unwrap());
        let decoded = outcome.decoded.unwrap();

        let (ours, theirs) = (values(&decoded.latents), values(find("latents")));
        assert_eq!(ours.len(), theirs.len(), "{}", golden.name);
        let scale = theirs.iter().map(|x| x.abs()).fold(0.0, f32::max);
        let worst = ours
            .iter()
            .zip(&theirs)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(
            worst < 1e-3 * scale,
            "{}: latents differ by {worst} of {scale}",
            golden.name
        );
        let edited = rgb(find("edited"));
        assert_eq!(decoded.image.dimensions(), edited.dimensions());
        let worst = decoded
            .image
            .as_raw()
            .iter()
            .zip(edited.as_raw())
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(
            worst <= Some(2),
            "{}: pixels differ by {worst:?}",
            golden.name
        );
        assert!(outcome.roi.is_none() && outcome.report.warnings.is_empty());
    }
}
