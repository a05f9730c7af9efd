//! Edits that share U-Net calls end in the bytes that they end in alone, whoever joins, leaves, breaks or is cancelled meanwhile.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};

use limekiln_diffusion::model::Model;
use limekiln_lime::edit::{Shape, call};
use limekiln_lime::{Edit, Outcome, Preset, Request};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use safetensors::SafeTensors;
use serde_json::json;

use crate::common::{decoded, model, picture, request, run};

const SIZES: [(u32, u32); 3] = [(32, 24), (24, 32), (32, 32)];
const INSTRUCTIONS: [&str; 2] = ["make the sofa red", "turn it into a blue lamp"];

/// One of a company.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Who {
    preset: usize,
    size: usize,
    seed: u64,
    instruction: usize,
}

/// How one of a company behaves.
#[derive(Clone, Copy, Debug)]
struct Guest {
    who: Who,
    /// The call before which it comes.
    joins: usize,
    /// The call before which it is cancelled.
    cancelled: Option<usize>,
    /// Whether it is saved and resumed before each of its steps.
    halting: bool,
}

fn presets() -> Vec<Preset> {
    let small = json!({"steps": 4, "grid": 16, "segments": {"rounds": 5, "clusters": 3}, "select": {"points": 6}});
    let short = |preset: Preset| {
        let preset = preset.with(&json!({"edit": {"steps": 4}})).unwrap();
        match preset.locate {
            Some(_) => preset.with(&json!({ "locate": small })).unwrap(),
            None => preset,
        }
    };
    let guided = serde_json::from_str(include_str!("../presets/fast-guided.json")).unwrap();
    let window = json!({
        "locate": {"grid": 8, "select": {"rule": "level", "level": 1.0, "points": 1, "join": 0.0}},
        "edit": {"window": {"least": 6, "margin": 1, "margin_share": 0.0, "bound": 1e6}},
    });
    vec![
        short(Preset::paper()),
        short(Preset::official()),
        short(Preset::base()),
        short(guided),
        short(Preset::fast()),
        short(Preset::fast()).with(&window).unwrap(),
    ]
}

fn asked(who: Who) -> Request {
    let (width, height) = SIZES[who.size];
    Request {
        image: picture(width, height),
        instruction: INSTRUCTIONS[who.instruction].to_owned(),
        seed: who.seed,
        ..request(presets().swap_remove(who.preset))
    }
}

fn who() -> impl Strategy<Value = Who> {
    let few = (
        0..presets().len(),
        0..SIZES.len(),
        0u64..2,
        0..INSTRUCTIONS.len(),
    );
    few.prop_map(|(preset, size, seed, instruction)| Who {
        preset,
        size,
        seed,
        instruction,
    })
}

fn guest() -> impl Strategy<Value = Guest> {
    let cancelled = prop::option::weighted(0.2, 1usize..12);
    (who(), 0usize..6, cancelled, any::<bool>()).prop_map(|(who, joins, cancelled, halting)| {
        Guest {
            who,
            joins,
            cancelled,
            halting,
        }
    })
}

/// What must be the same: latents, picture, region, map.
type Essence = (Vec<u32>, Vec<u8>, Option<Vec<u8>>, Option<Vec<u32>>);

fn essence(outcome: &Outcome) -> Essence {
    let decoded = decoded(outcome);
    let latents: Vec<f32> = decoded.latents.flatten_all().unwrap().to_vec1().unwrap();
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    (
        bits(&latents),
        decoded.image.as_raw().clone(),
        outcome.roi.as_ref().map(|roi| roi.as_raw().clone()),
        outcome.attention.as_ref().map(|map| bits(&map.values)),
    )
}

/// An edit whose picture's latents are no numbers, and which therefore computes none.
fn broken(model: &Model, who: Who) -> Edit {
    let mut saved = Edit::new(model, asked(who)).unwrap().save(model).unwrap();
    let picture = {
        let tensors = SafeTensors::deserialize(&saved).unwrap();
        let data = tensors.tensor("picture").unwrap().data();
        let first = data.as_ptr() as usize - saved.as_ptr() as usize;
        first..first + data.len()
    };
    for value in saved[picture].chunks_exact_mut(4) {
        value.copy_from_slice(&f32::NAN.to_le_bytes());
    }
    Edit::resume(model, asked(who), &saved).unwrap().unwrap()
}

/// Steps these together as often as they want, those of one shape at a time and in ever another order, and holds each result to the
/// edit's own; returns how many calls were shared.
fn meet(
    model: &Model,
    guests: &[Guest],
    mut stranger: Option<Edit>,
    order: usize,
    mut is_own: impl FnMut(&Guest, &Outcome) -> bool,
) -> usize {
    let mut company: Vec<(Guest, Option<Edit>)> =
        guests.iter().map(|guest| (*guest, None)).collect();
    let mut shared = 0;
    for round in 0.. {
        for (guest, edit) in &mut company {
            if guest.joins == round {
                *edit = Some(Edit::new(model, asked(guest.who)).unwrap());
            }
            if guest.cancelled == Some(round) {
                *edit = None;
            }
            if let Some(open) = edit.as_mut().filter(|_| guest.halting) {
                let saved = open.save(model).unwrap();
                *open = Edit::resume(model, asked(guest.who), &saved)
                    .unwrap()
                    .unwrap();
            }
        }
        let mut groups: BTreeMap<(usize, usize), Vec<&mut Edit>> = BTreeMap::new();
        let edits = company.iter_mut().filter_map(|(_, edit)| edit.as_mut());
        for edit in edits.chain(stranger.as_mut()) {
            if let Some(Shape { height, width, .. }) = edit.call() {
                groups.entry((height, width)).or_default().push(edit);
            }
        }
        for mut group in groups.into_values() {
            let turn = (order + round) % group.len();
            group.rotate_left(turn);
            for few in group.chunks_mut(1 + order % 8) {
                let shapes: Vec<Option<Shape>> = few.iter().map(|edit| edit.call()).collect();
                let edits: Vec<&Edit> = few.iter().map(|edit| &**edit).collect();
                let answers = call(model, &edits);
                shared += usize::from(few.len() > 1);
                for ((edit, answer), shape) in few.iter_mut().zip(answers).zip(shapes) {
                    let answer = answer.unwrap();
                    assert_eq!(answer.rows(), shape.unwrap().rows);
                    edit.end(answer).unwrap();
                }
            }
        }
        for (guest, edit) in &mut company {
            if edit.as_ref().is_some_and(Edit::is_done) {
                let outcome = edit.take().unwrap().finish(model).unwrap();
                assert!(is_own(guest, &outcome), "{guest:?}");
            }
        }
        stranger = stranger.filter(|edit| !edit.is_done());
        let late = company.iter().any(|(guest, _)| guest.joins > round);
        if !late && stranger.is_none() && company.iter().all(|(_, edit)| edit.is_none()) {
            break;
        }
    }
    shared
}

#[test]
fn random_companies_end_in_the_bytes_of_each_edit_alone() {
    let model = model("sd1");
    let alone = RefCell::new(HashMap::new());
    let shared = Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 64,
        ..Config::default()
    });
    let companies = (
        prop::collection::vec(guest(), 1..=7),
        any::<bool>(),
        0usize..64,
    );
    let ran = runner.run(&companies, |(guests, stranger, order)| {
        let stranger = stranger.then(|| broken(&model, guests[0].who));
        let calls = meet(&model, &guests, stranger, order, |guest, outcome| {
            let mut alone = alone.borrow_mut();
            let own = alone.entry(guest.who).or_insert_with(|| {
                let edit = Edit::new(&model, asked(guest.who)).unwrap();
                essence(&run(&model, edit))
            });
            essence(outcome) == *own
        });
        shared.set(shared.get() + calls);
        Ok(())
    });
    ran.unwrap();
    assert!(shared.get() > 50, "{} calls were shared", shared.get());
}

#[test]
fn an_edit_that_can_not_be_in_the_call_fails_alone() {
    let model = model("sd1");
    let at = |size, preset| Who {
        preset,
        size,
        seed: 0,
        instruction: 0,
    };
    let edit = |who| Edit::new(&model, asked(who)).unwrap();
    let mut done = edit(at(0, 2));
    while !done.is_done() {
        done.step(&model).unwrap();
    }
    // One is done, one is of another shape: the call does for each of them what it would do alone.
    let (mut one, mut other) = (edit(at(0, 2)), edit(at(2, 2)));
    let answers = call(&model, &[&one, &done, &other]);
    let failed: Vec<bool> = answers.iter().map(Result::is_err).collect();
    assert_eq!(failed, [false, true, false]);
    let mut answers = answers.into_iter();
    one.end(answers.next().unwrap().unwrap()).unwrap();
    other.end(answers.nth(1).unwrap().unwrap()).unwrap();
    for (edit, who) in [(one, at(0, 2)), (other, at(2, 2))] {
        let alone = Edit::new(&model, asked(who)).unwrap();
        assert!(essence(&run(&model, edit)) == essence(&run(&model, alone)));
    }
}
