//! The reference checkpoints and goldens, and whole edits of small pictures.

use std::path::PathBuf;

use candle_core::{DType, Device};
use image::{Rgb, RgbImage};
use limekiln_diffusion::{
    checkpoint::{Checkpoint, OpenOptions},
    model::Model,
};
use limekiln_lime::{Edit, Outcome, Preset, Request};

/// A file or folder of `tests/reference`.
pub(crate) fn reference(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference")
        .join(path)
}

/// A reference checkpoint, in f32.
pub(crate) fn model(name: &str) -> Model {
    let source = Checkpoint::parse_source(reference("checkpoints").join(name).to_str().unwrap());
    Model::load(
        Checkpoint::open(&source, &OpenOptions::default()).unwrap(),
        &Device::Cpu,
        DType::F32,
    )
    .unwrap()
}

/// A picture with a bright square on a gradient.
pub(crate) fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let inside = x > width / 4 && x < width / 2 && y > height / 4 && y < height / 2;
        if inside {
            Rgb([230, 40, 60])
        } else {
            Rgb([(x * 4) as u8, (y * 4) as u8, 120])
        }
    })
}

/// A request for a picture of 32 x 24.
pub(crate) fn request(preset: Preset) -> Request {
    Request {
        image: picture(32, 24),
        instruction: "make the sofa red".into(),
        seed: 42,
        preset,
        mask: None,
        scheduler: None,
    }
}

/// The edit from where it stands to its end.
pub(crate) fn run(model: &Model, mut edit: Edit) -> Outcome {
    while !edit.is_done() {
        edit.step(model).unwrap();
    }
    edit.finish(model).unwrap()
}
