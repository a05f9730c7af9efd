//! Everything that can be wrong gets one clear line, the right status, and leaves nothing behind.

use image::{ImageFormat, RgbImage};

use crate::context::{TestContext, checkpoint};
use crate::files::{encoded, gradient, jpeg_oriented, mask, png, png_claiming};

const EDIT: &str = "make the sofa red";

/// Runs a table of (arguments, status, what the line must say).
#[track_caller]
fn refused(context: &TestContext, table: &[(&[&str], i32, &str)]) {
    let before = context.names();
    for (args, status, says) in table {
        let done = context.run(args);
        let line = done.stderr.trim_end_matches('\n');
        assert_eq!(done.status, *status, "{args:?}: {line}");
        assert!(
            line.starts_with("error: ") && !line.contains('\n'),
            "{args:?}: {line:?}"
        );
        assert!(line.contains(says), "{args:?}: {line}");
        assert!(!line.contains("panicked"), "{args:?}: {line}");
        assert_eq!(done.stdout, "", "{args:?}");
        assert_eq!(context.names(), before, "{args:?} left something");
    }
}

#[test]
fn colors_that_say_nothing() {
    let context = with_picture();
    let halves = RgbImage::from_fn(8, 8, |x, _| image::Rgb([if x < 4 { 0 } else { 255 }; 3]));
    context.write("halves.png", png(halves));
    context.write("clear.png", png(image::RgbaImage::new(8, 8)));
    context.write("m.png", mask(64, 48, 10, 30));
    context.write("spring.txt", "leaf, #2E7D32\n");
    context.write("bad.txt", "leaf\n");
    let cases: [(&[&str], i32, &str); 16] = [
        (&["--color", "blurple"], 2, "--color: `blurple` is no color"),
        (
            &["--color", "#1F6F8B80"],
            2,
            "--color: `#1F6F8B80` is transparent",
        ),
        (
            &["--color", "lab(120 0 0)"],
            2,
            "--color: `lab(120 0 0)`: lightness is 120",
        ),
        (
            &["--color", "@halves.png"],
            2,
            "--color @halves.png: the swatch shows several colors",
        ),
        (
            &["--color", "@clear.png"],
            2,
            "--color @clear.png: the swatch is transparent",
        ),
        (
            &["--color", "@gone.png"],
            1,
            "--color @gone.png: no such file",
        ),
        (
            &["--color", "navy", "--palette", "spring.txt"],
            2,
            "has no color `navy`; it has leaf",
        ),
        (
            &["--color", "leaf", "--palette", "bad.txt"],
            2,
            "line 1 of the palette",
        ),
        (
            &["--color", "leaf", "--palette", "gone.txt"],
            1,
            "--palette gone.txt",
        ),
        (&["--palette", "spring.txt"], 2, "--color"),
        (
            &["--color", "teal", "--material", "0"],
            2,
            "--material: `0` picks no material",
        ),
        (&["--color", "teal", "--matte"], 2, "--mask"),
        (
            &["--color", "teal", "--finish", "none"],
            2,
            "--finish: the preset recolor only recolors",
        ),
        (&[], 2, "ask for no color"),
        (
            &["--color", "teal", "--set", "locate=null"],
            2,
            "draw one with --mask",
        ),
        (
            &[
                "--color",
                "teal",
                "--mask",
                "m.png",
                "--matte",
                "--material",
                "9",
            ],
            1,
            "there is no material 9",
        ),
    ];
    for (args, status, says) in cases {
        let edit = [
            "edit",
            "ok.png",
            "recolor it",
            "-o",
            "out.png",
            "--preset",
            "recolor",
        ];
        refused(&context, &[(&[&edit[..], args].concat(), status, says)]);
    }
    let fast = [
        "edit", "ok.png", EDIT, "-o", "out.png", "--color", "teal", "--finish", "paste",
    ];
    refused(
        &context,
        &[(&fast, 2, "--color: the preset fast does not recolor")],
    );
    let two = [
        "edit",
        "ok.png",
        "make it red and blue",
        "-o",
        "out.png",
        "--preset",
        "recolor",
    ];
    refused(&context, &[(&two, 2, "several colors (red, blue)")]);
}

/// Edits a sound picture into this file.
fn to(output: &str) -> [&str; 5] {
    ["edit", "ok.png", EDIT, "-o", output]
}

/// A folder with a sound picture, `ok.png`.
fn with_picture() -> TestContext {
    let context = TestContext::new();
    context.write("ok.png", png(gradient(64, 48)));
    context
}

#[test]
fn pictures_that_cannot_be_read() {
    let context = with_picture();
    let (jpeg, webp) = (
        encoded(gradient(64, 48), ImageFormat::Jpeg),
        encoded(gradient(64, 48), ImageFormat::WebP),
    );
    let sound = png(gradient(64, 48));
    let mut flipped = sound.clone();
    flipped
        .iter_mut()
        .skip(60)
        .step_by(7)
        .for_each(|byte| *byte ^= 0x55);
    context.write("empty.png", "");
    context.write("text.png", "this is not a picture, whatever its name says");
    context.write("cut.png", &sound[..sound.len() / 2]);
    context.write("head.png", &sound[..20]);
    context.write("flipped.png", flipped);
    context.write("cut.jpg", &jpeg[..jpeg.len() * 2 / 3]);
    context.write("head.jpg", &jpeg[..30]);
    context.write(
        "thumbnail.jpg",
        &jpeg_oriented(gradient(64, 48), 6)[..jpeg.len() / 2],
    );
    context.write("cut.webp", &webp[..webp.len() / 2]);
    context.write("zero.png", png_claiming(0, 7));
    context.write("wide.png", png_claiming(20_000, 10));
    context.write("huge.png", png_claiming(16_000, 16_000));
    context.write("bomb.png", png_claiming(2_000_000_000, 2_000_000_000));
    context.write("hollow.png", png_claiming(64, 64));
    context.write("moving.gif", b"GIF89a\x01\0\x01\0\0\0\0;");
    context.write("sliver.png", png(gradient(1200, 3)));
    context.write("dot.png", png(RgbImage::new(1, 1)));
    std::fs::create_dir(context.path("folder.png")).unwrap();
    let model = checkpoint("sd1");
    let cases = [
        ("missing.png", "no such file"),
        ("folder.png", "not a file"),
        ("empty.png", "the file is empty"),
        ("text.png", "not a picture"),
        ("cut.png", "damaged"),
        ("head.png", "damaged"),
        ("flipped.png", "damaged"),
        ("cut.jpg", "stops in the middle"),
        ("head.jpg", "damaged"),
        ("thumbnail.jpg", "damaged"),
        ("cut.webp", "damaged"),
        ("zero.png", "zero.png: "),
        ("wide.png", "20000x10: at most 12288 pixels a side"),
        ("huge.png", "64 megapixels"),
        ("bomb.png", "shrink it"),
        ("hollow.png", "damaged"),
        ("moving.gif", "GIF pictures are not read"),
        ("sliver.png", "crop it or raise --size"),
        ("dot.png", "needs at least 2 pixels a side"),
    ];
    for (name, says) in cases {
        refused(
            &context,
            &[(&["edit", name, EDIT, "--model", &model], 1, says)],
        );
    }
}

#[test]
fn masks_that_do_not_fit() {
    let context = with_picture();
    context.write("small.png", mask(10, 10, 0, 5));
    context.write("black.png", mask(64, 48, 0, 0));
    context.write("text.png", "no mask");
    let gray = image::GrayAlphaImage::from_fn(64, 48, |x, _| {
        image::LumaA(if x < 9 { [0, 0] } else { [150, 255] })
    });
    context.write("gray.png", png(gray));
    let with = |mask: &'static str| ["edit", "ok.png", EDIT, "--mask", mask];
    refused(
        &context,
        &[
            (
                &with("small.png"),
                1,
                "the mask is 10x10 and the picture 64x48",
            ),
            (&with("black.png"), 1, "no white pixel"),
            (&with("gray.png"), 1, "save it without transparency"),
            (&with("text.png"), 1, "not a picture"),
            (&with("missing.png"), 1, "no such file"),
        ],
    );
}

#[test]
fn outputs_that_cannot_be_written() {
    let context = with_picture();
    std::fs::create_dir(context.path("folder.png")).unwrap();
    std::fs::create_dir_all(context.path("stages/roi.png")).unwrap();
    let locked = context.write("locked.png", "mine");
    let mut permissions = std::fs::metadata(&locked).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&locked, permissions).unwrap();
    context.write("mask.png", mask(64, 48, 0, 20));
    std::fs::create_dir(context.path("kept")).unwrap();
    let long = format!("{}.png", "n".repeat(300));
    let longest = format!("{}.png", "n".repeat(250));
    context.write(&longest, png(gradient(64, 48)));
    context.write("wide.png", png(gradient(16_384, 8)));
    context.write("wide-mask.png", mask(16_384, 8, 0, 20));
    refused(
        &context,
        &[
            (&to("ok.png"), 1, "would overwrite the input"),
            (&to("./stages/../ok.png"), 1, "would overwrite the input"),
            (&to("folder.png"), 1, "is a folder"),
            (&to("nowhere/out.png"), 1, "no such folder"),
            (&to("out.gif"), 1, ".gif pictures can't be written"),
            (&to("out"), 1, "has no extension"),
            (&to("locked.png"), 1, "read-only"),
            (&to(&long), 1, "can't be written"),
            (&to("ok.png/out.png"), 1, "can't be written"),
            (&["edit", &longest, EDIT], 1, "unless -o says where"),
            (
                &[
                    "edit",
                    "ok.png",
                    EDIT,
                    "-o",
                    "kept/overlay.png",
                    "--artifacts",
                    "kept",
                ],
                1,
                "-o names a file that --artifacts writes",
            ),
            (
                &[
                    "edit",
                    "ok.png",
                    EDIT,
                    "-o",
                    "kept/../kept/roi.png",
                    "--artifacts",
                    "./kept",
                ],
                1,
                "-o names a file that --artifacts writes",
            ),
            (
                &[
                    "submit",
                    "ok.png",
                    EDIT,
                    "--key",
                    "lk_1",
                    "-o",
                    "kept/roi.png",
                    "--artifacts",
                    "kept",
                ],
                1,
                "-o names a file that --artifacts writes",
            ),
            (
                &["submit", &longest, EDIT, "--key", "lk_1"],
                1,
                "unless -o says where",
            ),
            (
                &[
                    "edit",
                    "wide.png",
                    EDIT,
                    "-o",
                    "out.webp",
                    "--mask",
                    "wide-mask.png",
                    "--side-max",
                    "16384",
                ],
                1,
                "a WEBP file has at most 16383 pixels a side",
            ),
            (
                &[
                    "edit", "ok.png", EDIT, "--mask", "mask.png", "-o", "mask.png",
                ],
                1,
                "would overwrite the input mask.png",
            ),
            (
                &["edit", "ok.png", EDIT, "--artifacts", "locked.png"],
                1,
                "the folder can't be made",
            ),
            (
                &["edit", "ok.png", EDIT, "--artifacts", "stages"],
                1,
                "is a folder",
            ),
            (&["demo", "-o", "nowhere/demo.png"], 1, "no such folder"),
            (
                &["demo", "-o", "demo.bmp"],
                1,
                ".bmp pictures can't be written",
            ),
            (&["rooms", "--out", "ok.png"], 1, "the folder can't be made"),
            (
                &["eval", "rooms", "--pictures", "nowhere/sheet.png"],
                1,
                "no such folder",
            ),
        ],
    );
    let stage = context.write("overlay.png", png(gradient(64, 48)));
    let args = ["edit", "overlay.png", EDIT, "--artifacts", "."];
    refused(&context, &[(&args, 1, "would overwrite the input")]);
    assert_eq!(std::fs::read(stage).unwrap(), png(gradient(64, 48)));
}

#[test]
fn models_that_there_are_not() {
    let context = with_picture();
    context.write("weights.ckpt", "not weights");
    context.write("weights.safetensors", [255; 64]);
    std::fs::create_dir_all(context.path("folder/unet")).unwrap();
    let with = |model: &'static str| ["edit", "ok.png", EDIT, "--model", model];
    refused(
        &context,
        &[
            (&with("nowhere"), 1, "nowhere"),
            (&with("weights.ckpt"), 1, "weights.ckpt"),
            (&with("weights.safetensors"), 1, "weights.safetensors"),
            (&with("ok.png"), 1, "ok.png"),
            (&with("folder"), 1, "folder"),
            (
                &with("hf:timbrooks/instruct-pix2pix"),
                1,
                "timbrooks/instruct-pix2pix",
            ),
            (&with("hf:nobody"), 1, "nobody"),
        ],
    );
}

#[test]
fn command_lines_that_cannot_be_right() {
    let context = with_picture();
    let model = checkpoint("sd1");
    let long = "make the sofa red and the lamp green and ".repeat(12) + "the seventyseventh word";
    let with = |flag: &'static str, value: &'static str| ["edit", "ok.png", EDIT, flag, value];
    refused(
        &context,
        &[
            (&["edti"], 2, "edti"),
            (&["edit"], 2, "<IMAGE>"),
            (&["edit", "ok.png"], 2, "<INSTRUCTION>"),
            (&["edit", "ok.png", EDIT, "extra"], 2, "extra"),
            (&["edit", "ok.png", ""], 2, "instruction is empty"),
            (&["edit", "ok.png", " \t\n"], 2, "instruction is empty"),
            (
                &["edit", "ok.png", &long, "--model", &model],
                2,
                "more than 77 tokens",
            ),
            (&with("--preset", "quick"), 2, "quick"),
            (
                &with("--finish", "better"),
                2,
                "a finish is one of none, paste",
            ),
            (
                &["edit", "ok.png", EDIT, "--finish", "none", "--keep-outside"],
                2,
                "--keep-outside means --finish paste",
            ),
            (&with("--scheduler", "heun"), 2, "--scheduler"),
            (&with("--seed", "-2"), 2, "--seed"),
            (&with("--seed", "x"), 2, "--seed"),
            (&with("--steps", "0"), 2, "--steps"),
            (&with("--steps", "1001"), 2, "--steps"),
            (&with("--size", "63"), 2, "64..=2048"),
            (&with("--size", "2049"), 2, "64..=2048"),
            (&with("--text-scale", "nan"), 2, "not between 0 and 100"),
            (&with("--image-scale", "-1"), 2, "--image-scale"),
            (&with("--locate-text-scale", "lots"), 2, "not a number"),
            (&with("--points", "0"), 2, "--points"),
            (&with("--points", "99999"), 2, "--points"),
            (&with("--clusters", "65"), 2, "--clusters"),
            (&with("--device", "tpu"), 2, "--device"),
            (&with("--dtype", "f8"), 2, "--dtype"),
            (&with("--set", "steps"), 2, "FIELD=VALUE"),
            (&with("--set", "edit.stepz=3"), 2, "stepz"),
            (
                &["edit", "ok.png", EDIT, "--preset", "base", "--points", "3"],
                2,
                "base does not locate",
            ),
            (
                &["edit", "ok.png", EDIT, "--preset", "base", "--reward", "3"],
                2,
                "base does not regularise",
            ),
            (&["demo", "--color", "mauve"], 2, "mauve"),
            (
                &["dev", "--model", ".", "--as", "rooms"],
                2,
                "another than rooms",
            ),
            // Before a database is made, or a service asked.
            (
                &["dev", "--model", "./no-such-model", "--data", "made"],
                1,
                "./no-such-model is missing",
            ),
            (
                &["work", "--model", "/nonexistent/model", "--as", "ours"],
                1,
                "/nonexistent/model is missing",
            ),
            (&["rooms", "--count", "0"], 2, "--count"),
            (&["rooms", "--size", "1"], 2, "--size"),
            (&["rooms", "--style", "third"], 2, "plain, rich and second"),
            (
                &["eval", "rooms", "--style", "richer"],
                2,
                "plain, rich and second",
            ),
            (&["eval", "rooms", "--finish", "paste"], 2, "--picture-size"),
            (
                &[
                    "eval",
                    "rooms",
                    "--picture-size",
                    "512",
                    "--finish",
                    "gloss",
                ],
                2,
                "none, paste and detail",
            ),
            (
                &["eval", "rooms", "--picture-size", "64"],
                2,
                "--picture-size",
            ),
            (&["eval", "rooms", "--presets", "slow"], 2, "slow"),
            (&["eval", "rooms", "--presets", "paper+turbo"], 2, "+turbo"),
            (&["eval", "rooms", "--jobs", "0"], 2, "--jobs"),
            (
                &["eval", "rooms", "--sweep-scales", "1,x"],
                2,
                "not a number",
            ),
        ],
    );
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_that_this_build_cannot_use() {
    let args = ["edit", "ok.png", EDIT, "--device", "cuda"];
    refused(&with_picture(), &[(&args, 1, "--features cuda")]);
}

#[test]
fn without_a_command_help_is_shown() {
    let context = TestContext::new();
    for (args, says) in [(&[][..], "limekiln demo"), (&["eval"], "RoomBench")] {
        let done = context.run(args);
        assert_eq!((done.status, done.stdout.as_str()), (2, ""));
        assert!(done.stderr.contains(says), "{}", done.stderr);
    }
    let help = context.succeed(&["edit", "--help"]);
    for says in [
        "--finish",
        "--keep-outside",
        "LIMEKILN_MODEL",
        "default: 512",
        "Examples:",
    ] {
        assert!(help.contains(says), "{says}: {help}");
    }
}
