//! What settings do, from the command line and from the environment.

use serde_json::Value;

use crate::context::{TestContext, checkpoint};
use crate::files::{disc, gradient, png};

#[test]
fn settings_come_from_the_environment_too() {
    let context = TestContext::new();
    context.write("a.png", png(gradient(64, 64)));
    let output = context
        .command(&[
            "edit",
            "a.png",
            "make the sofa red",
            "--preset",
            "base",
            "--steps",
            "1",
            "--json",
        ])
        .env("LIMEKILN_MODEL", checkpoint("sd2"))
        .env("LIMEKILN_DEVICE", "cpu")
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["model"], "sd2");
}

#[test]
fn paths_are_switched_off_and_named() {
    let context = TestContext::new();
    context.write("a.png", png(gradient(64, 64)));
    let run = |off: &str, dtype: &str| {
        let model = checkpoint("sd1");
        let args = ["edit", "a.png", "make the sofa red", "--preset", "base"];
        let output = context
            .command(&args)
            .args(["--steps", "1", "--json", "--device", "cpu"])
            .args(["--dtype", dtype, "--model", model.as_str()])
            .env("LIMEKILN_PATHS_OFF", off)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let report = serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default();
        (report["dtype"].as_str().map(str::to_owned), told)
    };
    let off = "bf16-amx, bf16-avx512";
    assert_eq!(run(off, "bf16").0.as_deref(), Some("bf16"));
    let (dtype, told) = run(off, "auto");
    assert_eq!(dtype.as_deref(), Some("f32"));
    assert!(told.contains("--dtype auto: f32"), "{told}");
    // Whatever this processor has.
    let (dtype, told) = run("", "auto");
    assert!(told.contains(&format!("--dtype auto: {}", dtype.unwrap())));
    let (dtype, told) = run("bf16-amy", "bf16");
    assert_eq!(dtype, None);
    assert!(told.contains("bf16-amx and bf16-avx512 can"), "{told}");
}

#[test]
fn a_color_that_nothing_would_use_is_refused() {
    let context = TestContext::new();
    context.write("a.png", png(disc()));
    for args in [
        &["--preset", "base"][..],
        &["--finish", "paste"],
        &["--finish", "none"],
        &["--material", "2"],
    ] {
        let mut all = vec!["edit", "a.png", "make it blue", "--color", "teal"];
        all.extend(args);
        let done = context.run(&all);
        assert_eq!(done.status, 2, "{args:?}: {}", done.stderr);
        assert!(done.stderr.contains("does not recolor"), "{}", done.stderr);
    }
}
