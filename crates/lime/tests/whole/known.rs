//! What an edit is given of what earlier edits computed changes how much it computes, and no byte of what it ends with.

use image::{Rgb, RgbImage};
use limekiln_diffusion::model::Model;
use limekiln_lime::known::{Key, Keys, Kind};
use limekiln_lime::{Edit, Known, Outcome, Preset, Request};
use serde_json::json;

use crate::common::{model, picture, request, run};

/// Few steps of each, and little clustering.
fn short(preset: Preset) -> Preset {
    let mut preset = preset;
    if preset.edit.is_some() {
        preset = preset.with(&json!({"edit": {"steps": 3}})).unwrap();
    }
    if preset.locate.is_some() {
        let small = json!({"locate": {"steps": 4, "grid": 32, "segments": {"rounds": 20, "clusters": 4}, "select": {"points": 10}}});
        preset = preset.with(&small).unwrap();
    }
    preset
}

/// What an edit that made this leaves for others, through its kept form.
fn kept(outcome: &Outcome, kinds: &[Kind]) -> Known {
    let mut known = Known::default();
    for (kind, bytes) in outcome.made.to_bytes().unwrap() {
        if kinds.contains(&kind) {
            known.read(kind, &bytes).unwrap();
        }
    }
    known
}

fn assert_same(a: &Outcome, b: &Outcome, at: &str) {
    let bits = |outcome: &Outcome| {
        let decoded = outcome.decoded.as_ref();
        decoded.map(|decoded| {
            crate::common::floats(&decoded.latents)
                .into_iter()
                .map(f32::to_bits)
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(bits(a), bits(b), "{at}: latents");
    match (&a.decoded, &b.decoded) {
        (Some(a), Some(b)) => {
            assert!(a.image == b.image && a.deep == b.deep, "{at}: picture");
            assert!(a.before == b.before, "{at}: the input decoded");
        }
        (None, None) => {}
        (a, b) => assert_eq!(a.is_some(), b.is_some(), "{at}: decoded"),
    }
    assert_eq!(a.roi, b.roi, "{at}: region");
    assert_eq!(a.segments, b.segments, "{at}: segments");
    assert_eq!(a.attention, b.attention, "{at}: map");
    assert_eq!(a.report.inertia, b.report.inertia, "{at}");
    assert_eq!(a.report.window, b.report.window, "{at}");
    assert_eq!(a.report.tokens_read, b.report.tokens_read, "{at}");
}

fn with(model: &Model, request: &Request, known: Known) -> Outcome {
    run(model, Edit::with(model, request.clone(), known).unwrap())
}

#[test]
fn every_preset_ends_with_the_same_bytes_whatever_is_known() {
    let model = model("sd1");
    let guided: Preset = serde_json::from_str(include_str!("../presets/fast-guided.json")).unwrap();
    let presets = Preset::NAMES.map(|name| Preset::named(name).unwrap());
    for preset in presets.into_iter().chain([guided]) {
        let name = preset.name.clone();
        let asked = Request {
            beside: preset.edit.is_some(),
            ..request(short(preset))
        };
        let whole = run(&model, Edit::new(&model, asked.clone()).unwrap());
        assert!(whole.report.reused.is_empty());
        let made: Vec<Kind> = whole
            .made
            .to_bytes()
            .unwrap()
            .iter()
            .map(|(kind, _)| *kind)
            .collect();
        let locates = asked.preset.locate.is_some();
        let own = locates && asked.preset.locate.as_ref().unwrap().seed.is_some();
        assert!(made.contains(&Kind::Latents));
        assert_eq!(made.contains(&Kind::Segments), own, "{name}");
        assert_eq!(made.contains(&Kind::Region), locates, "{name}");
        assert_eq!(
            made.contains(&Kind::Decoded),
            asked.beside && locates,
            "{name}"
        );
        for kinds in [
            &Kind::KEPT[..],
            &[Kind::Latents],
            &[Kind::Segments],
            &[Kind::Region],
            &[Kind::Decoded],
            &[Kind::Latents, Kind::Segments, Kind::Decoded],
        ] {
            let at = format!("{name} knowing {kinds:?}");
            let known = with(&model, &asked, kept(&whole, kinds));
            assert_same(&whole, &known, &at);
            let reused = &known.report.reused;
            for kind in Kind::KEPT {
                let given = kinds.contains(&kind) && made.contains(&kind);
                // A region brings the segments that it was put together from.
                let brought = kind == Kind::Segments && reused.contains(&Kind::Region);
                assert_eq!(reused.contains(&kind), given || brought, "{at}: {reused:?}");
            }
            let located = reused.contains(&Kind::Region);
            let fewer = located || (reused.contains(&Kind::Segments));
            assert_eq!(known.report.lanes < whole.report.lanes, fewer, "{at}");
            assert_eq!(known.report.steps.locate == 0, located || !locates, "{at}");
            // What it did not have to make, it does not hand on.
            for (kind, _) in known.made.to_bytes().unwrap() {
                assert!(!reused.contains(&kind), "{at}: {kind:?}");
            }
        }
    }
}

#[test]
fn segments_are_those_of_another_instruction() {
    let model = model("sd1");
    let asked = request(short(Preset::fast()));
    let other = Request {
        instruction: "turn the lamp green".into(),
        seed: 7,
        ..asked.clone()
    };
    let first = run(&model, Edit::new(&model, asked.clone()).unwrap());
    let whole = run(&model, Edit::new(&model, other.clone()).unwrap());
    let keys = |request: &Request| Keys::of(request, "sd1 cpu f32", None).unwrap();
    let same = |kind| -> bool {
        let key = |request: &Request| -> Option<Key> { keys(request).get(kind) };
        key(&asked) == key(&other)
    };
    assert!(same(Kind::Latents) && same(Kind::Segments) && !same(Kind::Region));
    let known = kept(&first, &[Kind::Latents, Kind::Segments]);
    let reused = with(&model, &other, known);
    assert_same(&whole, &reused, "another instruction");
    assert_eq!(reused.report.reused, [Kind::Latents, Kind::Segments]);
}

#[test]
fn an_edit_that_knows_something_resumes_after_every_step() {
    let model = model("sd1");
    let asked = Request {
        beside: true,
        ..request(short(Preset::fast()))
    };
    let whole = run(&model, Edit::new(&model, asked.clone()).unwrap());
    for kinds in [&[Kind::Latents, Kind::Segments][..], &Kind::KEPT] {
        let known = kept(&whole, kinds).of_edit("another".into());
        let mut edit = Edit::with(&model, asked.clone(), known.clone()).unwrap();
        while !edit.is_done() {
            let saved = edit.save(&model).unwrap();
            let resumed = Edit::resume(&model, asked.clone(), &saved)
                .unwrap()
                .unwrap();
            edit = resumed.knowing(known.clone());
            edit.step(&model).unwrap();
        }
        let ended = edit.finish(&model).unwrap();
        assert_same(&whole, &ended, "resumed");
        // Only what is recolored has a matte to take over.
        let mut used = kinds.iter().filter(|kind| **kind != Kind::Matte);
        assert!(used.all(|kind| ended.report.reused.contains(kind)));
        let from = kinds.contains(&Kind::Region).then_some("another");
        assert_eq!(ended.report.region_from.as_deref(), from);
    }
}

#[test]
fn what_does_not_fit_is_computed_and_what_is_damaged_is_refused() {
    let model = model("sd1");
    let asked = request(short(Preset::fast()));
    let whole = run(&model, Edit::new(&model, asked.clone()).unwrap());
    let finer = json!({"locate": {"grid": 24, "segments": {"clusters": 3}}});
    let others = [
        Request {
            image: picture(40, 32),
            ..asked.clone()
        },
        Request {
            preset: asked.preset.with(&finer).unwrap(),
            image: RgbImage::from_pixel(24, 24, Rgb([9; 3])),
            ..asked.clone()
        },
    ];
    for other in others {
        let alone = run(&model, Edit::new(&model, other.clone()).unwrap());
        let given = kept(&whole, &Kind::KEPT);
        let misled = with(&model, &other, given.clone());
        if other.preset == asked.preset {
            // Its keys would never name a region of another picture; one that was named all the same has the grid's size.
            assert!(misled.report.reused.contains(&Kind::Region));
            assert!(!misled.report.reused.contains(&Kind::Latents));
        } else {
            assert_same(&alone, &misled, "nothing fits");
            assert!(misled.report.reused.is_empty());
        }
    }
    for (kind, bytes) in whole.made.to_bytes().unwrap() {
        let mut known = Known::default();
        for length in (0..bytes.len()).step_by(97) {
            assert!(
                known.read(kind, &bytes[..length]).is_err(),
                "{kind:?} cut to {length}"
            );
        }
        for other in Kind::KEPT.into_iter().chain([Kind::Map]) {
            assert_eq!(known.read(other, &bytes).is_ok(), kind == other);
        }
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize + 8;
        for at in 0..header {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x15;
            let mut known = Known::default();
            if known.read(kind, &damaged).is_ok() && at % 8 == 0 {
                let _ = Edit::with(&model, asked.clone(), known).map(|edit| edit.progress());
            }
        }
    }
}
