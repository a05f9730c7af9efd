//! The command gives the pictures that diffusers gives: within 2 of 255 at every pixel, latents within 1e-3.

use std::collections::HashMap;
use std::path::Path;

use image::RgbImage;
use serde_json::Value;

use crate::context::{TestContext, checkpoint};
use crate::files::png;

/// Tensors of a safetensors file: shape and bytes.
struct Tensors(HashMap<String, (Vec<usize>, Vec<u8>)>);

impl Tensors {
    fn open(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: HashMap<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let numbers = |value: &Value| -> Vec<usize> {
            value
                .as_array()
                .unwrap()
                .iter()
                .map(|n| n.as_u64().unwrap() as usize)
                .collect()
        };
        let data = &bytes[8 + length..];
        let tensors = header
            .into_iter()
            .filter(|(name, _)| name != "__metadata__")
            .map(|(name, entry)| {
                let offsets = numbers(&entry["data_offsets"]);
                (
                    name,
                    (
                        numbers(&entry["shape"]),
                        data[offsets[0]..offsets[1]].to_vec(),
                    ),
                )
            });
        Self(tensors.collect())
    }

    fn picture(&self, name: &str) -> RgbImage {
        let (shape, bytes) = &self.0[name];
        RgbImage::from_raw(shape[1] as u32, shape[0] as u32, bytes.clone()).unwrap()
    }

    fn floats(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let (shape, bytes) = &self.0[name];
        (
            shape.clone(),
            bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .collect(),
        )
    }
}

#[test]
fn base_edits_equal_diffusers() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/golden");
    let tensors = Tensors::open(&golden.join("edits.safetensors"));
    let edits: Vec<Value> =
        serde_json::from_slice(&std::fs::read(golden.join("edits.json")).unwrap()).unwrap();
    assert!(edits.len() >= 10);
    let context = TestContext::new();
    for edit in &edits {
        let text = |key: &str| edit[key].as_str().unwrap().to_owned();
        let number = |key: &str| edit[key].to_string();
        let name = text("name");
        context.write("in.png", png(tensors.picture(&format!("{name}: image"))));
        let (model, instruction) = (checkpoint(&text("checkpoint")), text("instruction"));
        let (seed, steps, s_t, s_i) = (
            number("seed"),
            number("steps"),
            number("text"),
            number("image"),
        );
        let mut args = vec![
            "edit",
            "in.png",
            &instruction,
            "--model",
            &model,
            "--preset",
            "base",
            "--finish",
            "none",
            "-o",
            "out.png",
        ];
        args.extend([
            "--artifacts",
            "s",
            "--seed",
            &seed,
            "--steps",
            &steps,
            "--text-scale",
            &s_t,
            "--image-scale",
            &s_i,
        ]);
        let scheduler = edit["scheduler"].as_str();
        args.extend(
            scheduler
                .map(|scheduler| ["--scheduler", scheduler])
                .into_iter()
                .flatten(),
        );
        context.succeed(&args);

        let (shape, want) = tensors.floats(&format!("{name}: latents"));
        let (found_shape, found) =
            Tensors::open(&context.path("s/latents.safetensors")).floats("latents");
        assert_eq!(found_shape, shape, "{name}");
        let scale = want.iter().fold(0f32, |max, value| max.max(value.abs()));
        let worst = want
            .iter()
            .zip(&found)
            .map(|(a, b)| (a - b).abs())
            .fold(0f32, f32::max)
            / scale;
        assert!(
            worst < 1e-3,
            "{name}: latents differ by {worst} of their largest"
        );
        let (want, found) = (
            tensors.picture(&format!("{name}: edited")),
            image::open(context.path("out.png")).unwrap().into_rgb8(),
        );
        assert_eq!(found.dimensions(), want.dimensions(), "{name}");
        let worst = want
            .iter()
            .zip(found.iter())
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(
            worst <= Some(2),
            "{name}: pixels differ by {worst:?} of 255"
        );
    }
}
