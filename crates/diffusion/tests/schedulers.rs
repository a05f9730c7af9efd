//! Every scheduler against diffusers, step by step; and stopped anywhere, resumed, with the same bytes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{Device, IndexOp, Tensor};
use limekiln_diffusion::scheduler::{Prediction, Scheduler, SchedulerConfig, SchedulerKind, build};
use proptest::prelude::*;
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference/golden")
        .join(name)
}

fn json(name: &str) -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(golden(name)).unwrap()).unwrap()
}

fn tensors() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(golden("schedulers.safetensors"), &Device::Cpu).unwrap()
}

fn kind(value: &Value) -> Option<SchedulerKind> {
    value.as_str().map(|name| name.parse().unwrap())
}

/// A case of the goldens, built anew.
fn scheduler(case: &Value) -> Box<dyn Scheduler> {
    let config = SchedulerConfig::from_json(&case["file"].to_string()).unwrap();
    build(
        &config,
        kind(&case["switch"]),
        case["steps"].as_u64().unwrap() as usize,
    )
    .unwrap()
}

fn relative(ours: &Tensor, theirs: &Tensor) -> f32 {
    let norm = |t: &Tensor| {
        t.sqr()
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
            .sqrt()
    };
    norm(&(ours - theirs).unwrap()) / norm(theirs)
}

#[test]
fn trajectories_equal_diffusers() {
    let golden = tensors();
    let cases = json("schedulers.json");
    let mut worst = (0f32, String::new());
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let mut ours = scheduler(case);
        let timesteps: Vec<f64> = golden[&format!("{name}: timesteps")].to_vec1().unwrap();
        assert_eq!(ours.timesteps().len(), timesteps.len(), "{name}");
        for (ours, theirs) in ours.timesteps().iter().zip(&timesteps) {
            // Whole ones are equal; broken ones come from logarithms, of which the last bit is the processor's, and near 0 nothing
            // else is left.
            let room = if theirs.fract() == 0.0 {
                0.0
            } else {
                1e-6 * theirs.abs().max(0.1)
            };
            assert!(
                (ours - theirs).abs() <= room,
                "{name}: {ours} is not {theirs}"
            );
        }
        // From a sigma of 4,096 Euler's first step cancels three digits of diffusers' f32.
        let bound = if name == "euler 10 zero snr" {
            3e-5
        } else {
            1e-5
        };
        let inputs = &golden[&format!("{name}: inputs")];
        let mut x = (&golden["start"] * ours.init_noise_sigma()).unwrap();
        for i in 0..timesteps.len() {
            let off = relative(
                &ours.scale_model_input(&x, i).unwrap(),
                &inputs.i(i).unwrap(),
            );
            assert!(off <= bound, "{name}: {off} away on entry to step {i}");
            worst = if off > worst.0 {
                (off, format!("{name}, step {i}"))
            } else {
                worst
            };
            let noise = golden["noise"].i(i).unwrap();
            x = ours
                .step(
                    &golden["outputs"].i(i).unwrap(),
                    i,
                    &x,
                    ours.noise_needed(i).then_some(&noise),
                )
                .unwrap();
        }
        let off = relative(&x, &golden[&format!("{name}: last")]);
        assert!(off <= bound, "{name}: {off} away at the end");
        assert!(
            ours.step(&x, timesteps.len(), &x, Some(&x)).is_err(),
            "{name}: a step too many"
        );
    }
    println!(
        "{} trajectories, at most {:e} away ({})",
        cases.len(),
        worst.0,
        worst.1
    );
}

#[test]
fn timesteps_equal_diffusers_for_many_step_counts() {
    for row in json("timesteps.json") {
        let config = SchedulerConfig::default().with("timestep_spacing", row["spacing"].clone());
        let steps = row["steps"].as_u64().unwrap() as usize;
        let want: Vec<f64> = row["timesteps"]
            .as_str()
            .unwrap()
            .split(' ')
            .map(|t| t.parse().unwrap())
            .collect();
        let ours = build(&config, kind(&row["kind"]), steps).unwrap();
        assert_eq!(ours.timesteps().len(), want.len(), "{row}");
        for (a, b) in ours.timesteps().iter().zip(&want) {
            assert!((a - b).abs() <= 1e-6 * b, "{row}: {a} is not {b}");
        }
    }
}

#[test]
fn samples_lie_between_clean_and_noise_as_alpha_sigma_says() {
    // A network that knows the answer keeps every solver on the straight path from noise to the clean sample.
    let (clean, noise) = (
        Tensor::new(&[[0.5f32, -1.0, 2.0]], &Device::Cpu).unwrap(),
        Tensor::new(&[[1.0f32, 0.3, -0.7]], &Device::Cpu).unwrap(),
    );
    let on = |(alpha, sigma): (f64, f64), noise: &Tensor| {
        ((&clean * alpha).unwrap() + (noise * sigma).unwrap()).unwrap()
    };
    for kind in SchedulerKind::ALL.into_iter().skip(1) {
        // With linspace, DDIM and PNDM (as diffusers has them) step by whole training steps and leave the path a little.
        let leaves = matches!(kind, SchedulerKind::Ddim | SchedulerKind::Pndm);
        let spacings: &[&str] = if leaves {
            &["leading", "trailing"]
        } else {
            &["linspace", "leading", "trailing"]
        };
        for spacing in spacings.iter().copied() {
            let config = SchedulerConfig::default().with("timestep_spacing", spacing);
            let mut ours = build(&config, Some(kind), 20).unwrap();
            let mut x = on(ours.alpha_sigma(0), &noise);
            for i in 0..ours.timesteps().len() {
                x = ours.step(&noise, i, &x, None).unwrap();
                let off = relative(&x, &on(ours.alpha_sigma(i + 1), &noise));
                assert!(
                    off < 1e-4,
                    "{kind} {spacing}: {off} off the path after step {i}"
                );
            }
        }
    }
}

#[test]
fn euler_ancestral_ends_clean() {
    let mut ours = build(&SchedulerConfig::default(), None, 7).unwrap();
    let (clean, noise) = (
        Tensor::new(&[0.5f32, -1.0], &Device::Cpu).unwrap(),
        Tensor::new(&[1.0f32, 0.3], &Device::Cpu).unwrap(),
    );
    let mut x = (&clean + (&noise * ours.alpha_sigma(0).1).unwrap()).unwrap();
    for i in 0..7 {
        // The noise that is in the sample now.
        let (alpha, sigma) = ours.alpha_sigma(i);
        let output = ((&x - (&clean * alpha).unwrap()).unwrap() / sigma).unwrap();
        x = ours.step(&output, i, &x, Some(&noise)).unwrap();
    }
    assert_eq!(ours.alpha_sigma(7), (1.0, 0.0));
    assert!(relative(&x, &clean) < 1e-5);
    assert!(
        ours.step(&x, 6, &x, None)
            .unwrap_err()
            .to_string()
            .contains("needs noise")
    );
}

/// Steps from `step` to the end; the last sample's bytes.
fn run(
    ours: &mut dyn Scheduler,
    golden: &HashMap<String, Tensor>,
    mut x: Tensor,
    steps: std::ops::Range<usize>,
) -> Tensor {
    for i in steps {
        let noise = golden["noise"].i(i).unwrap();
        x = ours
            .step(&golden["outputs"].i(i).unwrap(), i, &x, Some(&noise))
            .unwrap();
    }
    x
}

#[test]
fn resumed_at_any_step_the_bytes_are_the_same() {
    let golden = tensors();
    for case in json("schedulers.json")
        .iter()
        .filter(|case| case["steps"].as_u64().unwrap() <= 20)
    {
        let end = scheduler(case).timesteps().len();
        let whole = run(
            &mut *scheduler(case),
            &golden,
            golden["start"].clone(),
            0..end,
        );
        for stop in 0..=end {
            let mut first = scheduler(case);
            let x = run(&mut *first, &golden, golden["start"].clone(), 0..stop);
            let history: HashMap<String, Tensor> = first.history().into_iter().collect();
            let mut second = scheduler(case);
            second.restore(stop, &history).unwrap();
            let again: HashMap<String, Tensor> = second.history().into_iter().collect();
            assert_eq!(
                history.len(),
                again.len(),
                "{case}: what is restored at {stop} is what was saved"
            );
            let x = run(&mut *second, &golden, x, stop..end);
            let bits = |t: &Tensor| {
                t.flatten_all()
                    .unwrap()
                    .to_vec1::<f32>()
                    .unwrap()
                    .into_iter()
                    .map(f32::to_bits)
                    .collect::<Vec<_>>()
            };
            assert_eq!(bits(&whole), bits(&x), "{case}: resumed at {stop}");
        }
    }
}

#[test]
fn a_history_of_something_else_is_refused() {
    for kind in [
        SchedulerKind::Pndm,
        SchedulerKind::DpmSolverMultistep,
        SchedulerKind::UniPc,
        SchedulerKind::Deis,
    ] {
        let mut ours = build(&SchedulerConfig::default(), Some(kind), 20).unwrap();
        let message = ours.restore(5, &HashMap::new()).unwrap_err().to_string();
        assert!(message.contains("output.0"), "{message}");
    }
}

#[test]
fn values_that_matter_and_are_not_supported_are_named() {
    use SchedulerKind::{Ddim, Deis, DpmSolverMultistep, Euler, EulerAncestral, Pndm, UniPc};
    let cases: [(SchedulerKind, &str, Value, &str); 20] = [
        (
            EulerAncestral,
            "prediction_type",
            "sample".into(),
            "epsilon",
        ),
        (
            EulerAncestral,
            "prediction_type",
            "flow_prediction".into(),
            "v_prediction",
        ),
        (
            EulerAncestral,
            "beta_schedule",
            "sigmoid".into(),
            "scaled_linear",
        ),
        (
            EulerAncestral,
            "timestep_spacing",
            "even".into(),
            "trailing",
        ),
        (EulerAncestral, "beta_end", "much".into(), "expected f64"),
        (
            Pndm,
            "prediction_type",
            "sample".into(),
            "another scheduler",
        ),
        (Ddim, "thresholding", true.into(), "false"),
        (
            Ddim,
            "rescale_betas_zero_snr",
            true.into(),
            "predicts noise",
        ),
        (
            DpmSolverMultistep,
            "algorithm_type",
            "sde-dpmsolver++".into(),
            "dpmsolver++",
        ),
        (
            DpmSolverMultistep,
            "use_exponential_sigmas",
            true.into(),
            "false",
        ),
        (DpmSolverMultistep, "solver_order", 4.into(), "3"),
        (
            DpmSolverMultistep,
            "final_sigmas_type",
            "one".into(),
            "sigma_min",
        ),
        (UniPc, "use_flow_sigmas", true.into(), "false"),
        (UniPc, "lower_order_final", false.into(), "sigma_min"),
        (UniPc, "predict_x0", false.into(), "true"),
        (Euler, "interpolation_type", "log_linear".into(), "linear"),
        (Euler, "timestep_type", "other".into(), "discrete"),
        (Euler, "use_beta_sigmas", true.into(), "false"),
        (Deis, "algorithm_type", "sde-dpmsolver".into(), "deis"),
        (Deis, "thresholding", true.into(), "false"),
    ];
    for (kind, key, value, choose) in cases {
        let config = SchedulerConfig::default().with(key, value);
        let message = build(&config, Some(kind), 20)
            .err()
            .unwrap_or_else(|| panic!("{kind} took {key}"))
            .to_string();
        assert!(
            message.contains(key) && message.contains(choose),
            "{message}"
        );
    }
    // The same values say nothing to a class that does not read them.
    let config = SchedulerConfig::default()
        .with("thresholding", true)
        .with("use_flow_sigmas", true)
        .with("solver_type", "unknown");
    assert!(build(&config, None, 20).is_ok());
}

#[test]
fn an_unknown_class_matters_only_when_it_is_used() {
    let config = SchedulerConfig::from_json(
        r#"{"_class_name": "LMSDiscreteScheduler", "lambda_min_clipped": -Infinity}"#,
    )
    .unwrap();
    let message = build(&config, None, 20).err().unwrap().to_string();
    assert!(
        message.contains("LMSDiscreteScheduler")
            && message.contains("euler-ancestral, ddim, pndm, dpm++2m, unipc"),
        "{message}"
    );
    assert!(build(&config, Some(SchedulerKind::Ddim), 20).is_ok());
    for steps in [0, 1001] {
        assert!(
            build(&config, Some(SchedulerKind::Ddim), steps)
                .err()
                .unwrap()
                .to_string()
                .contains("choose 1 to 1000")
        );
    }
    assert!(
        "heun"
            .parse::<SchedulerKind>()
            .unwrap_err()
            .to_string()
            .contains("euler-ancestral")
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-5i64..2000).prop_map(Value::from),
        (-2.0..2.0f64).prop_map(Value::from),
        "[a-z_+]{0,12}".prop_map(Value::from),
        Just(Value::Null),
        prop::sample::select(vec![
            "leading",
            "trailing",
            "linspace",
            "v_prediction",
            "sample",
            "linear",
            "sigma_min",
            "heun"
        ])
        .prop_map(Value::from),
        prop::collection::vec(0.0..0.1f64, 0..4).prop_map(Value::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_config_builds_or_is_refused(
        values in prop::collection::vec((prop::sample::select(vec![
            "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type", "timestep_spacing", "steps_offset",
            "rescale_betas_zero_snr", "set_alpha_to_one", "skip_prk_steps", "clip_sample", "clip_sample_range", "solver_order", "solver_type",
            "lower_order_final", "use_karras_sigmas", "final_sigmas_type", "lambda_min_clipped", "disable_corrector", "sigma_min", "sigma_max",
        ]), any_value()), 0..6),
        kind in prop::sample::select(SchedulerKind::ALL.to_vec()),
        steps in 1usize..40,
    ) {
        let config = values.into_iter().fold(SchedulerConfig::default(), |config, (key, value)| config.with(key, value));
        if let Ok(mut ours) = build(&config, Some(kind), steps) {
            let x = Tensor::ones(3, candle_core::DType::F32, &Device::Cpu).unwrap();
            for i in 0..ours.timesteps().len() {
                ours.step(&x, i, &x, Some(&x)).unwrap();
            }
            ours.alpha_sigma(ours.timesteps().len());
        }
    }

    #[test]
    fn any_text_is_a_config_or_refused(text in ".{0,60}") {
        let _ = SchedulerConfig::from_json(&text).map(|config| build(&config, None, 5).map(|_| ()));
    }
}

/// The network that knows the clean sample leads to it from every step of every solver.
#[test]
fn a_true_output_speaks_for_the_clean_sample() {
    let golden = tensors();
    let (truth, noise) = (&golden["start"], golden["noise"].i(0).unwrap());
    for case in json("schedulers.json") {
        let name = case["name"].as_str().unwrap();
        let solver = scheduler(&case);
        for step in [0, solver.timesteps().len() / 2] {
            let (alpha, sigma) = solver.alpha_sigma(step);
            let sample = ((truth * alpha).unwrap() + (&noise * sigma).unwrap()).unwrap();
            let norm = alpha.hypot(sigma);
            let output = match solver.prediction() {
                Prediction::Epsilon => noise.clone(),
                Prediction::Sample => truth.clone(),
                Prediction::V => {
                    let velocity = (&noise * alpha).unwrap() - (truth * sigma).unwrap();
                    (velocity.unwrap() / norm).unwrap()
                }
            };
            let clean = solver.clean(&output, step, &sample).unwrap();
            // Where hardly any signal is left, f32 has lost its last digits.
            let room = 1e-5 * (1.0 + sigma / alpha) as f32;
            let off = relative(&clean, truth);
            assert!(off <= room, "{name}, step {step}: {off} of {room}");
        }
    }
}
