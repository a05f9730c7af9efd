//! Edits that recolor: what the state machine leaves out, which way it goes, and what becomes of the full-size picture.

use std::sync::Arc;

use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage};
use limekiln_finish::{Choice, Color, Error as FinishError};
use limekiln_lime::canvas::{
    Canvas, Carry, Error, Finish, Finished, Finishing, Recipe, RecolorReport, paint,
};
use limekiln_lime::found::UserMask;
use limekiln_lime::known::Kind;
use limekiln_lime::report::Why;
use limekiln_lime::{Edit, Known, Outcome, Preset, Stage, run};
use limekiln_pictures::{Colors, Limits, Original};
use serde_json::json;

use crate::common::{model, reference};

const SIZE: (u32, u32) = (192, 144);
const TEAL: &str = "#1F6F8B";

/// Whether a pixel is of the red disc.
fn inside(x: u32, y: u32) -> bool {
    let (x, y) = (f64::from(x) - 90.0, f64::from(y) - 70.0);
    x * x + y * y < 40.0 * 40.0
}

/// A red disc with grain before a gray wall.
fn disc() -> RgbImage {
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let grain = ((x * 7 + y * 13) % 9) as u8;
        Rgb(match inside(x, y) {
            true => [170 + grain, 44 + grain, 40 + grain],
            false => [150 + grain, 152 + grain, 148 + grain],
        })
    })
}

/// The disc, or a box around it.
fn masked(mut canvas: Canvas, rough: bool) -> Canvas {
    let around = |x, y| (44..140).contains(&x) && (24..118).contains(&y);
    let mask = GrayImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let within = if rough { around(x, y) } else { inside(x, y) };
        Luma([if within { 255 } else { 0 }])
    });
    canvas.mask = Some(UserMask {
        pixels: mask.into(),
        rough,
    });
    canvas
}

fn preset(base: Preset) -> Preset {
    let small = json!({"locate": {"grid": 32, "segments": {"rounds": 20, "clusters": 4}, "select": {"points": 10}}});
    let preset = base.with(&small).unwrap();
    match preset.edit {
        Some(_) => preset.with(&json!({"edit": {"steps": 3}})).unwrap(),
        None => preset,
    }
}

/// A recipe, and how its outcome is finished.
fn asked(preset: Preset, instruction: &str, color: Option<&str>) -> (Recipe, Finishing) {
    let paint = paint(&preset, instruction, color, None).unwrap();
    let finishing = Finishing {
        finish: Finish::Paste,
        by_default: true,
        carry: Carry::Auto,
        paint: paint.clone(),
    };
    let recipe = Recipe::new(instruction, 7, preset).unwrap().painted(paint);
    (recipe, finishing)
}

fn finish(canvas: Canvas, outcome: Outcome, finishing: Finishing) -> Result<Finished, Error> {
    canvas.finish(outcome, finishing, Vec::new(), &|| Ok(()))
}

#[test]
fn what_only_recolors_locates_and_denoises_nothing() {
    let model = model("sd1");
    let canvas = Canvas::from(disc());
    let (recipe, _) = asked(preset(Preset::recolor()), "make the disc teal", None);
    assert!(canvas.without_model(&recipe).is_none());
    let request = canvas.request(&recipe, 32, model.factor() as u32).unwrap();
    let mut edit = Edit::new(&model, request).unwrap();
    assert_eq!(
        (edit.progress().stage, edit.progress().total),
        (Stage::Locate, 1)
    );
    let saved = edit.save(&model).unwrap();
    edit.step(&model).unwrap();
    assert!(edit.is_done() && edit.progress().done == edit.progress().total);
    let outcome = edit.finish(&model).unwrap();
    assert!(outcome.decoded.is_none() && outcome.region.is_some());
    let report = &outcome.report;
    assert_eq!((report.steps.locate, report.steps.edit), (1, 0));
    assert!(report.lanes <= 3.0 && report.change.is_none() && report.way.is_none());
    // Resumed, it finds the same.
    let request = canvas.request(&recipe, 32, model.factor() as u32).unwrap();
    let mut resumed = Edit::resume(&model, request, &saved).unwrap().unwrap();
    resumed.step(&model).unwrap();
    assert_eq!(resumed.finish(&model).unwrap().region, outcome.region);
}

/// What was kept of what an edit made, read again.
fn known(made: &Known) -> Known {
    let mut known = Known::default();
    for (kind, bytes) in made.to_bytes().unwrap() {
        known.read(kind, &bytes).unwrap();
    }
    known
}

#[test]
fn a_further_color_takes_over_where_the_object_ends() {
    let model = model("sd1");
    let deep = |canvas: &Canvas| {
        let mut original = Arc::unwrap_or_clone(canvas.original.clone());
        original.colors = Colors::Sixteen(DynamicImage::from(disc()).into_rgb16());
        Canvas {
            original: original.into(),
            ..canvas.clone()
        }
    };
    // On the model where that locates, without it where a mask says where.
    let outcome = |canvas: &Canvas, recipe: &Recipe, known: Known| -> Outcome {
        if let Some(outcome) = canvas.without_model(recipe) {
            return outcome.knowing(known);
        }
        let request = canvas.request(recipe, 32, model.factor() as u32).unwrap();
        let mut edit = Edit::with(&model, request, known).unwrap();
        while !edit.is_done() {
            edit.step(&model).unwrap();
        }
        edit.finish(&model).unwrap()
    };
    let plain = Canvas::from(disc());
    let unsure = json!({"recolor": {"sure": 0.0}});
    let cases = [
        ("located", Preset::recolor(), plain.clone()),
        ("of 16 bits", Preset::recolor(), deep(&plain)),
        ("in a mask", Preset::recolor(), masked(plain.clone(), false)),
        ("around", Preset::recolor(), masked(plain.clone(), true)),
        (
            "sure",
            Preset::auto().with(&unsure).unwrap(),
            masked(plain.clone(), true),
        ),
        (
            "looked for",
            Preset::auto().with(&unsure).unwrap(),
            plain.clone(),
        ),
    ];
    for (at, base, canvas) in cases {
        let ask = |color| asked(preset(base.clone()), "recolor the disc", Some(color));
        let made = |canvas: &Canvas, color, given: Known| {
            let (recipe, finishing) = ask(color);
            let outcome = outcome(canvas, &recipe, given);
            finish(canvas.clone(), outcome, finishing).unwrap()
        };
        let first = made(&canvas, "#C02020", Known::default());
        assert!(!first.report.edit.reused.contains(&Kind::Matte), "{at}");
        let whole = made(&canvas, TEAL, Known::default());
        let further = made(&canvas, TEAL, known(&first.made));
        assert!(further.report.edit.reused.contains(&Kind::Matte), "{at}");
        assert!(further.made.object_key().is_none(), "{at}");
        assert!(
            further.result == whole.result && further.matte == whole.matte,
            "{at}"
        );
        let (ours, theirs) = (
            further.report.recolor.unwrap(),
            whole.report.recolor.unwrap(),
        );
        assert_eq!((ours.find_ms, ours.matte_ms), (0.0, 0.0), "{at}");
        let said = |report: &RecolorReport| json!([report.materials, report.sure, report.evidence]);
        assert_eq!(said(&ours), said(&theirs), "{at}");
        // It has the name that is asked for by.
        let (_, finishing) = ask(TEAL);
        let unplaced = canvas.unplaced(finishing.paint.as_ref().unwrap());
        assert_eq!(
            known(&first.made).key_of(&unplaced),
            first.made.object_key(),
            "{at}"
        );

        // A pixel of the picture, its space, the mask or the materials: another object, found anew.
        let mut others = vec![canvas.clone(), canvas.clone()];
        let mut dotted = Arc::unwrap_or_clone(canvas.original.clone());
        match &mut dotted.colors {
            Colors::Eight(pixels) => pixels.put_pixel(1, 1, Rgb([9, 9, 9])),
            Colors::Sixteen(pixels) => pixels.put_pixel(1, 1, Rgb([9, 9, 9])),
        }
        others[0].original = dotted.into();
        match &mut others[1].mask {
            Some(mask) => {
                let mut pixels = Arc::unwrap_or_clone(mask.pixels.clone());
                pixels.put_pixel(90, 70, Luma([0]));
                mask.pixels = pixels.into();
            }
            None => others[1] = masked(others[1].clone(), true),
        }
        for other in others {
            let misled = made(&other, TEAL, known(&first.made));
            assert!(!misled.report.edit.reused.contains(&Kind::Matte), "{at}");
            let alone = made(&other, TEAL, Known::default());
            assert!(misled.result == alone.result, "{at}");
        }
        let mut all = finishing.paint.clone().unwrap();
        all.materials = Choice::All;
        assert_ne!(
            known(&first.made).key_of(&canvas.unplaced(&all)),
            first.made.object_key()
        );

        // Damaged, it is no object.
        if at != "around" {
            continue;
        }
        let (kind, bytes) = first.made.to_bytes().unwrap().pop().unwrap();
        assert_eq!(kind, Kind::Matte);
        let mut given = Known::default();
        for length in (0..bytes.len()).step_by(97) {
            assert!(
                given.read(kind, &bytes[..length]).is_err(),
                "{at} cut to {length}"
            );
        }
        for other in Kind::KEPT.into_iter().chain([Kind::Map]) {
            assert_eq!(given.read(other, &bytes).is_ok(), kind == other, "{at}");
        }
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize + 8;
        for place in (0..bytes.len()).filter(|place| *place < header || place % 13 == 0) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x15;
            let mut given = Known::default();
            if given.read(kind, &damaged).is_ok() && place % 8 == 0 {
                made(&canvas, TEAL, given);
            }
        }
    }
}

#[test]
fn with_a_mask_no_model_is_asked_and_the_outside_is_the_inputs_own() {
    let truth = Color::from_srgb8([0x1F, 0x6F, 0x8B]);
    for rough in [false, true] {
        let canvas = masked(disc().into(), rough);
        let (recipe, finishing) = asked(Preset::recolor(), "recolor it", Some(TEAL));
        let outcome = canvas.without_model(&recipe).unwrap();
        let finished = finish(canvas, outcome, finishing).unwrap();
        let (report, matte) = (&finished.report, finished.matte.unwrap());
        let recolor = report.recolor.as_ref().unwrap();
        assert_eq!(
            (report.finish, recolor.to.as_str()),
            (Finish::Recolor, TEAL)
        );
        assert_eq!(report.composite.as_ref().unwrap().changed_outside_px, 0);
        assert_eq!(recolor.materials.is_empty(), !rough);
        assert!(recolor.delta_e_median < 1.0, "{recolor:?}");
        let json = serde_json::to_value(report).unwrap();
        assert_eq!(
            (json.get("model"), &json["steps"]["edit"]),
            (None, &json!(0))
        );
        let result = finished.result.on_white();
        let mut wrong = 0;
        for (x, y, pixel) in result.enumerate_pixels() {
            wrong += u32::from(inside(x, y) != (matte.get_pixel(x, y).0[0] >= 128));
            if inside(x, y) && matte.get_pixel(x, y).0[0] == 255 {
                let apart = Color::from_srgb8(pixel.0).difference(truth);
                assert!(apart < 8.0, "{apart} at {x}, {y}");
            }
        }
        assert!(
            wrong < 120,
            "{wrong} pixels of the matte are wrong, rough: {rough}"
        );
    }
}

#[test]
fn a_preset_that_edits_too_goes_the_way_that_is_sure() {
    let model = model("sd1");
    let factor = model.factor() as u32;
    let ways = |sure: f64, instruction: &str| {
        let canvas = masked(disc().into(), true);
        let auto = preset(Preset::auto()).with(&json!({"recolor": {"sure": sure}}));
        let (recipe, finishing) = asked(auto.unwrap(), instruction, None);
        let request = canvas.request(&recipe, 32, factor).unwrap();
        let outcome = run(&model, request, |_| {}).unwrap();
        let way = outcome.report.way.unwrap();
        let finished = finish(canvas, outcome, finishing).unwrap();
        assert_eq!(finished.report.recolor.is_some(), way.recolored);
        (way, finished.report.finish)
    };
    let (way, finish) = ways(0.5, "make the disc teal");
    assert_eq!((way.why, finish), (Why::Sure, Finish::Recolor));
    let (way, finish) = ways(1.0, "make the disc teal");
    assert_eq!((way.why, finish), (Why::NotSure, Finish::Paste));
    assert!(way.sure.unwrap() < 1.0 && way.least == 1.0);
    let (way, _) = ways(0.0, "make the disc nicer");
    assert_eq!((way.why, way.sure), (Why::NotAsked, None));

    // A mask that is taken as it is leaves no doubt, and needs no model.
    let canvas = masked(disc().into(), false);
    let (recipe, _) = asked(Preset::auto(), "make the disc teal", None);
    let way = canvas.without_model(&recipe).unwrap().report.way.unwrap();
    assert!(way.recolored);
    let (recipe, _) = asked(Preset::auto(), "make the disc nicer", None);
    assert!(canvas.without_model(&recipe).is_none());
}

#[test]
fn the_way_that_was_taken_is_saved_and_what_was_found_is_found_again() {
    let model = model("sd1");
    let canvas = masked(disc().into(), true);
    let finds = |sure: f64| {
        let auto = preset(Preset::auto()).with(&json!({"recolor": {"sure": sure}}));
        let (recipe, _) = asked(auto.unwrap(), "make the disc teal", None);
        let request = canvas.request(&recipe, 32, model.factor() as u32).unwrap();
        let mut edit = Edit::new(&model, request.clone()).unwrap();
        assert_eq!(edit.progress().stage, Stage::Find);
        let before = edit.save(&model).unwrap();
        edit.step(&model).unwrap();
        let after = edit.save(&model).unwrap();
        let resumed = |saved: &[u8]| {
            let edit = Edit::resume(&model, request.clone(), saved);
            let mut edit = edit.unwrap().unwrap();
            while !edit.is_done() {
                edit.step(&model).unwrap();
            }
            edit.finish(&model).unwrap()
        };
        [resumed(&before), resumed(&after)]
    };
    for outcome in finds(0.5) {
        assert!(outcome.found.is_some() && outcome.decoded.is_none());
    }
    let [before, after] = finds(1.0);
    assert_eq!(before.report.way, after.report.way);
    assert_eq!(before.report.way.unwrap().why, Why::NotSure);
    assert_eq!(before.decoded.unwrap().image, after.decoded.unwrap().image);
}

#[test]
fn nothing_found_is_no_success_and_whoever_stops_it_ends_it() {
    let plain = RgbImage::from_pixel(SIZE.0, SIZE.1, Rgb([120; 3]));
    let (recipe, finishing) = asked(Preset::recolor(), "recolor it", Some(TEAL));
    let mut canvas = Canvas::from(plain);
    canvas.mask = Some(UserMask {
        pixels: GrayImage::new(SIZE.0, SIZE.1).into(),
        rough: true,
    });
    let outcome = canvas.without_model(&recipe).unwrap();
    let error = finish(canvas, outcome, finishing.clone()).unwrap_err();
    assert_eq!(error.code(), "object_not_found", "{error}");

    let canvas = masked(disc().into(), true);
    let outcome = canvas.without_model(&recipe).unwrap();
    let stopped = canvas.finish(outcome, finishing, Vec::new(), &|| {
        Err(FinishError::Stopped)
    });
    assert_eq!(stopped.unwrap_err().code(), "stopped");

    // A region of everything singles nothing out: whatever is recolored is not sure.
    let (recipe, finishing) = asked(Preset::recolor(), "recolor it", Some(TEAL));
    let mut canvas = Canvas::from(disc());
    canvas.mask = Some(UserMask {
        pixels: GrayImage::from_pixel(SIZE.0, SIZE.1, Luma([255])).into(),
        rough: true,
    });
    let outcome = canvas.without_model(&recipe).unwrap();
    let finished = finish(canvas, outcome, finishing.clone()).unwrap();
    assert_eq!(finished.report.recolor.unwrap().sure, 0.0);
    let warnings = &finished.report.edit.warnings;
    assert!(
        warnings.iter().any(|warning| warning.contains("not sure")),
        "{warnings:?}"
    );

    // Neither mask nor locating: nothing says where.
    let nowhere = Preset::recolor().with(&json!({"locate": null})).unwrap();
    let (recipe, _) = asked(nowhere, "recolor it", Some(TEAL));
    let error = Canvas::from(disc()).request(&recipe, 32, 8).unwrap_err();
    assert_eq!(error.field(), Some("mask"));
}

#[test]
fn the_color_is_right_in_the_pictures_own_space_and_depth() {
    let truth = Color::from_srgb8([0x1F, 0x6F, 0x8B]);
    for name in ["p3.png", "adobe.png"] {
        let file = std::fs::read(reference("files").join(name)).unwrap();
        let (like, _) = Original::read(&file, &Limits::FILE).unwrap();
        assert!(!like.space.is_srgb(), "{name}");
        let deep: Vec<u16> = disc().iter().map(|value| u16::from(*value) * 257).collect();
        let deep = image::ImageBuffer::from_raw(SIZE.0, SIZE.1, deep).unwrap();
        let mut canvas = Canvas::from(disc());
        canvas.original = Arc::new(Original {
            colors: Colors::Sixteen(deep),
            space: like.space,
            ..Original::from(disc())
        });
        let canvas = masked(canvas, false);
        let (recipe, finishing) = asked(Preset::recolor(), "recolor it", Some(TEAL));
        let outcome = canvas.without_model(&recipe).unwrap();
        let finished = finish(canvas, outcome, finishing).unwrap();
        assert!(matches!(finished.result.colors, Colors::Sixteen(_)));
        // What a viewer of the file shows.
        let shown = finished.result.on_white();
        let mut sum = [0.0_f32; 3];
        let mut count = 0.0;
        for (x, y, pixel) in shown.enumerate_pixels() {
            if (70..110).contains(&x) && (50..90).contains(&y) {
                let light = Color::from_srgb8(pixel.0).linear();
                (0..3).for_each(|c| sum[c] += light[c]);
                count += 1.0;
            }
        }
        let mean = Color::from_linear(sum.map(|value| value / count));
        let apart = mean.difference(truth);
        assert!(apart < 0.6, "{name}: {apart}, {}", mean.hex());
    }
}
