//! Locating by one call and editing in a window, against both spelled out on diffusers (`tests/reference/windowed.py`).

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Result, Tensor, safetensors};
use image::{GrayImage, RgbImage};
use limekiln_diffusion::control::{Control, Kind, Part, Site, Tap};
use limekiln_diffusion::model::Model;
use limekiln_lime::observer::AttentionObserver;
use limekiln_lime::window::Rect;
use limekiln_lime::{Edit, Preset, Request};
use serde::Deserialize;
use serde_json::json;

use crate::common::{bytes, difference, floats, inertia, model, reference, run};

#[derive(Deserialize)]
struct Golden {
    name: String,
    checkpoint: String,
    level: usize,
    locate_seed: u64,
    steps: usize,
    seed: u64,
    grid: usize,
    rect: [usize; 4],
    least: usize,
    difference: f64,
    instruction: String,
}

/// Passes everything on to the edit's own observer, and keeps what all lanes show.
struct Recorder {
    observer: AttentionObserver,
    /// `[rows, tokens, h, w]` by size: heads averaged, layers summed.
    attention: BTreeMap<(usize, usize), Tensor>,
    /// `[rows, channels, h, w]` by layer.
    features: BTreeMap<String, Tensor>,
}

impl Control for Recorder {
    fn bias(&mut self, site: &Site) -> Result<Option<Tensor>> {
        self.observer.bias(site)
    }

    fn wants_probabilities(&self, site: &Site) -> bool {
        site.kind == Kind::CrossAttention
    }

    fn probabilities(&mut self, site: &Site, probabilities: &Tensor) -> Result<()> {
        if self.observer.wants_probabilities(site) {
            self.observer.probabilities(site, probabilities)?;
        }
        if site.part == Part::Mid {
            return Ok(());
        }
        let mean = probabilities.mean(1)?.transpose(1, 2)?.contiguous()?;
        let (rows, tokens, _) = mean.dims3()?;
        let size = (site.height, site.width);
        let maps = mean.reshape((rows, tokens, size.0, size.1))?;
        let sum = match self.attention.remove(&size) {
            Some(sum) => (sum + maps)?,
            None => maps,
        };
        self.attention.insert(size, sum);
        Ok(())
    }

    fn wants_features(&self, tap: &Tap) -> bool {
        matches!(tap, Tap::Transformer(_)) || self.observer.wants_features(tap)
    }

    fn features(&mut self, tap: &Tap, features: &Tensor) -> Result<()> {
        if self.observer.wants_features(tap) {
            self.observer.features(tap, features)?;
        }
        if let Tap::Transformer(site) = tap {
            let part = match site.part {
                Part::Down => "down",
                Part::Up => "up",
                Part::Mid => return Ok(()),
            };
            let name = format!("{part}.{}.{}", site.block, site.layer);
            self.features.insert(name, features.to_dtype(DType::F32)?);
        }
        Ok(())
    }
}

/// The edit's next call, as it is made: what was shown, what came out, and what attention did.
fn call(model: &Model, edit: &Edit) -> (Tensor, Tensor, Recorder) {
    let inputs = edit.inputs().unwrap();
    let mut recorder = Recorder {
        observer: inputs.observer,
        attention: BTreeMap::new(),
        features: BTreeMap::new(),
    };
    let output = model
        .unet
        .forward(
            &inputs.sample,
            &inputs.timesteps,
            &inputs.text,
            &mut recorder,
        )
        .unwrap();
    (inputs.sample, output, recorder)
}

/// Compares and prints.
fn close(what: &str, ours: &Tensor, theirs: &Tensor, within: f32) {
    assert_eq!(ours.dims(), theirs.dims(), "{what}");
    let off = difference(&floats(ours), &floats(theirs));
    println!("{what}: off by {off:.1e} of the largest value");
    assert!(off < within, "{what} is off by {off}");
}

fn goldens() -> (Vec<Golden>, HashMap<String, Tensor>) {
    let text = std::fs::read_to_string(reference("golden/windowed.json")).unwrap();
    let table: Vec<Golden> = serde_json::from_str(&text).unwrap();
    assert_eq!(table.len(), 2);
    let tensors = safetensors::load(reference("golden/windowed.safetensors"), &Device::Cpu);
    (table, tensors.unwrap())
}

/// `fast` in few steps on the golden's picture.
fn request(golden: &Golden, find: &impl Fn(&str) -> Tensor) -> Request {
    let picture = find("image");
    let (height, width, _) = picture.dims3().unwrap();
    let changes = json!({
        "locate": {
            "levels": {"features": [golden.level], "map": [golden.level]},
            "seed": golden.locate_seed, "grid": golden.grid, "select": {"points": 10},
        },
        "edit": {
            "steps": golden.steps,
            "window": {"least": golden.least, "margin": 1, "margin_share": 0.0, "removing": 1.0, "bound": 1e6},
        },
    });
    Request {
        image: RgbImage::from_raw(width as u32, height as u32, bytes(&picture)).unwrap(),
        instruction: golden.instruction.clone(),
        seed: golden.seed,
        preset: Preset::fast().with(&changes).unwrap(),
        mask: None,
        scheduler: None,
        full: None,
        beside: false,
    }
}

#[test]
fn the_call_that_locates_is_diffusers_own() {
    let (table, tensors) = goldens();
    for golden in table {
        let name = &golden.name;
        let find = |what: &str| tensors[&format!("{name}: {what}")].clone();
        let model = model(&golden.checkpoint);
        let edit = Edit::new(&model, request(&golden, &find)).unwrap();
        let (sample, output, recorder) = call(&model, &edit);
        let z = find("z");
        // Text lane, then image lane: both see the same.
        for row in 0..2 {
            let shown = sample.narrow(0, row, 1).unwrap().narrow(1, 0, 4).unwrap();
            close(&format!("{name}: z_t, lane {row}"), &shown, &z, 1e-5);
        }
        close(
            &format!("{name}: both lanes' outputs"),
            &output,
            &find("located"),
            1e-4,
        );
        assert!(!recorder.attention.is_empty() && !recorder.features.is_empty());
        for ((height, width), attention) in &recorder.attention {
            let what = format!("attention.{height}x{width}");
            close(&format!("{name}: {what}"), attention, &find(&what), 1e-4);
        }
        for (layer, features) in &recorder.features {
            let what = format!("feature.{layer}");
            close(&format!("{name}: {what}"), features, &find(&what), 1e-4);
        }
        let located = run(&model, edit);
        let off = difference(&located.attention.unwrap().values, &floats(&find("map")));
        println!("{name}: map off by {off:.1e}");
        assert!(off < 1e-3, "{name}: the map is off by {off}");
        let want = inertia(&floats(&find("stack")), &located.segments.unwrap().labels);
        let ours = located.report.inertia.unwrap();
        assert!(
            (ours / want - 1.0).abs() < 1e-4,
            "{name}: inertia {ours}, not {want}"
        );
    }
}

#[test]
fn an_edit_in_a_window_is_the_one_spelled_out() {
    let (table, tensors) = goldens();
    for golden in table {
        let name = &golden.name;
        let find = |what: &str| tensors[&format!("{name}: {what}")].clone();
        let model = model(&golden.checkpoint);
        let asked = request(&golden, &find);
        let (width, height) = asked.image.dimensions();
        let mask = GrayImage::from_raw(width, height, bytes(&find("mask")));
        let asked = Request { mask, ..asked };
        let scales = asked.preset.edit.as_ref().unwrap().scales;
        let mut edit = Edit::new(&model, asked).unwrap();
        for what in ["first", "first whole"] {
            let (_, output, recorder) = call(&model, &edit);
            let lane = |row: usize| output.narrow(0, row, 1).unwrap();
            let text = ((lane(0) - lane(1)).unwrap() * scales.text).unwrap();
            let picture = ((lane(1) - lane(2)).unwrap() * scales.image).unwrap();
            let guided = ((lane(2) + text).unwrap() + picture).unwrap();
            close(
                &format!("{name}: the {what} prediction"),
                &guided,
                &find(what),
                1e-4,
            );
            edit.advance(&output, recorder.observer).unwrap();
        }
        let edited = run(&model, edit);
        let [left, top, width, height] = golden.rect;
        let window = edited.report.window.unwrap();
        let rect = Rect {
            left,
            top,
            width,
            height,
        };
        assert_eq!((window.rect, window.whole), (Some(rect), None), "{name}");
        let off = (window.difference.unwrap() / golden.difference - 1.0).abs();
        println!(
            "{name}: the check's difference off by {off:.1e} of {:.3}",
            golden.difference
        );
        assert!(off < 1e-3, "{name}: the check is off by {off}");
        let made = edited.decoded.unwrap();
        close(
            &format!("{name}: latents"),
            &made.latents,
            &find("latents"),
            1e-4,
        );
        let decoded = bytes(&find("decoded"));
        let pairs = made.image.as_raw().iter().zip(&decoded);
        let apart = pairs
            .map(|(ours, theirs)| ours.abs_diff(*theirs))
            .max()
            .unwrap();
        println!("{name}: pixels off by up to {apart} of 255");
        assert!(apart <= 1, "{name}: pixels are off by {apart}");
    }
}
