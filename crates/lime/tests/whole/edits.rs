//! What each preset and option does to a whole edit.

use crate::common::{decoded, model, picture, request, run};
use image::{GrayImage, Luma};
use limekiln_lime::{Edit, Error, Outcome, Preset, Request, Stage};
use serde_json::{Value, json};

fn preset(base: Preset, changes: Value) -> Preset {
    let mut preset = base.with(&json!({"edit": {"steps": 6}})).unwrap();
    if preset.locate.is_some() {
        let small = json!({"locate": {"steps": 9, "grid": 32, "segments": {"rounds": 20, "clusters": 4}, "select": {"points": 10}}});
        preset = preset.with(&small).unwrap();
    }
    preset.with(&changes).unwrap()
}

fn outcome(name: &str, request: Request) -> Outcome {
    let model = model(name);
    run(&model, Edit::new(&model, request).unwrap())
}

fn mask() -> GrayImage {
    GrayImage::from_fn(32, 24, |x, y| {
        Luma([if x < 16 && y < 12 { 255 } else { 0 }])
    })
}

fn latents(outcome: &Outcome) -> Vec<f32> {
    decoded(outcome)
        .latents
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[test]
fn every_preset_locates_edits_and_reports() {
    for (name, base) in [
        ("sd1", Preset::paper()),
        ("sd1", Preset::official()),
        ("sd1", Preset::fast()),
        ("sd2", Preset::paper()),
        ("sd2", Preset::official()),
        ("sd2", Preset::fast()),
    ] {
        let outcome = outcome(name, request(preset(base, json!({}))));
        let report = &outcome.report;
        assert_eq!(decoded(&outcome).image.dimensions(), (32, 24));
        let roi = outcome.roi.as_ref().unwrap();
        assert_eq!(roi.dimensions(), (32, 24));
        assert!(roi.pixels().all(|pixel| [0, 255].contains(&pixel.0[0])));
        let share = report.roi_share.unwrap();
        assert!(share > 0.0 && share <= 1.0);
        let segments = outcome.segments.as_ref().unwrap();
        assert_eq!(
            (segments.side, segments.labels.len(), segments.clusters),
            (32, 1024, 4)
        );
        assert!(segments.labels.iter().all(|label| *label < 4));
        assert_eq!(outcome.attention.as_ref().unwrap().values.len(), 1024);
        assert!(report.inertia.unwrap() > 0.0);
        assert!(
            report.words.contains(&"sofa".to_string()) && report.words.contains(&"red".to_string())
        );
        assert!(report.tokens_moved.contains(&"the".to_string()));
        assert_eq!(
            report.words.contains(&"make".to_string()),
            report.preset.name != "official"
        );
        assert_eq!(report.steps.edit, 6);
        assert!(
            report.steps.locate < 9,
            "localisation stops after the last step that is read"
        );
        let json = serde_json::to_value(report).unwrap();
        assert_eq!(json["preset"]["name"], report.preset.name);
        assert_eq!(json["device"], "cpu");
        assert_eq!(json["dtype"], "f32");
    }
}

#[test]
fn localisation_stops_where_the_windows_do() {
    let model = model("sd1");
    let steps = |base: Preset| {
        let progress = Edit::new(&model, request(base)).unwrap().progress();
        assert_eq!(progress.stage, Stage::Locate);
        (progress.steps, progress.total)
    };
    assert_eq!(steps(Preset::paper()), (75, 175));
    assert_eq!(steps(Preset::official()), (11, 41));
    assert_eq!(steps(preset(Preset::paper(), json!({}))), (7, 13));
}

#[test]
fn the_bias_changes_the_edit_and_only_where_there_is_a_region() {
    let plain = outcome(
        "sd1",
        request(preset(
            Preset::base(),
            json!({"edit": {"scales": {"text": 3.5}}}),
        )),
    );
    let masked = |mask: GrayImage, changes: Value| {
        let preset = preset(Preset::paper(), changes);
        outcome(
            "sd1",
            Request {
                mask: Some(mask),
                ..request(preset)
            },
        )
    };
    let regularised = masked(mask(), json!({}));
    assert_ne!(latents(&regularised), latents(&plain));
    assert_eq!(regularised.report.steps.locate, 0);
    assert_eq!(regularised.roi, Some(mask()));
    assert!(regularised.segments.is_none());
    // A region of nothing leaves all scores alone, and says so.
    let nothing = masked(GrayImage::new(32, 24), json!({}));
    assert_eq!(latents(&nothing), latents(&plain));
    assert!(
        nothing.report.warnings[0].contains("nearly nothing"),
        "{:?}",
        nothing.report.warnings
    );
    let everything = masked(GrayImage::from_pixel(32, 24, Luma([255])), json!({}));
    assert!(
        everything.report.warnings[0].contains("nearly the whole"),
        "{:?}",
        everything.report.warnings
    );
    // Eq. 4 with all but the penalised tokens rewarded is eq. 3 after the softmax.
    let strong = masked(
        mask(),
        json!({"edit": {"regularise": {"mode": "reward", "strength": 1e4}}}),
    );
    let close = latents(&strong)
        .iter()
        .zip(latents(&regularised))
        .all(|(a, b)| (a - b).abs() < 1e-2);
    assert!(
        close,
        "read and penalised tokens are complements in `paper`"
    );
    let weak = masked(
        mask(),
        json!({"edit": {"regularise": {"mode": "reward", "strength": 0.5}}}),
    );
    assert_ne!(latents(&weak), latents(&strong));
    assert_eq!(weak.report.tokens_moved, ["make", "sofa", "red"]);
}

#[test]
fn blending_leaves_the_inputs_latents_outside() {
    let changes =
        json!({"edit": {"blend": {"steps": {"first": 1, "last": 100, "of": 100}, "grow": 0}}});
    for scheduler in [
        "euler-ancestral",
        "ddim",
        "pndm",
        "dpm++2m",
        "unipc",
        "euler",
        "deis",
    ] {
        let kind = Some(scheduler.parse().unwrap());
        let asked = Request {
            mask: Some(mask()),
            scheduler: kind,
            ..request(preset(Preset::paper(), changes.clone()))
        };
        let model = model("sd1");
        let edit = Edit::new(&model, asked).unwrap();
        let outcome = run(&model, edit);
        let pixels =
            limekiln_diffusion::picture::to_tensor(&picture(32, 24), &model.device).unwrap();
        let clean =
            (model.vae.encode_mode(&pixels).unwrap() * model.vae.config().scaling_factor).unwrap();
        let clean: Vec<f32> = clean.flatten_all().unwrap().to_vec1().unwrap();
        let (height, width) = (12, 16);
        for (index, (ours, clean)) in latents(&outcome).iter().zip(&clean).enumerate() {
            let (y, x) = (index / width % height, index % width);
            let inside = x < 8 && y < 6;
            assert_eq!(ours == clean, !inside, "{scheduler} at {x}, {y}");
        }
    }
}

#[test]
fn relevance_locates_without_words() {
    let changes = json!({"locate": {"map": {"evidence": "relevance"}, "select": {"rule": "level", "level": 0.5}}});
    let asked = Request {
        instruction: "do it".into(),
        ..request(preset(Preset::paper(), changes))
    };
    let outcome = outcome("sd1", asked);
    assert!(outcome.segments.is_none());
    let map = outcome.attention.unwrap();
    let mean: f32 = map.values.iter().sum::<f32>() / 1024.0;
    assert!(mean > 0.0 && map.values.iter().any(|value| *value > 1.1 * mean));
    assert!(outcome.report.words.is_empty() && outcome.report.roi_share.unwrap() < 1.0);
    assert!(
        outcome.report.warnings[0].contains("stop word"),
        "{:?}",
        outcome.report.warnings
    );
}

#[test]
fn no_related_token_means_a_plain_edit_and_a_warning() {
    let asked = Request {
        instruction: "do it with the".into(),
        ..request(preset(Preset::paper(), json!({})))
    };
    let plain = preset(Preset::base(), json!({"edit": {"scales": {"text": 3.5}}}));
    let plain = outcome(
        "sd1",
        Request {
            preset: plain,
            ..asked.clone()
        },
    );
    let outcome = outcome("sd1", asked);
    assert_eq!(latents(&outcome), latents(&plain));
    assert!(outcome.roi.is_none());
    assert_eq!(outcome.report.warnings.len(), 1);
    assert!(
        outcome.report.warnings[0].contains("no word"),
        "{:?}",
        outcome.report.warnings
    );
}

#[test]
fn a_cut_instruction_is_said() {
    let long = "make the sofa red and ".repeat(40);
    let outcome = outcome(
        "sd1",
        Request {
            instruction: long,
            ..request(preset(Preset::base(), json!({})))
        },
    );
    assert!(
        outcome.report.warnings[0].contains("cut"),
        "{:?}",
        outcome.report.warnings
    );
}

/// Edits name their solver as a rule; whoever warms a model up must not fail for the one that nobody asks for.
#[test]
fn a_solver_that_is_not_known_matters_only_to_edits_that_name_none() {
    let mut model = model("sd1");
    model.scheduler = model.scheduler.with("_class_name", "LMSDiscreteScheduler");
    limekiln_lime::probe(&model, 32, 1).unwrap();
    let unnamed = Edit::new(&model, request(Preset::base())).and_then(|mut edit| edit.step(&model));
    // Whoever asks can name another.
    let Err(Error::Request(line)) = unnamed.map(drop) else {
        panic!("no error of the request");
    };
    for part in [
        "LMSDiscreteScheduler",
        "euler",
        "edit.scheduler",
        "--scheduler",
    ] {
        assert!(line.contains(part), "{line}");
    }
    let euler = preset(Preset::base(), json!({"edit": {"scheduler": "euler"}}));
    let mut named = Edit::new(&model, request(euler)).unwrap();
    named.step(&model).unwrap();
}

#[test]
fn requests_that_cannot_be_run_are_refused() {
    let model = model("sd1");
    let said = |request: Request| match Edit::new(&model, request) {
        Err(error @ (Error::Request(_) | Error::Preset(_))) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("accepted"),
    };
    let asked = request(Preset::base());
    assert!(
        said(Request {
            image: picture(33, 24),
            ..asked.clone()
        })
        .contains("33x24")
    );
    assert!(
        said(Request {
            mask: Some(GrayImage::new(16, 24)),
            ..asked.clone()
        })
        .contains("16x24")
    );
    assert!(
        said(Request {
            instruction: "  ".into(),
            ..asked.clone()
        })
        .contains("empty")
    );
    let mut preset = Preset::base();
    preset.edit.as_mut().unwrap().steps = 0;
    assert!(said(Request { preset, ..asked }).contains("edit.steps"));
}

#[test]
fn the_seed_decides() {
    let at = |seed| {
        outcome(
            "sd1",
            Request {
                seed,
                ..request(preset(Preset::fast(), json!({})))
            },
        )
    };
    let (a, b, c) = (at(1), at(1), at(2));
    assert_eq!(latents(&a), latents(&b));
    assert_eq!(a.segments, b.segments);
    assert_ne!(latents(&a), latents(&c));
}
