//! `limekiln edit --preset recolor`, from file to file.

use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;

use crate::context::{TestContext, checkpoint};
use crate::files::{encoded, mask, png};

/// A red board with grain between the columns 60 and 120, before a gray wall.
fn board() -> RgbImage {
    RgbImage::from_fn(192, 144, |x, y| {
        let grain = ((x * 7 + y * 13) % 9) as u8;
        Rgb(match (60..120).contains(&x) && (30..110).contains(&y) {
            true => [170 + grain, 44 + grain, 40 + grain],
            false => [150 + grain, 152 + grain, 148 + grain],
        })
    })
}

fn context() -> TestContext {
    let context = TestContext::new();
    context.write("board.png", png(board()));
    context.write("board.jpg", encoded(board(), ImageFormat::Jpeg));
    context.write("around.png", mask(192, 144, 50, 128));
    context.write(
        "teal.png",
        png(RgbImage::from_pixel(8, 8, Rgb([31, 111, 139]))),
    );
    context.write("spring.txt", "leaf, #2E7D32\nBrand Blue, #1F6F8B\n");
    context
}

/// The report of a recolor with these arguments.
#[track_caller]
fn recolored(context: &TestContext, image: &str, args: &[&str]) -> Value {
    let around = ["--mask", "around.png", "--matte"];
    let edit = ["edit", image, "recolor it", "--preset", "recolor", "--json"];
    // A model that there is not: none is opened.
    let model = ["--model", "hf:nobody/nothing"];
    let told = context.succeed(&[&edit, &around[..], &model, args].concat());
    serde_json::from_str(&told).unwrap()
}

#[test]
fn a_color_is_a_value_a_swatch_or_a_name_of_a_palette_and_needs_no_model() {
    let context = context();
    for (number, color) in [
        &["--color", "#1F6F8B"][..],
        &["--color", "@teal.png"],
        &["--color", "brand blue", "--palette", "spring.txt"],
    ]
    .iter()
    .enumerate()
    {
        let output = format!("{number}.png");
        let report = recolored(
            &context,
            "board.png",
            &[color, &["-o", &output][..]].concat(),
        );
        let recolor = &report["recolor"];
        assert_eq!(
            (&report["finish"], &recolor["to"]),
            (&"recolor".into(), &"#1F6F8B".into())
        );
        assert!(
            recolor["delta_e_median"].as_f64().unwrap() < 1.0,
            "{recolor}"
        );
        assert_eq!(recolor["materials"][0]["changed"], true);
        assert!(report.get("model").is_none());
    }
    let [one, other] = ["0.png", "2.png"].map(|name| std::fs::read(context.path(name)).unwrap());
    assert!(one == other);
}

#[test]
fn a_jpeg_keeps_its_blocks_and_verify_agrees() {
    let context = context();
    let report = recolored(
        &context,
        "board.jpg",
        &["--color", "teal", "--artifacts", "s"],
    );
    assert_eq!(report["file"]["format"], "jpeg");
    assert!(report["file"]["blocks_kept"].as_u64().unwrap() > 0);
    assert_eq!(report["composite"]["changed_outside_px"], 0);
    let result = report["output"].as_str().unwrap();
    let told = context.succeed(&["verify", "board.jpg", result, "s/matte.png"]);
    assert!(told.ends_with("the input's own\n"), "{told}");
}

#[test]
fn what_is_located_is_recolored_from_the_words() {
    let context = context();
    let model = checkpoint("sd1");
    let edit = [
        "edit",
        "board.png",
        "make the board teal",
        "--preset",
        "recolor",
        "--model",
        &model,
        "--size",
        "64",
        "--json",
        "-o",
        "out.png",
    ];
    // What a random model locates may be nothing that could be recolored: then it fails, and nothing is written.
    let done = context.run(&edit);
    if done.status == 0 {
        let report: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(report["recolor"]["words"], "teal");
        assert_eq!(
            (&report["steps"]["locate"], &report["steps"]["edit"]),
            (&1.into(), &0.into())
        );
    } else {
        assert!(done.stderr.contains("draw"), "{}", done.stderr);
        assert!(!context.path("out.png").exists());
    }
}
