//! What `limekiln edit` writes and reports.

use image::{GenericImageView, GrayImage, Rgb, RgbImage};
use serde_json::Value;

use crate::context::{TestContext, checkpoint};
use crate::files::{disc, encoded, gradient, half_clear, mask, png};

fn open(context: &TestContext, name: &str) -> image::DynamicImage {
    image::open(context.path(name)).unwrap()
}

#[test]
fn sizes_are_bounded_and_floored() {
    let context = TestContext::new();
    context.write("a.png", png(gradient(151, 101)));
    context.edit("a.png", &["--size", "64", "-o", "small.png"]);
    assert_eq!(
        open(&context, "small.png").dimensions(),
        (64, 42),
        "the VAE's factor is 2"
    );
    context.edit(
        "a.png",
        &["--size", "2048", "-o", "own.png", "--steps", "1"],
    );
    assert_eq!(
        open(&context, "own.png").dimensions(),
        (150, 100),
        "nothing is enlarged"
    );
    context.edit(
        "a.png",
        &["--size", "64", "--finish", "paste", "-o", "full.png"],
    );
    assert_eq!(open(&context, "full.png").dimensions(), (151, 101));
}

/// What the command reports of an edit with these arguments, and what it warns of.
fn reported(context: &TestContext, instruction: &str, args: &[&str]) -> (Value, String) {
    let model = checkpoint("sd1");
    let mut all = vec![
        "edit",
        "a.png",
        instruction,
        "--model",
        &model,
        "--size",
        "64",
        "--steps",
        "2",
        "--json",
    ];
    all.extend(args);
    let done = context.run(&all);
    assert_eq!(done.status, 0, "{args:?}: {}", done.stderr);
    (serde_json::from_str(&done.stdout).unwrap(), done.stderr)
}

#[test]
fn a_region_makes_the_result_as_large_as_the_input() {
    let context = TestContext::new();
    context.write("a.png", png(gradient(151, 101)));
    context.write("m.png", mask(151, 101, 60, 100));
    let red = "make the sofa red";
    for (instruction, args, finish) in [
        (red, &["--preset", "base"][..], "none"),
        (red, &["--preset", "official"], "detail"),
        (red, &["--preset", "official", "--finish", "paste"], "paste"),
        (red, &["--preset", "official", "--finish", "none"], "none"),
        (red, &["--preset", "base", "--mask", "m.png"], "detail"),
        (red, &["--preset", "base", "--finish", "paste"], "paste"),
        (red, &["--preset", "base", "--keep-outside"], "paste"),
        // No word says where: no region, and nobody asked for more; nor is there an object to carry anything over to.
        ("do it now", &["--preset", "paper"], "none"),
        (
            "do it now",
            &["--preset", "paper", "--finish", "detail"],
            "none",
        ),
        (
            "do it now",
            &["--preset", "paper", "--finish", "paste"],
            "paste",
        ),
    ] {
        let (report, warned) = reported(&context, instruction, args);
        assert_eq!(report["finish"], finish, "{args:?}");
        let full = finish != "none";
        let size = if full { [151, 101] } else { [64, 42] };
        assert_eq!(report["output_size"], serde_json::json!(size), "{args:?}");
        assert_eq!(report["composite"].is_object(), full, "{args:?}");
        assert_eq!(report["carry"].is_object(), finish == "detail", "{args:?}");
        let both = report["timings"]["decode_input_ms"].as_f64().unwrap() > 0.0;
        assert_eq!(both, finish == "detail", "{args:?}");
        let lost = instruction == "do it now" && finish == "none";
        for says in [report["warnings"].to_string(), warned.clone()] {
            assert_eq!(
                says.contains("no region was found"),
                lost,
                "{args:?}: {says}"
            );
        }
        let deprecated = args.contains(&"--keep-outside");
        assert_eq!(warned.contains("--keep-outside is deprecated"), deprecated);
    }
}

#[test]
fn names_beside_the_input_are_never_taken_twice() {
    let context = TestContext::new();
    let bytes = png(gradient(64, 64));
    context.write("a b.png", &bytes);
    assert_eq!(context.edit("a b.png", &[]), "a b-edited.png\n");
    assert_eq!(context.edit("a b.png", &[]), "a b-edited-2.png\n");
    assert_eq!(
        context.names(),
        ["a b-edited-2.png", "a b-edited.png", "a b.png"]
    );
    assert_eq!(std::fs::read(context.path("a b.png")).unwrap(), bytes);
}

#[test]
fn edits_at_once_write_a_file_each() {
    let context = TestContext::new();
    context.write("a.png", png(gradient(64, 64)));
    let model = checkpoint("sd1");
    let start = |seed: &str| {
        let args = [
            "edit",
            "a.png",
            "make the sofa red",
            "--model",
            &model,
            "--preset",
            "base",
        ];
        std::process::Command::new(env!("CARGO_BIN_EXE_limekiln"))
            .args(args)
            .args(["--steps", "1", "--seed", seed])
            .current_dir(context.path(""))
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let started = ["1", "2", "3"].map(start);
    let mut said: Vec<String> = started
        .map(|child| String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap())
        .into();
    said.sort();
    assert_eq!(
        said,
        ["a-edited-2.png\n", "a-edited-3.png\n", "a-edited.png\n"]
    );
    assert_eq!(context.names().len(), 4);
}

#[test]
fn a_jpeg_comes_back_as_one_with_its_blocks() {
    let context = TestContext::new();
    context.write(
        "a.jpg",
        encoded(gradient(157, 101), image::ImageFormat::Jpeg),
    );
    context.write("m.png", mask(157, 101, 60, 100));
    let small = ["--size", "64", "--steps", "1"];
    let pasted = ["--mask", "m.png", "--artifacts", "s"];
    let named = context.edit("a.jpg", &[small.as_slice(), &pasted].concat());
    assert_eq!(named, "a-edited.jpg\n");
    context.succeed(&["verify", "a.jpg", "a-edited.jpg", "s/matte.png"]);
    let report = std::fs::read(context.path("s/report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["file"]["format"], "jpeg");
    assert!(
        report["file"]["blocks_kept"].as_u64() > Some(10),
        "{report}"
    );
    // The model's own picture keeps nothing, and a name asks for its format.
    assert_eq!(context.edit("a.jpg", &small), "a-edited.png\n");
    context.edit(
        "a.jpg",
        &[small.as_slice(), &pasted, &["-o", "out.png"]].concat(),
    );
    context.succeed(&["verify", "a.jpg", "out.png", "s/matte.png"]);
}

#[test]
fn a_seed_is_a_picture() {
    let context = TestContext::new();
    context.write("a.png", png(gradient(64, 64)));
    for (seed, output) in [("7", "one.png"), ("7", "two.png"), ("8", "three.png")] {
        context.edit(
            "a.png",
            &["--seed", seed, "-o", output, "--preset", "official"],
        );
    }
    let read = |name| std::fs::read(context.path(name)).unwrap();
    assert_eq!(read("one.png"), read("two.png"));
    assert_ne!(read("one.png"), read("three.png"));
}

#[test]
fn outside_the_region_every_byte_is_the_inputs() {
    let context = TestContext::new();
    let (width, height) = (157, 101);
    let input = half_clear(width, height);
    context.write("a.png", png(input.clone()));
    context.write("m.png", mask(width, height, 60, 100));
    for output in ["out.png", "out.webp"] {
        let args = [
            "--size",
            "64",
            "--mask",
            "m.png",
            "-o",
            output,
            "--json",
            "--artifacts",
            "s",
        ];
        let report: Value = serde_json::from_str(&context.edit("a.png", &args)).unwrap();
        let feather = report["composite"]["feather_px"].as_u64().unwrap() as u32;
        assert_eq!(report["composite"]["changed_outside_px"], 0);
        let result = open(&context, output).into_rgba8();
        let mut changed_inside = 0;
        for (x, y, pixel) in result.enumerate_pixels() {
            let before = input.get_pixel(x, y);
            if x + feather < 60 || x >= 100 + feather {
                assert_eq!(pixel, before, "{x}, {y}");
            }
            assert_eq!(pixel.0[3], before.0[3], "transparency is kept");
            changed_inside += u32::from((60..100).contains(&x) && pixel != before);
        }
        assert!(changed_inside > 1000, "{changed_inside}");
    }
    let roi = open(&context, "s/roi.png").into_luma8();
    assert_eq!(
        roi,
        open(&context, "m.png").into_luma8(),
        "the user's mask is the region, to the pixel"
    );
}

#[test]
fn artifacts_show_every_stage() {
    let context = TestContext::new();
    context.write("a.png", png(gradient(130, 90)));
    context.edit(
        "a.png",
        &[
            "--preset",
            "official",
            "--size",
            "64",
            "--artifacts",
            "deep/stages",
        ],
    );
    for name in ["roi.png", "segments.png", "attention.png", "overlay.png"] {
        assert_eq!(
            open(&context, &format!("deep/stages/{name}")).dimensions(),
            (130, 90),
            "{name}"
        );
    }
    let roi: GrayImage = open(&context, "deep/stages/roi.png").into_luma8();
    assert!(roi.iter().all(|value| [0, 255].contains(value)) && roi.contains(&255));
    let report: Value =
        serde_json::from_slice(&std::fs::read(context.path("deep/stages/report.json")).unwrap())
            .unwrap();
    assert_eq!(report["artifacts"].as_array().unwrap().len(), 7);
    assert_eq!(
        latents_shape(&context, "deep/stages/latents.safetensors"),
        [1, 4, 22, 32]
    );
    // Of a large picture the region is as large, and the others are there to be looked at.
    context.write("large.png", png(gradient(2100, 700)));
    context.write("half.png", mask(2100, 700, 0, 1000));
    let args = [
        "--size",
        "64",
        "--steps",
        "1",
        "--mask",
        "half.png",
        "--artifacts",
        "large",
    ];
    context.edit("large.png", &args);
    assert_eq!(open(&context, "large/roi.png").dimensions(), (2100, 700));
    assert_eq!(
        open(&context, "large/overlay.png").dimensions(),
        (1024, 341)
    );
    // Plain edits have no region to show.
    context.edit("a.png", &["--size", "64", "--artifacts", "plain"]);
    assert!(
        !context.path("plain/roi.png").exists()
            && context.path("plain/latents.safetensors").exists()
    );
}

fn latents_shape(context: &TestContext, name: &str) -> [u64; 4] {
    let bytes = std::fs::read(context.path(name)).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    assert_eq!(header["latents"]["dtype"], "F32");
    let shape = header["latents"]["shape"].as_array().unwrap();
    assert_eq!(shape.len(), 4);
    std::array::from_fn(|i| shape[i].as_u64().unwrap())
}

#[test]
fn the_report_says_what_determined_the_result() {
    let context = TestContext::new();
    context.write("a.png", png(gradient(80, 64)));
    let args = [
        "--json",
        "--preset",
        "paper",
        "--text-scale",
        "4",
        "--points",
        "3",
        "--scheduler",
        "ddim",
        "--seed",
        "5",
        "--finish",
        "none",
    ];
    let report: Value = serde_json::from_str(&context.edit("a.png", &args)).unwrap();
    for (pointer, value) in [
        ("/input", Value::from("a.png")),
        ("/finish", "none".into()),
        ("/output", "a-edited.png".into()),
        ("/input_size", vec![80, 64].into()),
        ("/output_size", vec![80, 64].into()),
        ("/seed", 5.into()),
        ("/instruction", "make the sofa red".into()),
        ("/preset/edit/scales/text", 4.0.into()),
        ("/preset/locate/select/points", 3.into()),
        ("/preset/edit/scheduler", "ddim".into()),
        ("/device", "cpu".into()),
        ("/dtype", "f32".into()),
        ("/model", "sd1".into()),
        ("/composite", Value::Null),
    ] {
        assert_eq!(report.pointer(pointer), Some(&value), "{pointer}");
    }
    for pointer in [
        "/timings/edit_ms",
        "/roi_share",
        "/inertia",
        "/change/outside",
        "/change/inside",
    ] {
        assert!(
            report.pointer(pointer).is_some_and(Value::is_number),
            "{pointer}"
        );
    }
    assert!(!report["tokens_read"].as_array().unwrap().is_empty());
    assert!(!report["tokens_moved"].as_array().unwrap().is_empty());
}

#[test]
fn nothing_to_locate_is_said_and_edited_plainly() {
    let context = TestContext::new();
    context.write("a.png", png(gradient(64, 64)));
    let model = checkpoint("sd1");
    let done = context.run(&[
        "edit",
        "a.png",
        "do it now",
        "--model",
        &model,
        "--steps",
        "2",
        "--json",
        "--preset",
        "paper",
    ]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert!(
        report["warnings"][0]
            .as_str()
            .unwrap()
            .contains("without localisation"),
        "{report}"
    );
    assert!(
        done.stderr.contains("warning: no word of the instruction"),
        "{}",
        done.stderr
    );
}

#[test]
fn the_built_in_model_edits_rooms_and_is_honest_about_photographs() {
    let context = TestContext::new();
    context.succeed(&["rooms", "--count", "1", "--size", "160", "--out", "."]);
    let photo = RgbImage::from_fn(160, 120, |x, y| {
        Rgb([(x * 37 + y * 91) as u8, (x * y) as u8, (x ^ y) as u8])
    });
    context.write("photo.png", png(photo));
    let edit = |image| {
        let done = context.run(&[
            "edit",
            image,
            "make the sofa red",
            "--steps",
            "1",
            "--preset",
            "base",
            "--json",
        ]);
        assert_eq!(done.status, 0, "{}", done.stderr);
        let report: Value = serde_json::from_str(&done.stdout).unwrap();
        (
            report["output_size"].clone(),
            done.stderr
                .contains("--model hf:timbrooks/instruct-pix2pix"),
        )
    };
    assert_eq!(
        edit("00000-input.png"),
        (vec![128, 128].into(), false),
        "its own size, and no warning"
    );
    assert_eq!(edit("photo.png"), (vec![128, 96].into(), true));
}

#[test]
fn an_edit_comes_to_the_full_size_and_nothing_else_does() {
    let context = TestContext::new();
    context.write("a.png", png(disc()));
    let round = RgbImage::from_fn(256, 192, |x, y| {
        let inside = (x as i32 - 120).pow(2) + (y as i32 - 90).pow(2) < 50 * 50;
        Rgb([if inside { 255 } else { 0 }; 3])
    });
    context.write("m.png", png(round));
    for (extra, way) in [
        (&["--color", "#1F6F8B", "--carry", "color"][..], "color"),
        (&["--carry", "color"], "color"),
        (&["--carry", "enlarged"], "enlarged"),
    ] {
        let mut args = vec!["--preset", "base", "--mask", "m.png", "-o", "out.png"];
        args.extend(["--artifacts", "stages"]);
        args.extend(extra);
        let (report, _) = reported(&context, "make the disc blue", &args);
        assert_eq!(report["finish"], "detail", "{report}");
        assert_eq!(report["carry"]["way"], way, "{report}");
        let exact = extra.contains(&"--color");
        assert_eq!(report["recolor"]["to"] == "#1F6F8B", exact, "{report}");
        assert_eq!(report["composite"]["changed_outside_px"], 0);
        let before = &report["composite"]["outside_before"];
        assert_eq!(*before, report["composite"]["outside_after"]);
        let (input, out) = (open(&context, "a.png"), open(&context, "out.png"));
        let matte = open(&context, "stages/matte.png");
        let pixels = input.pixels().zip(out.pixels()).zip(matte.pixels());
        assert!(pixels.clone().any(|((a, b), _)| a != b));
        for ((input, out), matte) in pixels {
            assert!(matte.2.0[0] > 0 || input == out);
        }
        let proof = ["verify", "a.png", "out.png", "stages/matte.png"];
        assert_eq!(context.run(&proof).status, 0);
    }
}
