//! Stopped after any step and resumed, an edit ends in the same bytes.

use crate::common::{decoded, model, request};
use image::{GrayImage, Luma};
use limekiln_diffusion::{model::Model, scheduler::SchedulerKind};
use limekiln_lime::{Edit, Error, Outcome, Preset, Request};
use safetensors::SafeTensors;
use serde_json::{Value, json};

/// Few steps of each, and little clustering: the machine is what is tested.
fn short(preset: Preset, locate: usize, edit: usize) -> Preset {
    let mut preset = preset.with(&json!({"edit": {"steps": edit}})).unwrap();
    if preset.locate.is_some() {
        let small = json!({"locate": {"steps": locate, "grid": 32, "segments": {"rounds": 20, "clusters": 4}, "select": {"points": 10}}});
        preset = preset.with(&small).unwrap();
    }
    preset
}

/// `fast` as it was: a guided run locates, and the whole picture is edited.
fn guided() -> Preset {
    serde_json::from_str(include_str!("../presets/fast-guided.json")).unwrap()
}

/// It locates at the picture's own latents, in one call of several draws.
fn one_call(preset: Preset) -> Preset {
    let levels = json!({"features": [500, 600], "map": [600]});
    let changes = json!({"locate": {"from": "input", "seed": 0, "levels": levels}});
    preset.with(&changes).unwrap()
}

/// Its region is the one cell of a coarse grid where the map is highest, so that a window around it is small.
fn one_cell(preset: Preset) -> Preset {
    let select = json!({"rule": "level", "level": 1.0, "points": 1, "join": 0.0});
    let changes = json!({"locate": {"grid": 8, "select": select}});
    preset.with(&changes).unwrap()
}

fn bits(outcome: &Outcome) -> Vec<u32> {
    let latents = &decoded(outcome).latents;
    let latents: Vec<f32> = latents.flatten_all().unwrap().to_vec1().unwrap();
    latents.into_iter().map(f32::to_bits).collect()
}

fn assert_same(a: &Outcome, b: &Outcome, at: &str) {
    assert_eq!(bits(a), bits(b), "{at}: latents");
    assert_eq!(decoded(a).image, decoded(b).image, "{at}: picture");
    assert_eq!(a.roi, b.roi, "{at}: region");
    assert_eq!(a.segments, b.segments, "{at}: segments");
    assert_eq!(a.attention, b.attention, "{at}: map");
    assert_eq!(a.report.inertia, b.report.inertia, "{at}");
    assert_eq!(a.report.steps, b.report.steps, "{at}");
    assert_eq!(a.report.window, b.report.window, "{at}");
    assert_eq!(a.report.lanes, b.report.lanes, "{at}");
}

/// A saved edit without what may differ: timings, and outputs that a solver keeps and will not read again.
fn essence(saved: &[u8]) -> (Value, Vec<(String, Vec<u8>)>) {
    let (_, metadata) = SafeTensors::read_metadata(saved).unwrap();
    let mut head: Value =
        serde_json::from_str(&metadata.metadata().as_ref().unwrap()["limekiln_edit"]).unwrap();
    head.as_object_mut().unwrap().remove("timings").unwrap();
    let tensors = SafeTensors::deserialize(saved).unwrap();
    let mut tensors: Vec<(String, Vec<u8>)> = tensors
        .iter()
        .map(|(name, view)| (name.to_owned(), view.data().to_vec()))
        .collect();
    tensors.retain(|(name, _)| !name.starts_with("history."));
    tensors.sort();
    (head, tensors)
}

#[test]
fn every_preset_and_solver_resumes_after_every_step_to_the_same_bytes() {
    let cases = [
        ("sd1", short(Preset::paper(), 9, 6), None),
        (
            "sd1",
            short(Preset::official(), 9, 6),
            Some(SchedulerKind::Ddim),
        ),
        ("sd1", short(guided(), 6, 6), None),
        ("sd2", short(guided(), 6, 7), Some(SchedulerKind::UniPc)),
        (
            "sd2",
            short(Preset::paper(), 7, 7),
            Some(SchedulerKind::Pndm),
        ),
        ("sd2", short(Preset::base(), 0, 6), None),
        ("sd1", one_call(short(Preset::fast(), 6, 6)), None),
        (
            "sd2",
            one_call(short(Preset::paper(), 6, 6)),
            Some(SchedulerKind::Pndm),
        ),
    ];
    for (name, preset, scheduler) in cases {
        let request = Request {
            scheduler,
            ..request(preset)
        };
        resumes(name, request, 0);
    }
}

#[test]
fn an_edit_in_a_window_resumes_after_every_call_to_the_same_bytes() {
    let mask = GrayImage::from_fn(32, 24, |x, y| {
        Luma([if (8..16).contains(&x) && (8..14).contains(&y) {
            255
        } else {
            0
        }])
    });
    for (bound, scheduler) in [
        (1e6, None),
        (1e6, Some(SchedulerKind::EulerAncestral)),
        (1e6, Some(SchedulerKind::UniPc)),
        (0.0, None),
    ] {
        let window = json!({"edit": {"window": {"least": 6, "margin": 1, "margin_share": 0.0, "bound": bound}}});
        let preset = short(Preset::fast(), 6, 5).with(&window).unwrap();
        let masked = Request {
            mask: Some(mask.clone()),
            scheduler,
            ..request(preset.clone())
        };
        let outcome = resumes("sd1", masked, 1);
        let report = outcome.report.window.unwrap();
        assert!(report.difference.is_some());
        assert_eq!(report.whole.is_none(), bound > 0.0);
        // Chosen where stage 1 ends, too.
        let located = Request {
            scheduler,
            ..request(one_cell(one_call(preset)))
        };
        let outcome = resumes("sd1", located, 1);
        assert_eq!(outcome.report.window.unwrap().whole.is_none(), bound > 0.0);
    }
}

/// Resumes an edit before each of its steps, and makes it without a stop: both are the same. `checks`: how many calls are no steps.
fn resumes(name: &str, request: Request, checks: usize) -> Outcome {
    let model = model(name);
    let mut whole = Edit::new(&model, request.clone()).unwrap();
    let mut halting = Edit::new(&model, request.clone()).unwrap();
    let total = whole.progress().total;
    for calls in 0..=total + checks {
        let at = format!("{} on {name} after {calls}", request.preset.name);
        let progress = whole.progress();
        assert_eq!(progress.total, total);
        assert!((calls.saturating_sub(checks)..=calls).contains(&progress.done));
        let done = calls == total + checks;
        assert_eq!((whole.is_done(), progress.done == total), (done, done));
        // This one has been saved and resumed before each of its steps.
        let saved = halting.save(&model).unwrap();
        assert!(
            essence(&saved) == essence(&whole.save(&model).unwrap()),
            "{at}"
        );
        halting = Edit::resume(&model, request.clone(), &saved)
            .unwrap()
            .unwrap();
        assert!(
            essence(&halting.save(&model).unwrap()) == essence(&saved),
            "{at}: a resumed edit saves the same"
        );
        assert_eq!(halting.progress(), progress);
        if !done {
            whole.step(&model).unwrap();
            halting.step(&model).unwrap();
        }
    }
    assert!(whole.step(&model).is_err(), "no step is left");
    let (whole, halting) = (
        whole.finish(&model).unwrap(),
        halting.finish(&model).unwrap(),
    );
    assert_same(&whole, &halting, &request.preset.name);
    whole
}

#[test]
fn what_cannot_be_resumed_is_refused_and_never_panics() {
    let model = model("sd1");
    let asked = request(short(guided(), 6, 4));
    refuses(&model, &asked, 2);
    // In the middle of a window's check.
    let window = json!({"edit": {"window": {"least": 4, "margin": 0, "area": 1.0}}});
    let preset = one_cell(one_call(asked.preset)).with(&window).unwrap();
    refuses(&model, &request(preset), 2);
}

/// An edit that was saved after so many calls.
fn refuses(model: &Model, asked: &Request, calls: usize) {
    let mut edit = Edit::new(model, asked.clone()).unwrap();
    for _ in 0..calls {
        edit.step(model).unwrap();
    }
    let saved = edit.save(model).unwrap();

    let other = Request {
        seed: 43,
        ..asked.clone()
    };
    assert!(matches!(
        Edit::resume(model, other, &saved),
        Err(Error::State(_))
    ));
    let other = Request {
        instruction: "make the sofa blue".into(),
        ..asked.clone()
    };
    assert!(matches!(
        Edit::resume(model, other, &saved),
        Err(Error::State(_))
    ));

    // Another version's bytes mean starting over.
    let text = String::from_utf8_lossy(&saved[8..]).into_owned();
    let at = 8 + text.find(r#"\"version\":1"#).unwrap() + r#"\"version\":"#.len();
    let mut newer = saved.clone();
    newer[at] = b'9';
    assert!(
        Edit::resume(model, asked.clone(), &newer)
            .unwrap()
            .is_none()
    );

    // So do those that other instructions computed.
    let header = u64::from_le_bytes(saved[..8].try_into().unwrap()) as usize;
    let text = String::from_utf8(saved[8..8 + header].to_vec()).unwrap();
    let text = text.replacen(r#"\"stage\":"#, r#"\"path\":\"bf16-other\",\"stage\":"#, 1);
    assert!(text.contains("bf16-other"));
    let length = (text.len() as u64).to_le_bytes();
    let other = [&length[..], text.as_bytes(), &saved[8 + header..]].concat();
    assert!(
        Edit::resume(model, asked.clone(), &other)
            .unwrap()
            .is_none()
    );

    for length in (0..saved.len()).step_by(97) {
        assert!(
            Edit::resume(model, asked.clone(), &saved[..length]).is_err(),
            "cut to {length}"
        );
    }
    // Flipped bytes in the header are refused or lead to some edit; they never panic.
    let header = u64::from_le_bytes(saved[..8].try_into().unwrap()) as usize + 8;
    for at in 0..header {
        let mut damaged = saved.clone();
        damaged[at] ^= 0x15;
        if let Ok(Some(mut edit)) = Edit::resume(model, asked.clone(), &damaged) {
            let _ = edit.progress();
            if at % 16 == 0 {
                let _ = edit.step(model);
            }
        }
    }
}
