//! The reference checkpoints and goldens, and whole edits of small pictures.

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use image::{Rgb, RgbImage};
use limekiln_diffusion::{
    checkpoint::{Checkpoint, OpenOptions},
    model::Model,
};
use limekiln_lime::{Decoded, Edit, Outcome, Preset, Request};

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
        full: None,
        beside: false,
    }
}

/// The edit from where it stands to its end.
pub(crate) fn run(model: &Model, mut edit: Edit) -> Outcome {
    while !edit.is_done() {
        edit.step(model).unwrap();
    }
    edit.finish(model).unwrap()
}

/// What the model made.
pub(crate) fn decoded(outcome: &Outcome) -> &Decoded {
    outcome.decoded.as_ref().unwrap()
}

/// A tensor's values, as f32.
pub(crate) fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor
        .to_dtype(DType::F32)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// A tensor's bytes.
pub(crate) fn bytes(tensor: &Tensor) -> Vec<u8> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Largest difference, as a share of the largest value.
pub(crate) fn difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let scale = theirs.iter().map(|x| x.abs()).fold(0.0, f32::max);
    ours.iter()
        .zip(theirs)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
        / scale
}

/// Sum of squared distances of a stack's pixels to their clusters' means.
pub(crate) fn inertia(stack: &[f32], labels: &[u8]) -> f64 {
    let channels = stack.len() / labels.len();
    let mut sums: HashMap<u8, (f64, Vec<f64>)> = HashMap::new();
    let mut squares = 0.0;
    for (pixel, label) in stack.chunks_exact(channels).zip(labels) {
        let (count, sum) = sums.entry(*label).or_insert((0.0, vec![0.0; channels]));
        *count += 1.0;
        sum.iter_mut()
            .zip(pixel)
            .for_each(|(sum, value)| *sum += f64::from(*value));
        squares += pixel
            .iter()
            .map(|value| f64::from(*value).powi(2))
            .sum::<f64>();
    }
    squares
        - sums
            .values()
            .map(|(count, sum)| sum.iter().map(|x| x * x).sum::<f64>() / count)
            .sum::<f64>()
}
