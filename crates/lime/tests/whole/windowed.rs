//! Stage 2 in a window: what the U-Net is shown there, and what becomes of it.

use candle_core::{DType, Tensor};
use image::{GrayImage, Luma};
use limekiln_diffusion::{
    control::{Control, Kind, Part, Site},
    scheduler::SchedulerKind,
};
use limekiln_lime::{
    Edit, Outcome, Preset, Request,
    edit::Inputs,
    report::{RanWhole, WindowReport},
    window::Rect,
};
use serde_json::{Value, json};

use crate::common::{decoded, model, request, run};

/// Latents of 16 x 12; the window around `mask()`.
const WINDOW: Rect = Rect {
    left: 2,
    top: 2,
    width: 8,
    height: 8,
};
const SHARE: f64 = 64.0 / 192.0;

fn mask() -> GrayImage {
    GrayImage::from_fn(32, 24, |x, y| {
        Luma([if (8..16).contains(&x) && (8..14).contains(&y) {
            255
        } else {
            0
        }])
    })
}

/// `fast` in few steps with the user's mask; its check passes.
fn asked(changes: Value) -> Request {
    let window = json!({"edit": {"steps": 5, "window": {"least": 6, "margin": 1, "margin_share": 0.0, "area": 0.6, "bound": 1e6}}});
    let preset = Preset::fast().with(&window).unwrap();
    Request {
        mask: Some(mask()),
        ..request(preset.with(&json!({ "edit": changes })).unwrap())
    }
}

fn whole(request: &Request) -> Request {
    let preset = request.preset.with(&json!({"edit": {"window": null}}));
    Request {
        preset: preset.unwrap(),
        ..request.clone()
    }
}

fn outcome(request: Request) -> Outcome {
    let model = model("sd1");
    run(&model, Edit::new(&model, request).unwrap())
}

fn values(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_dtype(DType::F32).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// A network in which no pixel knows its neighbours.
fn pointwise(inputs: &Inputs) -> Tensor {
    let part = |first: usize| inputs.sample.narrow(1, first, 4).unwrap();
    let rows = inputs.sample.dim(0).unwrap();
    let lanes = Tensor::arange(1f32, rows as f32 + 1.0, inputs.sample.device()).unwrap();
    let lanes = lanes.reshape((rows, 1, 1, 1)).unwrap();
    let mixed = ((part(0) * 0.3).unwrap() + (part(4) * 0.1).unwrap()).unwrap();
    mixed.sin().unwrap().broadcast_mul(&lanes).unwrap()
}

/// A step with the pointwise network; the shape of its sample.
fn step(edit: &mut Edit) -> Vec<usize> {
    let inputs = edit.inputs().unwrap();
    let shape = inputs.sample.dims().to_vec();
    edit.advance(&pointwise(&inputs), inputs.observer).unwrap();
    shape
}

#[test]
fn where_pixels_do_not_meet_a_window_changes_no_bit() {
    for scheduler in [
        SchedulerKind::EulerAncestral,
        SchedulerKind::Ddim,
        SchedulerKind::Pndm,
        SchedulerKind::DpmSolverMultistep,
        SchedulerKind::UniPc,
    ] {
        let model = model("sd1");
        let asked = Request {
            scheduler: Some(scheduler),
            ..asked(json!({}))
        };
        let mut plain = Edit::new(&model, whole(&asked)).unwrap();
        let mut edit = Edit::new(&model, asked).unwrap();
        // The check sees the first noise, cut.
        let (cut, full) = (edit.inputs().unwrap(), plain.inputs().unwrap());
        assert_eq!(cut.timesteps, full.timesteps);
        assert_eq!(
            values(&cut.sample),
            values(&WINDOW.cut(&full.sample).unwrap())
        );
        assert_eq!(step(&mut edit), [3, 8, 8, 8]);
        assert_eq!(edit.progress(), plain.progress(), "the check is no step");
        assert_eq!(step(&mut edit), [3, 8, 12, 16]);
        assert_eq!(step(&mut plain), [3, 8, 12, 16]);
        while !plain.is_done() {
            assert_eq!(edit.progress(), plain.progress());
            // Previews show the picture around the window.
            assert_eq!(
                values(&edit.latents().unwrap()),
                values(&plain.latents().unwrap()),
                "{scheduler}"
            );
            assert_eq!(step(&mut edit), [3, 8, 8, 8]);
            step(&mut plain);
        }
        let (edit, plain) = (edit.finish(&model).unwrap(), plain.finish(&model).unwrap());
        assert_eq!(
            values(&decoded(&edit).latents),
            values(&decoded(&plain).latents),
            "{scheduler}"
        );
        assert_eq!(decoded(&edit).image, decoded(&plain).image);
        let report = WindowReport {
            rect: Some(WINDOW),
            difference: Some(0.0),
            whole: None,
        };
        assert_eq!(edit.report.window, Some(report));
        assert_eq!(edit.report.steps, plain.report.steps);
        let steps = edit.report.steps.edit as f64;
        assert_eq!(plain.report.lanes, 3.0 * steps);
        let lanes = 3.0 * (1.0 + steps * SHARE);
        assert!((edit.report.lanes - lanes).abs() < 1e-9);
    }
}

#[test]
fn biases_in_a_window_are_the_whole_pictures_cut() {
    let model = model("sd1");
    let site = |(height, width): (usize, usize)| Site {
        part: Part::Down,
        block: 0,
        layer: 0,
        depth: 0,
        order: 1,
        kind: Kind::CrossAttention,
        height,
        width,
    };
    for sizes in ["all", "below_full", "above_quarter"] {
        let asked = asked(json!({"regularise": {"sizes": sizes}}));
        let (mut cut, mut full) = (
            Edit::new(&model, asked.clone()).unwrap().inputs().unwrap(),
            Edit::new(&model, whole(&asked)).unwrap().inputs().unwrap(),
        );
        let mut biased = 0;
        for level in 0..2 {
            let (height, width) = (12 >> level, 16 >> level);
            let part = Rect {
                left: WINDOW.left >> level,
                top: WINDOW.top >> level,
                width: WINDOW.width >> level,
                height: WINDOW.height >> level,
            };
            let ours = cut.observer.bias(&site((part.height, part.width))).unwrap();
            let all = full.observer.bias(&site((height, width))).unwrap();
            assert_eq!(ours.is_some(), all.is_some(), "{sizes}, level {level}");
            let (Some(ours), Some(all)) = (ours, all) else {
                continue;
            };
            biased += 1;
            // [lanes, 1, pixels, tokens] as [lanes, tokens, h, w].
            let pixels = |bias: &Tensor, height: usize, width: usize| {
                let bias = bias.squeeze(1).unwrap().transpose(1, 2).unwrap();
                let tokens = bias.dim(1).unwrap();
                bias.reshape((3, tokens, height, width)).unwrap()
            };
            let all = part.cut(&pixels(&all, height, width)).unwrap();
            let ours = pixels(&ours, part.height, part.width);
            assert!(values(&ours).iter().any(|value| *value < 0.0));
            assert_eq!(values(&ours), values(&all), "{sizes}, level {level}");
        }
        assert_eq!(biased, if sizes == "below_full" { 1 } else { 2 });
        assert!(cut.observer.bias(&site((7, 7))).is_err());
    }
}

#[test]
fn a_window_that_predicts_otherwise_runs_whole_to_the_same_bytes() {
    let plain = outcome(whole(&asked(json!({}))));
    assert_eq!(plain.report.window, None);
    let refused = outcome(asked(json!({"window": {"bound": 0.0}})));
    assert_eq!(
        values(&decoded(&refused).latents),
        values(&decoded(&plain).latents)
    );
    assert_eq!(decoded(&refused).image, decoded(&plain).image);
    let report = refused.report.window.unwrap();
    assert_eq!(
        (report.rect, report.whole),
        (Some(WINDOW), Some(RanWhole::Difference))
    );
    let difference = report.difference.unwrap();
    assert!(difference > 0.0 && difference < 1.0, "{difference}");
    assert_eq!(refused.report.lanes, 3.0 * (5.0 + SHARE));

    // The bound decides.
    let below = asked(json!({"window": {"bound": 0.99 * difference}}));
    assert_eq!(
        values(&decoded(&outcome(below)).latents),
        values(&decoded(&plain).latents)
    );
    let passed = outcome(asked(json!({"window": {"bound": difference}})));
    assert_eq!(passed.report.window.unwrap().whole, None);
    assert_ne!(
        values(&decoded(&passed).latents),
        values(&decoded(&plain).latents)
    );
    // What lies outside the region, grown by one, is the input's own in both.
    for (index, (ours, whole)) in values(&decoded(&passed).latents)
        .iter()
        .zip(values(&decoded(&plain).latents))
        .enumerate()
    {
        let (y, x) = (index / 16 % 12, index % 16);
        let inside = (3..9).contains(&x) && (3..8).contains(&y);
        assert!(inside || *ours == whole, "{x}, {y}");
    }
}

#[test]
fn without_a_region_or_blending_or_gain_the_whole_picture_is_computed() {
    let says = |request: Request| outcome(request).report.window.unwrap();
    let ran = |whole| WindowReport {
        rect: None,
        difference: None,
        whole: Some(whole),
    };
    let unblended = asked(json!({"blend": null}));
    assert_eq!(says(unblended), ran(RanWhole::NotBlended));
    let late = json!({"blend": {"steps": {"first": 50, "last": 100, "of": 100}}});
    assert_eq!(says(asked(late)), ran(RanWhole::NotBlended));
    let small = asked(json!({"window": {"area": 0.3}}));
    assert_eq!(says(small), ran(RanWhole::Area));
    let published = asked(json!({"window": {"least": null, "area": 1.0}}));
    assert_eq!(says(published), ran(RanWhole::Area));
    let nothing = Request {
        mask: Some(GrayImage::new(32, 24)),
        ..asked(json!({}))
    };
    assert_eq!(says(nothing), ran(RanWhole::NoRegion));
    let unread = Request {
        mask: None,
        instruction: "do it with the".into(),
        ..asked(json!({}))
    };
    assert_eq!(says(unread), ran(RanWhole::NoRegion));
}

#[test]
fn the_window_is_larger_where_something_goes_and_where_a_matte_may_reach() {
    let model = model("sd1");
    let shape = |instruction: &str, changes: Value| {
        let changes = json!({"edit": changes});
        let asked = Request {
            instruction: instruction.into(),
            ..asked(json!({"window": {"area": 0.9, "removing": 3.0}}))
        };
        let preset = asked.preset.with(&changes).unwrap();
        let edit = Edit::new(&model, Request { preset, ..asked }).unwrap();
        edit.inputs().unwrap().sample.dims().to_vec()
    };
    assert_eq!(shape("make the sofa red", json!({})), [3, 8, 8, 8]);
    assert_eq!(shape("remove the sofa", json!({})), [3, 8, 12, 12]);
    let once = json!({"window": {"removing": 1.0}});
    assert_eq!(shape("remove the sofa", once), [3, 8, 8, 8]);
    let matte = json!({"blend": {"matte": 2}});
    assert_eq!(shape("make the sofa red", matte), [3, 8, 12, 12]);
}

#[test]
fn a_matte_leaves_more_to_the_edit() {
    let edited = |matte: usize| {
        values(&decoded(&outcome(asked(json!({"blend": {"matte": matte}})))).latents)
    };
    let (none, two) = (edited(0), edited(2));
    let untouched = values(&decoded(&outcome(asked(json!({"blend": {"grow": 0}})))).latents);
    // The input's own latents are where all three agree.
    for (index, ((none, two), own)) in none.iter().zip(&two).zip(&untouched).enumerate() {
        let (y, x) = (index / 16 % 12, index % 16);
        let within = |by: usize| (4 - by..8 + by).contains(&x) && (4 - by..7 + by).contains(&y);
        if !within(1) {
            assert_eq!(none, own, "{x}, {y}");
        }
        assert_eq!(two == own, !within(3), "{x}, {y}");
    }
}

#[test]
fn windows_of_different_pictures_share_a_shape() {
    let model = model("sd1");
    let shape = |left: u32, top: u32| {
        let inside =
            move |x: u32, y: u32| (left..left + 6).contains(&x) && (top..top + 4).contains(&y);
        let asked = Request {
            mask: Some(GrayImage::from_fn(32, 24, |x, y| {
                Luma([if inside(x, y) { 255 } else { 0 }])
            })),
            ..asked(json!({}))
        };
        let inputs = Edit::new(&model, asked).unwrap().inputs().unwrap();
        inputs.sample.dims().to_vec()
    };
    assert_eq!(shape(8, 8), [3, 8, 6, 8]);
    assert_eq!(shape(8, 8), shape(20, 12));
}

#[test]
fn published_presets_are_written_as_before_and_windows_are_checked() {
    for name in ["paper", "official", "base"] {
        let text = serde_json::to_string(&Preset::named(name).unwrap()).unwrap();
        assert!(
            !text.contains("window") && !text.contains("matte"),
            "{text}"
        );
    }
    let changed = |window: Value| Preset::official().with(&json!({"edit": {"window": window}}));
    let preset = changed(json!({})).unwrap();
    assert_eq!(
        preset.edit.as_ref().unwrap().window,
        Some(Default::default())
    );
    let text = serde_json::to_string(&preset).unwrap();
    assert_eq!(serde_json::from_str::<Preset>(&text).unwrap(), preset);
    for (window, says) in [
        (json!({"area": 1.5}), "edit.window.area is 1.5"),
        (json!({"least": 0}), "edit.window.least is 0"),
        (json!({"removing": 0.5}), "edit.window.removing is 0.5"),
        (json!({"sides": [12]}), "sides"),
    ] {
        let error = changed(window).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
