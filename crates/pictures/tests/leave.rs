//! Files that leave, and what `verify` says of them.

#![expect(clippy::unwrap_used, reason = "a failure is the test's answer")]

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use limekiln_pictures::verify::Unread;
use limekiln_pictures::{
    Colors, Format, Left, Limits, Original, Source, Verdict, Warning, Wish, leave, leave_bytes,
    verify,
};
use moxcms::ColorProfile;

fn jpeg(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/jpeg/{name}.jpg", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// A profile's bytes.
fn profile(profile: ColorProfile) -> Vec<u8> {
    profile.encode().unwrap()
}

/// A JPEG with one more segment, behind its start.
fn with_segment(jpeg: &[u8], marker: u8, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, marker], &length, data, &jpeg[2..]].concat()
}

fn png(pixels: impl Into<DynamicImage>) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    pixels.into().write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

/// A matte of the upright picture: `x` by `y` pixels from 8, 8 on.
fn matte((width, height): (u32, u32), x: u32, y: u32) -> GrayImage {
    GrayImage::from_fn(width, height, |u, v| {
        Luma([if (8..8 + x).contains(&u) && (8..8 + y).contains(&v) {
            9
        } else {
            0
        }])
    })
}

/// An input edited inside a matte, as it is stored.
struct Edit {
    input: Vec<u8>,
    stored: Vec<u8>,
    matte: GrayImage,
}

impl Edit {
    fn of(input: Vec<u8>) -> Self {
        let (mut result, _) = Original::read(&input, &Limits::FILE).unwrap();
        let matte = matte(result.size(), 11, 15);
        match &mut result.colors {
            Colors::Eight(pixels) => edited(pixels, &matte, Rgb([220, 30, 60])),
            Colors::Sixteen(pixels) => edited(pixels, &matte, Rgb([60_000, 9_001, 302])),
        }
        Self {
            stored: result.encode(Format::Png).unwrap(),
            input,
            matte,
        }
    }

    fn leave(&self, wish: &Wish) -> Left {
        let source = Some(Source {
            input: &self.input,
            matte: &self.matte,
        });
        assert!(leave_bytes(&self.stored, source, wish, &Limits::FILE).unwrap() > 0);
        leave(&self.stored, source, wish, &Limits::FILE).unwrap()
    }

    fn verify(&self, result: &[u8]) -> Verdict {
        verify(
            &self.input,
            result,
            &[&png(self.matte.clone())],
            &Limits::FILE,
        )
        .unwrap()
    }
}

fn edited<P: image::Pixel>(
    pixels: &mut image::ImageBuffer<P, Vec<P::Subpixel>>,
    matte: &GrayImage,
    color: P,
) {
    for (pixel, value) in pixels.pixels_mut().zip(matte.iter()) {
        if *value != 0 {
            *pixel = color;
        }
    }
}

/// Bytes of a PNG that look like a JPEG's header say nothing of what a JPEG made of it takes.
#[test]
fn a_jpeg_of_a_png_takes_what_its_pixels_take() {
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let input = png(RgbImage::from_fn(256, 192, |_, _| {
        Rgb([noise(), noise(), noise()])
    }));
    let edit = Edit::of(input);
    let wish = Wish {
        format: Some(Format::Jpeg),
        ..Wish::default()
    };
    let source = Some(Source {
        input: &edit.input,
        matte: &edit.matte,
    });
    let needed = leave_bytes(&edit.stored, source, &wish, &Limits::FILE).unwrap();
    assert!(needed < 40 * 256 * 192, "{needed}");
    assert!(edit.leave(&wish).moved.is_some());
}

#[test]
fn a_jpeg_comes_back_with_its_blocks() {
    for name in ["420", "420-turned", "422-progressive", "444", "rgb"] {
        let edit = Edit::of(jpeg(name));
        let left = edit.leave(&Wish::default());
        assert_eq!((left.format, left.moved), (Format::Jpeg, None), "{name}");
        let count = left.blocks.unwrap();
        assert!(
            count.touched > 0 && count.kept > count.touched,
            "{name}: {count:?}"
        );
        let verdict = edit.verify(&left.bytes);
        assert!(verdict.kept, "{name}: {verdict:?}");
        let blocks = verdict.blocks.unwrap();
        assert_eq!(
            (blocks.touched, blocks.untouched),
            (count.touched, count.kept)
        );
        assert_eq!(verdict.matte.bounds, Some([8, 8, 11, 15]));
        // The result was changed in those blocks.
        let verdict = verify(
            &edit.input,
            &left.bytes,
            &[&png(matte(verdict.size, 1, 1))],
            &Limits::FILE,
        );
        let verdict = verdict.unwrap();
        assert!(
            verdict.blocks.unwrap().changed > 0 && !verdict.kept,
            "{name}"
        );
        assert!(
            verdict.faults[0].contains("blocks that the matte does not reach differ"),
            "{verdict:?}"
        );
        // The stored result is the input's outside the matte, as one decoder sees both.
        let verdict = edit.verify(&edit.stored);
        let pixels = verdict.pixels.unwrap();
        assert!(
            verdict.kept && pixels.changed == 0 && pixels.before == pixels.after,
            "{name}"
        );
    }
}

#[test]
fn a_gray_jpeg_keeps_its_blocks_and_gets_colors_where_the_edit_has_any() {
    // Adobe's segment says of one component that it is no YCbCr, which would be another picture of three.
    let adobe = b"Adobe\0\x64\0\0\0\0\0";
    for input in [jpeg("gray"), with_segment(&jpeg("gray"), 0xEE, adobe)] {
        let edit = Edit::of(input);
        let left = edit.leave(&Wish::default());
        let count = left.blocks.unwrap();
        assert_eq!(
            (left.format, left.anew, left.moved),
            (Format::Jpeg, None, None)
        );
        let verdict = edit.verify(&left.bytes);
        assert!(verdict.kept, "{verdict:?}");
        let blocks = verdict.blocks.unwrap();
        assert_eq!(
            (blocks.touched, blocks.untouched),
            (count.touched, count.kept)
        );
        let (before, _) = Original::read(&edit.input, &Limits::FILE).unwrap();
        let (after, _) = Original::read(&left.bytes, &Limits::FILE).unwrap();
        let (Colors::Eight(before), Colors::Eight(after)) = (before.colors, after.colors) else {
            panic!("a JPEG has 8 bits");
        };
        assert_eq!(before.get_pixel(50, 40), after.get_pixel(50, 40));
        let Rgb([red, green, _]) = *after.get_pixel(13, 14);
        assert!(red > 190 && green < 70, "{red} {green}");
        // A color where the matte does not reach is found.
        let verdict = verify(
            &edit.input,
            &left.bytes,
            &[&png(matte(verdict.size, 1, 1))],
            &Limits::FILE,
        );
        assert!(verdict.unwrap().blocks.unwrap().changed > 0);
    }

    let mut edit = Edit::of(jpeg("gray"));
    let (mut result, _) = Original::read(&edit.input, &Limits::FILE).unwrap();
    if let Colors::Eight(pixels) = &mut result.colors {
        edited(pixels, &edit.matte, Rgb([99; 3]));
    }
    edit.stored = result.encode(Format::Png).unwrap();
    let left = edit.leave(&Wish::default());
    assert!(edit.verify(&left.bytes).kept);
    let (gray, lost) = Original::read(&left.bytes, &Limits::FILE).unwrap();
    assert_eq!(lost, [Warning::Converted("gray")], "its file is gray still");
    let Colors::Eight(pixels) = gray.colors else {
        panic!("a JPEG has 8 bits")
    };
    assert!(pixels.get_pixel(13, 14).0[0].abs_diff(99) < 20);
}

#[test]
fn what_is_hidden_does_not_show_at_the_edge_of_a_smaller_picture() {
    // Red is hidden around a green square.
    let square = |x: u32, y: u32| (17..47).contains(&x) && (17..47).contains(&y);
    let input = RgbaImage::from_fn(64, 64, |x, y| match square(x, y) {
        true => Rgba([0, 200, 0, 255]),
        false => Rgba([255, 0, 0, 0]),
    });
    let result = png(input);
    for format in [Format::Png, Format::WebP] {
        let wish = Wish {
            format: Some(format),
            max_side: Some(21),
            ..Wish::default()
        };
        let left = leave(&result, None, &wish, &Limits::FILE).unwrap();
        let (read, _) = Original::read(&left.bytes, &Limits::FILE).unwrap();
        let picture = read.picture();
        let alpha = picture.alpha.unwrap();
        for (color, alpha) in picture.rgb.pixels().zip(alpha.iter()) {
            if *alpha > 8 {
                assert!(color.0[0] < 8, "{color:?} is seen at {alpha}");
            }
        }
        assert!(
            alpha.iter().any(|alpha| (40..215).contains(alpha)),
            "the edge is soft"
        );
        assert_eq!(
            picture.rgb.get_pixel(0, 0).0,
            [255, 0, 0],
            "what is hidden stays"
        );
    }
}

#[test]
fn a_turned_jpeg_keeps_its_tag_and_loses_its_thumbnail() {
    let edit = Edit::of(jpeg("420-turned"));
    let left = edit.leave(&Wish::default()).bytes;
    let ends = |bytes: &[u8]| {
        bytes
            .windows(2)
            .filter(|pair| pair == &[0xFF, 0xD8])
            .count()
    };
    assert_eq!((ends(&edit.input), ends(&left)), (2, 1));
    let (before, _) = Original::read(&edit.input, &Limits::FILE).unwrap();
    let (after, _) = Original::read(&left, &Limits::FILE).unwrap();
    assert_eq!(after.size(), (45, 61));
    assert_eq!(after.metadata.stored, before.metadata.stored);
    assert_eq!(after.metadata.resolution, before.metadata.resolution);

    // Without metadata it lies the same way.
    let bare = Wish {
        strip_metadata: true,
        ..Wish::default()
    };
    let left = edit.leave(&bare).bytes;
    let (after, _) = Original::read(&left, &Limits::FILE).unwrap();
    assert_eq!(after.metadata.stored, before.metadata.stored);
    assert!(edit.verify(&left).kept);
    // What lost its tag lies on its side.
    let tag = left.windows(6).position(|w| w == b"Exif\0\0").unwrap();
    let mut untagged = left.clone();
    untagged[tag] = b'x';
    let verdict = edit.verify(&untagged);
    assert_eq!(verdict.faults, ["the result is 61x45 and the input 45x61"]);
}

#[test]
fn the_header_goes_through() {
    let edit = Edit::of(jpeg("420"));
    let left = edit.leave(&Wish::default()).bytes;
    let comment = |bytes: &[u8]| bytes.windows(9).any(|w| w == b"a comment");
    assert!(comment(&edit.input) && comment(&left));
    assert_eq!(left[..20], edit.input[..20], "JFIF and its density");
    let bare = Wish {
        strip_metadata: true,
        ..Wish::default()
    };
    assert!(!comment(&edit.leave(&bare).bytes));
}

#[test]
fn what_has_no_blocks_to_keep_is_coded_anew_and_says_what_moved() {
    let power = profile(ColorProfile::new_gray_with_gamma(1.8));
    for (name, input) in [
        (
            "gray",
            with_segment(
                &jpeg("gray"),
                0xE2,
                &[b"ICC_PROFILE\0\x01\x01", &power[..]].concat(),
            ),
        ),
        ("cmyk", jpeg("cmyk")),
    ] {
        let edit = Edit::of(input);
        let left = edit.leave(&Wish::default());
        assert_eq!((left.format, left.blocks), (Format::Jpeg, None), "{name}");
        let (moved, why) = (left.moved.unwrap(), left.anew.unwrap());
        assert!(
            moved > 0 && (why.contains("gray") || why.contains("print")),
            "{name}: {why}"
        );
        let verdict = edit.verify(&left.bytes);
        assert!(!verdict.kept, "{name}");
        let verdict_pixels = verdict.pixels.unwrap();
        assert_eq!(verdict_pixels.changed, moved, "{name}");
        assert!(
            verdict.faults[0].contains("coded anew"),
            "{:?}",
            verdict.faults
        );
        assert!(edit.verify(&edit.stored).kept, "{name}");
    }
    // So is a picture that was no JPEG, and one for which a quality is asked.
    let edit = Edit::of(png(RgbImage::from_fn(40, 40, |x, y| {
        Rgb([(x * 6) as u8, (y * 5) as u8, 7])
    })));
    let left = edit.leave(&Wish {
        format: Some(Format::Jpeg),
        ..Wish::default()
    });
    assert!(left.blocks.is_none() && left.moved.is_some());
    let edit = Edit::of(jpeg("420"));
    let left = edit.leave(&Wish {
        quality: Some(70),
        ..Wish::default()
    });
    assert!(left.blocks.is_none() && left.moved.is_some_and(|moved| moved > 500));
}

#[test]
fn a_wish_is_met() {
    let edit = Edit::of(jpeg("420-turned"));
    let png = Wish {
        format: Some(Format::Png),
        ..Wish::default()
    };
    assert_eq!(edit.leave(&png).bytes, edit.stored);
    for format in [Format::Png, Format::WebP, Format::Jpeg] {
        let small = Wish {
            format: Some(format),
            max_side: Some(30),
            ..Wish::default()
        };
        let left = edit.leave(&small);
        let (read, _) = Original::read(&left.bytes, &Limits::FILE).unwrap();
        assert_eq!((read.format, read.size()), (format, (22, 30)));
        assert_eq!((left.blocks, left.moved), (None, None));
        let large = Wish {
            max_side: Some(61),
            ..small
        };
        assert_eq!(edit.leave(&large).blocks.is_some(), format == Format::Jpeg);
    }
    // Without what it was laid over, a result leaves as it is.
    let left = leave(&edit.stored, None, &Wish::default(), &Limits::FILE).unwrap();
    assert_eq!((left.format, left.bytes), (Format::Png, edit.stored));
}

#[test]
fn one_sample_off_by_one_is_found() {
    let deep = image::ImageBuffer::from_fn(40, 30, |x, y| {
        Rgba([
            (x * 1500) as u16,
            (y * 2000) as u16,
            77,
            (x * 900 + 20_000) as u16,
        ])
    });
    let edit = Edit::of(png(deep));
    let verdict = edit.verify(&edit.stored);
    assert!(verdict.kept, "{verdict:?}");
    assert_eq!(verdict.pixels.unwrap().pixels, 40 * 30 - 11 * 15);
    let read = image::load_from_memory(&edit.stored).unwrap().into_rgba16();
    for channel in 0..4 {
        let mut off = read.clone();
        off.get_pixel_mut(39, 29).0[channel] += 1;
        let verdict = edit.verify(&png(off));
        let pixels = verdict.pixels.unwrap();
        assert_eq!(
            (verdict.kept, pixels.changed, pixels.largest),
            (false, 1, 1),
            "{channel}"
        );
        assert!(
            verdict.faults[0].contains("by up to 1 of 65535"),
            "{:?}",
            verdict.faults
        );
        assert_ne!(pixels.before, pixels.after);
        // Inside, it may be anything.
        let mut inside = read.clone();
        inside.get_pixel_mut(9, 9).0[channel] = 5;
        assert!(edit.verify(&png(inside)).kept);
    }
    let shallow = edit.verify(&png(DynamicImage::from(read).into_rgba8()));
    assert!(
        shallow.faults[0].contains("8 bits a channel and the input 16"),
        "{:?}",
        shallow.faults
    );
}

#[test]
fn hashed_is_what_the_documentation_says() {
    let pixels = RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8, y as u8, 9]));
    let matte = GrayImage::from_fn(3, 2, |x, _| Luma([if x == 1 { 1 } else { 0 }]));
    let file = png(pixels.clone());
    let found = verify(&file, &file, &[&png(matte)], &Limits::FILE)
        .unwrap()
        .pixels
        .unwrap();
    let bytes = [[0, 0, 9], [2, 0, 9], [0, 1, 9], [2, 1, 9]].concat();
    assert_eq!(found.before, blake3::hash(&bytes).to_hex().as_str());
    assert_eq!((found.pixels, found.before), (4, found.after));
}

#[test]
fn sizes_unions_and_files_that_cant_be_read() {
    let edit = Edit::of(jpeg("444"));
    let of = |mattes: &[&[u8]]| verify(&edit.input, &edit.stored, mattes, &Limits::FILE);
    let small = png(GrayImage::new(60, 45));
    assert_eq!(
        of(&[&small]).unwrap().faults,
        ["the matte is 60x45 and the input 61x45"]
    );
    // Two mattes that hold the edit together.
    let whole = edit.matte.clone();
    let mut halves = [whole.clone(), whole];
    for (x, y, _) in edit.matte.enumerate_pixels() {
        halves[(y < 12) as usize].put_pixel(x, y, Luma([0]));
    }
    let [one, other] = halves.map(png);
    assert!(!of(&[&one]).unwrap().kept && !of(&[&other]).unwrap().kept);
    assert!(of(&[&one, &other]).unwrap().kept);
    let unread = |found: Result<Verdict, Unread>| found.unwrap_err().file;
    assert_eq!(unread(of(&[&one, b"no picture"])), 3);
    let limits = &Limits::FILE;
    assert_eq!(unread(verify(b"", &edit.stored, &[&one], limits)), 0);
    assert_eq!(
        unread(verify(&edit.input, &edit.stored[..99], &[&one], limits)),
        1
    );
}
