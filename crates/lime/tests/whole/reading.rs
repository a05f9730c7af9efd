//! Stage 1 in one call: what the U-Net is shown, and what the region depends on.

use candle_core::{DType, Tensor};
use image::Rgb;
use limekiln_diffusion::noise::TorchRng;
use limekiln_lime::{Edit, Error, Outcome, Preset, Request};
use serde_json::{Value, json};

use crate::common::{decoded, model, request, run};

/// `fast` in few steps, locating at the picture's own latents with a seed of its own.
fn preset(changes: Value) -> Preset {
    let small = json!({
        "edit": {"steps": 2},
        "locate": {
            "from": "input", "seed": 5, "grid": 32,
            "segments": {"rounds": 20, "clusters": 4}, "select": {"points": 10},
        },
    });
    let preset = Preset::fast().with(&small).unwrap();
    preset.with(&json!({ "locate": changes })).unwrap()
}

fn outcome(request: Request) -> Outcome {
    let model = model("sd1");
    run(&model, Edit::new(&model, request).unwrap())
}

/// Cumulative alphas of the reference checkpoints, by their configs' numbers.
fn alpha_bar(timestep: usize) -> f64 {
    let (start, end) = (0.00085_f64.sqrt(), 0.012_f64.sqrt());
    let beta = |i: usize| (start + (end - start) * i as f64 / 999.0).powi(2);
    (0..=timestep).map(|i| 1.0 - beta(i)).product()
}

fn largest(tensor: &Tensor) -> f32 {
    let tensor = tensor.abs().unwrap().flatten_all().unwrap();
    tensor.max(0).unwrap().to_scalar().unwrap()
}

#[test]
fn each_row_is_the_pictures_scaled_latents_noised_to_its_own_level() {
    for name in ["sd1", "sd2"] {
        let model = model(name);
        let levels = json!({"features": [300, 700], "map": [300, 600]});
        let edit = Edit::new(&model, request(preset(json!({ "levels": levels })))).unwrap();
        let inputs = edit.inputs().unwrap();
        // Text lanes, then image lanes; draw 0 and draw 1 of each.
        assert_eq!(inputs.timesteps, [300.0, 600.0, 300.0, 700.0]);
        let sample = inputs.sample.to_dtype(DType::F32).unwrap();
        let (_, channels, height, width) = sample.dims4().unwrap();
        assert_eq!(channels, 8);
        let mut rng = TorchRng::new(5);
        let draws = [(); 2].map(|()| {
            let values = rng.randn(4 * height * width);
            Tensor::from_vec(values, (4, height, width), sample.device()).unwrap()
        });
        for (row, timestep) in [300, 600, 300, 700].into_iter().enumerate() {
            let (shown, picture) = (
                sample.get(row).unwrap().narrow(0, 0, 4).unwrap(),
                sample.get(row).unwrap().narrow(0, 4, 4).unwrap(),
            );
            assert!(largest(&picture) > 0.1, "the condition is there, unscaled");
            let alpha = alpha_bar(timestep);
            let clean = (picture * (0.18215 * alpha.sqrt())).unwrap();
            let noise = (&draws[row % 2] * (1.0 - alpha).sqrt()).unwrap();
            let error = largest(&(shown - (clean + noise).unwrap()).unwrap());
            assert!(error < 1e-5, "{name}, row {row}: {error}");
        }
    }
}

#[test]
fn segments_are_the_pictures_own_whatever_is_asked_and_with_which_seed() {
    let asked = request(preset(json!({})));
    let first = outcome(asked.clone());
    assert_eq!(first.report.steps.locate, 1);
    assert!(first.roi.is_some());
    let other = outcome(Request {
        instruction: "make the lamp blue".into(),
        seed: 43,
        ..asked.clone()
    });
    assert_eq!(first.segments, other.segments);
    assert_ne!(first.attention, other.attention);
    let other = outcome(Request {
        preset: preset(json!({"seed": 6})),
        ..asked.clone()
    });
    assert_ne!(first.report.inertia, other.report.inertia);
    let mut image = asked.image.clone();
    image.put_pixel(0, 0, Rgb([255, 255, 255]));
    let other = outcome(Request { image, ..asked });
    assert_ne!(first.report.inertia, other.report.inertia);
}

#[test]
fn the_edits_seed_moves_the_edit_alone() {
    let asked = request(preset(json!({})));
    let (first, other) = (
        outcome(asked.clone()),
        outcome(Request { seed: 43, ..asked }),
    );
    assert_eq!(first.attention, other.attention);
    assert_eq!(first.roi, other.roi);
    assert!(largest(&(&decoded(&first).latents - &decoded(&other).latents).unwrap()) > 0.1);
}

#[test]
fn one_word_can_be_read_alone_and_must_be_there() {
    let read = |words: Value| outcome(request(preset(json!({"map": {"words": words}}))));
    let sofa = read(json!(["SOFA"]));
    assert_eq!(sofa.report.words, ["sofa"]);
    assert_ne!(sofa.attention, read(json!([])).attention);
    let none = read(json!(["lamp"]));
    assert!(none.roi.is_none());
    assert!(none.report.warnings[0].contains("no word"));
}

#[test]
fn relevance_reads_differences_of_noise_whatever_the_network_predicts() {
    let changes = json!({
        "levels": {"map": [800]},
        "map": {"evidence": "relevance"},
        "select": {"rule": "level", "level": 0.5},
    });
    for name in ["sd1", "sd2"] {
        let model = model(name);
        let mut edit = Edit::new(&model, request(preset(changes.clone()))).unwrap();
        let mut inputs = edit.inputs().unwrap();
        assert_eq!(inputs.timesteps, [800.0; 2], "{name}: text and image lane");
        let output = model
            .unet
            .forward(
                &inputs.sample,
                &inputs.timesteps,
                &inputs.text,
                &mut inputs.observer,
            )
            .unwrap();
        let difference = (output.get(0).unwrap() - output.get(1).unwrap()).unwrap();
        // v = sqrt(a) noise - sqrt(1 - a) picture, so a difference of v is sqrt(1 / a) times one of noise.
        let scale = match name {
            "sd2" => alpha_bar(800).sqrt(),
            _ => 1.0,
        };
        let mean = (difference.abs().unwrap().mean_all().unwrap() * scale).unwrap();
        let mean: f32 = mean.to_scalar().unwrap();
        edit.advance(&output, inputs.observer).unwrap();
        let map = run(&model, edit).attention.unwrap();
        let read = map.values.iter().sum::<f32>() / map.values.len() as f32;
        // Enlarging to the grid moves the mean a little.
        assert!((read / mean - 1.0).abs() < 0.05, "{name}: {read} of {mean}");
    }
}

#[test]
fn levels_that_were_not_trained_are_refused_by_name() {
    let changed = |changes: Value| Preset::fast().with(&json!({"locate": {"levels": changes}}));
    for (changes, says) in [
        (json!({"map": [1000]}), "locate.levels.map is 1000"),
        (
            json!({"features": []}),
            "the length of locate.levels.features is 0",
        ),
        (json!({"both": [600]}), "both"),
    ] {
        match changed(changes) {
            Err(Error::Preset(message)) => assert!(message.contains(says), "{message}"),
            other => panic!("{other:?}"),
        }
    }
}
