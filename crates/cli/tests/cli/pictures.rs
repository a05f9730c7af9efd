//! Pictures of every kind go in and come out as they should.

use image::{DynamicImage, GenericImageView, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, Rgba};

use limekiln_pictures::original::Resolution;
use limekiln_pictures::{Format, Limits, Original};

use crate::context::TestContext;
use crate::files::{encoded, gradient, half_clear, jpeg_oriented, png};

#[test]
fn every_kind_is_read() {
    let context = TestContext::new();
    let (w, h) = (64, 48);
    let kinds: [(&str, Vec<u8>); 8] = [
        ("rgb.png", png(gradient(w, h))),
        (
            "gray.png",
            png(ImageBuffer::from_fn(w, h, |x, y| Luma([(x + y) as u8]))),
        ),
        (
            "gray-alpha.png",
            png(ImageBuffer::from_fn(w, h, |x, y| {
                LumaA([(x + y) as u8, 255])
            })),
        ),
        (
            "gray16.png",
            png(ImageBuffer::from_fn(w, h, |x, y| {
                Luma([(x * y) as u16 * 20])
            })),
        ),
        (
            "rgb16.png",
            png(ImageBuffer::from_fn(w, h, |x, y| {
                Rgb([x as u16 * 1000, y as u16 * 1000, 7])
            })),
        ),
        (
            "rgba16.png",
            png(ImageBuffer::from_fn(w, h, |x, y| {
                Rgba([x as u16 * 1000, y as u16 * 1000, 7, u16::MAX])
            })),
        ),
        (
            "gray.jpg",
            encoded(
                ImageBuffer::from_fn(w, h, |x, y| Luma([(x + y) as u8])),
                ImageFormat::Jpeg,
            ),
        ),
        ("rgb.webp", encoded(gradient(w, h), ImageFormat::WebP)),
    ];
    for (name, bytes) in kinds {
        context.write(name, bytes);
        context.edit(name, &["-o", "out.png", "--steps", "1"]);
        let result = image::open(context.path("out.png")).unwrap();
        assert_eq!(result.dimensions(), (w, h), "{name}");
        let kept = match result {
            DynamicImage::ImageRgb8(_) => !name.contains("16"),
            DynamicImage::ImageRgb16(_) => name.contains("16"),
            _ => false,
        };
        assert!(kept, "{name}: its depth, and nothing was transparent");
    }
}

fn original(bytes: &[u8]) -> Original {
    Original::read(bytes, &Limits::FILE).unwrap().0
}

#[test]
fn color_depth_and_metadata_go_through() {
    let context = TestContext::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/reference/files");
    for name in ["adobe.png", "p3-420.jpg"] {
        std::fs::copy(format!("{folder}/{name}"), context.path(name)).unwrap();
    }
    let deep = ImageBuffer::from_fn(64, 48, |x, y| Rgb([x as u16 * 1000, y as u16 * 1300, 7]));
    let mut deep = original(&png(deep));
    deep.space = original(&std::fs::read(context.path("adobe.png")).unwrap()).space;
    deep.metadata.resolution = Some(Resolution::per_inch(300.0, 300.0));
    context.write("deep.png", deep.encode(Format::Png).unwrap());
    context.write("m.png", crate::files::mask(64, 48, 0, 2));
    let with = |name, more: &[&str]| {
        let args = [
            "--keep-outside",
            "--mask",
            "m.png",
            "-o",
            "out.png",
            "--steps",
            "1",
        ];
        context.edit(name, &[&args[..], more].concat());
        let read = |name| original(&std::fs::read(context.path(name)).unwrap());
        (read(name), read("out.png"))
    };
    for name in ["adobe.png", "p3-420.jpg", "deep.png"] {
        let (before, after) = with(name, &[]);
        assert!(before.space.icc().is_some());
        assert_eq!(after.space, before.space, "{name}");
        assert_eq!(after.depth(), before.depth(), "{name}");
        assert_eq!(
            after.metadata.resolution, before.metadata.resolution,
            "{name}"
        );
        // The mask's white is at the left.
        let outside = |original: &Original| {
            (0..48)
                .map(|y| original.colors.row(y)[150..].to_vec())
                .collect::<Vec<_>>()
        };
        assert_eq!(outside(&before), outside(&after), "{name}");
        if name == "deep.png" {
            let inside = after.colors.row(20)[..30].to_vec();
            assert!(
                inside.iter().any(|value| value % 257 != 0),
                "more than 8 bits: {inside:?}"
            );
        }
    }
    let (before, after) = with("deep.png", &["--strip-metadata"]);
    assert_eq!(
        (after.metadata.resolution, after.space),
        (None, before.space)
    );
}

#[test]
fn what_does_not_go_through_is_told() {
    let context = TestContext::new();
    context.write(
        "gray.png",
        png(ImageBuffer::from_fn(64, 48, |x, y| Luma([(x + y) as u8]))),
    );
    context.edit(
        "gray.png",
        &["-o", "out.png", "--steps", "1", "--artifacts", "stages"],
    );
    let report = std::fs::read_to_string(context.path("stages/report.json")).unwrap();
    assert!(report.contains("the picture is gray"), "{report}");
}

#[test]
fn contents_decide_not_names() {
    let context = TestContext::new();
    context.write("picture.png", encoded(gradient(64, 48), ImageFormat::WebP));
    context.edit("picture.png", &["-o", "out.png", "--steps", "1"]);
}

#[test]
fn photographs_are_turned_upright() {
    let context = TestContext::new();
    // Red on the left; turned by a quarter clockwise (6) it is red on top.
    let sideways = image::RgbImage::from_fn(64, 32, |x, _| {
        Rgb(if x < 32 { [250, 10, 10] } else { [10, 10, 250] })
    });
    context.write("turned.jpg", jpeg_oriented(sideways, 6));
    let args = ["--mask", "m.png", "-o", "out.png", "--steps", "1"];
    context.write("m.png", crate::files::mask(32, 64, 0, 2));
    context.edit("turned.jpg", &args);
    let result = image::open(context.path("out.png")).unwrap().into_rgb8();
    assert_eq!(result.dimensions(), (32, 64));
    assert!(result.get_pixel(28, 5).0[0] > 200 && result.get_pixel(28, 58).0[2] > 200);
}

#[test]
fn transparency_is_kept_where_the_format_can() {
    let context = TestContext::new();
    context.write("clear.png", png(half_clear(64, 48)));
    for (output, kept) in [("out.png", true), ("out.webp", true), ("out.jpg", false)] {
        context.edit("clear.png", &["-o", output, "--steps", "1"]);
        let result = image::open(context.path(output)).unwrap();
        assert_eq!(result.color().has_alpha(), kept, "{output}");
        if kept {
            let alpha = |x, y| result.get_pixel(x, y).0[3];
            assert_eq!((alpha(5, 5), alpha(60, 40)), (0, 255), "{output}");
        }
    }
}

#[test]
fn files_get_ordinary_permissions() {
    let context = TestContext::new();
    context.write("a.png", png(gradient(64, 48)));
    context.edit("a.png", &["-o", "out.png", "--steps", "1"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name| {
            std::fs::metadata(context.path(name))
                .unwrap()
                .permissions()
                .mode()
        };
        assert_eq!(mode("out.png"), mode("a.png"), "as any program's new file");
    }
}
