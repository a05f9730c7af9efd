//! `limekiln verify`, on what `limekiln edit` made.

use image::GrayImage;
use serde_json::Value;

use crate::context::TestContext;
use crate::files::{gradient, half_clear, jpeg_oriented, mask, png};

/// A picture edited between its columns 60 and 100.
fn edited(input: &str, bytes: Vec<u8>, output: &str) -> TestContext {
    let context = TestContext::new();
    context.write(input, bytes);
    context.write("m.png", mask(157, 101, 60, 100));
    let args = [
        "--size",
        "64",
        "--mask",
        "m.png",
        "--keep-outside",
        "--steps",
        "1",
    ];
    let files = ["-o", output, "--artifacts", "s"];
    context.edit(input, &[args.as_slice(), &files].concat());
    context
}

#[test]
fn a_result_is_its_inputs_own_outside_the_matte() {
    let context = edited("a.png", png(half_clear(157, 101)), "out.png");
    let told = context.succeed(&["verify", "a.png", "out.png", "s/matte.png"]);
    assert!(
        told.contains("of 157x101") && told.ends_with("the input's own\n"),
        "{told}"
    );
    let json = context.succeed(&["verify", "a.png", "out.png", "s/matte.png", "--json"]);
    let found: Value = serde_json::from_str(&json).unwrap();
    let bounds = &found["matte"]["bounds"];
    assert_eq!(found["kept"], true);
    assert_eq!(
        (bounds[1].as_u64(), bounds[3].as_u64()),
        (Some(0), Some(101))
    );
    // The report says the same of those pixels.
    let report = std::fs::read(context.path("s/report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let (seam, pixels) = (&report["composite"], &found["pixels"]);
    assert_eq!(seam["outside_px"], pixels["pixels"]);
    for digest in [&seam["outside_before"], &seam["outside_after"]] {
        assert_eq!(digest, &pixels["before"]);
        assert_eq!(digest, &pixels["after"]);
    }

    let mut off = image::open(context.path("out.png")).unwrap().into_rgba8();
    off.get_pixel_mut(156, 100).0[3] -= 1;
    context.write("off.png", png(off));
    let done = context.run(&["verify", "a.png", "off.png", "s/matte.png"]);
    assert_eq!(done.status, 1);
    assert!(
        done.stderr.contains("off.png: 1 of ") && done.stderr.contains("by up to 1 of 255"),
        "{}",
        done.stderr
    );
    assert_eq!(done.stderr.lines().count(), 1);

    context.write("small.png", png(GrayImage::new(156, 101)));
    for (args, status, says) in [
        (
            ["a.png", "out.png", "small.png"],
            1,
            "the matte is 156x101 and the input 157x101",
        ),
        (
            ["a.png", "small.png", "s/matte.png"],
            1,
            "the result is 156x101",
        ),
        (
            ["a.png", "gone.png", "s/matte.png"],
            2,
            "gone.png: no such file",
        ),
        (["a.png", "out.png", "s/report.json"], 2, "s/report.json: "),
    ] {
        let done = context.run(&[["verify"].as_slice(), &args].concat());
        assert_eq!(done.status, status, "{}", done.stderr);
        assert!(done.stderr.contains(says), "{}", done.stderr);
    }
}

#[test]
fn a_jpeg_is_compared_as_it_lies() {
    let turned = jpeg_oriented(gradient(101, 157), 6);
    let context = edited("a.jpg", turned, "out.png");
    let told = context.succeed(&["verify", "a.jpg", "out.png", "s/matte.png"]);
    assert!(told.contains("outside the matte: 0 differ"), "{told}");
}
