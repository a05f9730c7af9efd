//! `paper` and `official` against the method spelled out on diffusers (`tests/reference/lime.py`).

use candle_core::{Device, safetensors};
use image::{GrayImage, RgbImage};
use limekiln_lime::{Edit, Preset, Request};
use serde::Deserialize;
use serde_json::json;

use crate::common::{bytes, decoded, difference, floats, inertia, model, reference, run};

#[derive(Deserialize)]
struct Golden {
    name: String,
    checkpoint: String,
    preset: String,
    steps: usize,
    grid: usize,
    seed: u64,
    instruction: String,
    read: usize,
}

#[test]
fn both_stages_are_the_methods() {
    let text = std::fs::read_to_string(reference("golden/lime.json")).unwrap();
    let table: Vec<Golden> = serde_json::from_str(&text).unwrap();
    let tensors = safetensors::load(reference("golden/lime.safetensors"), &Device::Cpu).unwrap();
    assert_eq!(table.len(), 4);
    for golden in table {
        let find = |what: &str| &tensors[&format!("{}: {what}", golden.name)];
        let (height, width, _) = find("image").dims3().unwrap();
        let (w, h) = (width as u32, height as u32);
        let steps = json!({
            "locate": {"steps": golden.steps, "grid": golden.grid, "select": {"points": 10}},
            "edit": {"steps": golden.steps},
        });
        let model = model(&golden.checkpoint);
        let request = Request {
            image: RgbImage::from_raw(w, h, bytes(find("image"))).unwrap(),
            instruction: golden.instruction,
            seed: golden.seed,
            preset: Preset::named(&golden.preset).unwrap().with(&steps).unwrap(),
            mask: None,
            scheduler: None,
            full: None,
            beside: false,
        };

        let located = run(&model, Edit::new(&model, request.clone()).unwrap());
        let off = difference(&located.attention.unwrap().values, &floats(find("map")));
        assert!(off < 1e-3, "{}: the map is off by {off}", golden.name);
        // The stack was never built here: its clustering must cost what it costs in diffusers' stack.
        let want = inertia(&floats(find("stack")), &located.segments.unwrap().labels);
        let ours = located.report.inertia.unwrap();
        assert!(
            (ours / want - 1.0).abs() < 1e-3,
            "{}: inertia {ours}, not {want}",
            golden.name
        );
        assert_eq!(
            located.report.tokens_read.len(),
            golden.read,
            "{}",
            golden.name
        );

        let mask = GrayImage::from_raw(w, h, bytes(find("mask"))).unwrap();
        let edited = run(
            &model,
            Edit::new(
                &model,
                Request {
                    mask: Some(mask),
                    ..request
                },
            )
            .unwrap(),
        );
        let off = difference(&floats(&decoded(&edited).latents), &floats(find("latents")));
        assert!(off < 1e-3, "{}: latents are off by {off}", golden.name);
    }
}
