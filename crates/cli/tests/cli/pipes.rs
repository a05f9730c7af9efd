//! Pipes, seeds that are drawn, and variables that are set to nothing.

use serde_json::Value;

use crate::context::{TestContext, checkpoint};
use crate::files::{gradient, mask, png};

#[test]
fn a_picture_may_come_through_a_pipe() {
    let context = TestContext::new();
    let picture = png(gradient(64, 48));
    context.write("room.png", &picture);
    context.write("mask.png", mask(64, 48, 0, 20));
    context.edit("room.png", &["-o", "file.png", "--mask", "mask.png"]);
    let model = checkpoint("sd1");
    let rest = [
        "--model",
        &model,
        "--steps",
        "2",
        "--preset",
        "base",
        "-o",
        "piped.png",
    ];
    for (image, mask, piped) in [
        ("-", "mask.png", &picture),
        ("/dev/stdin", "mask.png", &picture),
        ("room.png", "-", &mask_bytes()),
    ] {
        let args = [
            &["edit", image, "make the sofa red", "--mask", mask],
            &rest[..],
        ]
        .concat();
        let done = context.pipe(&args, piped);
        assert_eq!(done.status, 0, "{image}: {}", done.stderr);
        let read = |name| std::fs::read(context.path(name)).unwrap();
        assert_eq!(read("piped.png"), read("file.png"), "{image}");
    }
}

fn mask_bytes() -> Vec<u8> {
    mask(64, 48, 0, 20)
}

#[test]
fn a_result_may_go_through_a_pipe() {
    let context = TestContext::new();
    let picture = png(gradient(64, 48));
    context.write("room.png", &picture);
    context.edit("room.png", &["-o", "file.png"]);
    let file = std::fs::read(context.path("file.png")).unwrap();
    let model = checkpoint("sd1");
    for output in ["-", "/dev/stdout"] {
        let args = [
            "edit",
            "-",
            "make the sofa red",
            "--model",
            &model,
            "--steps",
            "2",
            "--preset",
            "base",
            "--json",
            "-o",
            output,
        ];
        let done = context.pipe(&args, &picture);
        assert_eq!((done.status, &done.stdout), (0, &file), "{}", done.stderr);
        // What is said goes to stderr.
        let report = &done.stderr[done.stderr.find('{').unwrap()..];
        let report: Value = serde_json::from_str(report).unwrap();
        assert_eq!(report["output"], output);
    }
    let left = ["file.png", "room.png"];
    assert_eq!(context.names(), left);
}

#[test]
fn a_pipe_that_can_not_be_used_is_refused() {
    let context = TestContext::new();
    for (args, bytes, says) in [
        (&["edit", "-", "b"][..], &b"x"[..], "say with -o"),
        (&["submit", "-", "b", "--key", "lk_x"], b"x", "say with -o"),
        (
            &["edit", "-", "b", "--mask", "-", "-o", "a.png"],
            b"x",
            "both",
        ),
        (&["eval", "rooms", "--pictures", "-"], b"", "name a file"),
        (&["edit", "-", "b", "-o", "a.png"], b"", "the file is empty"),
        (&["edit", "-", "b", "-o", "a.png"], b"text", "not a picture"),
    ] {
        let done = context.pipe(args, bytes);
        assert!(
            done.status != 0 && done.stderr.contains(says),
            "{args:?}: {}",
            done.stderr
        );
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        assert!(context.names().is_empty());
    }
}

#[test]
fn a_drawn_seed_is_said_and_gives_the_same_picture_again() {
    let context = TestContext::new();
    context.write("room.png", png(gradient(64, 48)));
    let model = checkpoint("sd1");
    let edit = |seed: &str, output: &str| {
        let args = [
            "edit",
            "room.png",
            "make the sofa red",
            "--model",
            &model,
            "--steps",
            "1",
            "--preset",
            "base",
            "--seed",
            seed,
            "-o",
            output,
            "--json",
        ];
        let done = context.run(&args);
        assert_eq!(done.status, 0, "{}", done.stderr);
        let report: Value = serde_json::from_str(&done.stdout).unwrap();
        let said = done
            .stderr
            .lines()
            .find_map(|line| line.strip_prefix("seed: "))
            .map(str::to_owned);
        (report["seed"].to_string(), said)
    };
    let (drawn, said) = edit("random", "one.png");
    assert_eq!(said.as_deref(), Some(&*drawn));
    let (again, none) = edit(&drawn, "two.png");
    assert_eq!((again, none), (drawn.clone(), None));
    let read = |name| std::fs::read(context.path(name)).unwrap();
    assert_eq!(read("one.png"), read("two.png"));
    assert_ne!(edit("-1", "three.png").0, drawn, "a second draw");
}

#[test]
fn empty_variables_are_as_if_unset() {
    let context = TestContext::new();
    context.write("room.png", png(gradient(64, 48)));
    let model = checkpoint("sd1");
    let args = [
        "edit",
        "room.png",
        "make the sofa red",
        "--model",
        &model,
        "--steps",
        "1",
        "--preset",
        "base",
    ];
    let done = context
        .command(&args)
        .env("LIMEKILN_DEVICE", "")
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    // Each would be a wrong value, an unreadable number or another place if it counted.
    let empty = [
        "DATABASE_URL",
        "AMQP_URL",
        "S3_ENDPOINT",
        "S3_BUCKET",
        "S3_PUBLIC_ENDPOINT",
        "AWS_REGION",
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "LIMEKILN_STATUS",
        "LIMEKILN_LISTEN",
        "LIMEKILN_MODELS",
        "LIMEKILN_UPLOAD_MIB",
        "LIMEKILN_TENANT_SHARE",
        "LIMEKILN_LOG_FORMAT",
        "LIMEKILN_DATABASE_CONNECTIONS",
        "LIMEKILN_ADMIN_PUBLIC",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "HF_TOKEN",
    ];
    let mut serve = context.command(&["serve"]);
    let done = serve.envs(empty.map(|name| (name, ""))).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("where is Postgres?"), "{said}");
    let done = context
        .command(&["submit", "room.png", "b"])
        .env("LIMEKILN_KEY", "")
        .output()
        .unwrap();
    assert!(String::from_utf8(done.stderr).unwrap().contains("--key"));
}
