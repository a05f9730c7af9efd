//! Color profiles and depth.

use std::collections::HashSet;

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba};
use limekiln_pictures::compose::{Pasted, paste};
use limekiln_pictures::{Colors, Depth, Error, Format, Limits, Original, Warning};
use safetensors::SafeTensors;

use crate::support::{encoded, exif, picture, read, reference, with_chunk, with_segment};

/// Largest difference from LittleCMS in 255, by file. JPEGs are decoded by another library, which rounds, and spreads
/// colors of one sample in four, in its own way. Of inks, LittleCMS's own quick and exact ways differ by as much.
const CASES: [(&str, u8); 9] = [
    ("p3.png", 1),
    ("adobe.png", 1),
    ("gray.png", 1),
    ("p3-444.jpg", 3),
    ("adobe-444.jpg", 3),
    ("p3-420.jpg", 40),
    ("adobe-420.jpg", 40),
    ("cmyk-plain.jpg", 3),
    ("cmyk.jpg", 14),
];

#[test]
fn models_see_what_littlecms_makes_of_it() {
    let golden = reference("golden/colors.safetensors");
    let golden = SafeTensors::deserialize(&golden).unwrap();
    let mut worst = Vec::new();
    for (name, most) in CASES {
        let seen = read(&reference(&format!("files/{name}"))).0.picture().rgb;
        let want = golden.tensor(name).unwrap();
        assert_eq!(want.shape(), [48, 64, 3], "{name}");
        let off = seen.iter().zip(want.data()).map(|(a, b)| a.abs_diff(*b));
        let mean = off.clone().map(f64::from).sum::<f64>() / seen.len() as f64;
        worst.push((name, off.max().unwrap(), most, mean));
    }
    println!("{worst:?}");
    assert!(
        worst
            .iter()
            .all(|(_, off, most, mean)| off <= most && *mean < 1.2),
        "{worst:?}"
    );
}

#[test]
fn a_profile_goes_through_every_format() {
    for name in ["p3.png", "adobe.png"] {
        let (original, warnings) = read(&reference(&format!("files/{name}")));
        assert_eq!(warnings, [], "{name}");
        let icc = original.space.icc().unwrap();
        for format in [Format::Png, Format::WebP, Format::Jpeg] {
            let (again, _) = read(&original.encode(format).unwrap());
            assert_eq!(again.space.icc(), Some(icc), "{name} as {format:?}");
            if format.is_lossless() {
                assert_eq!(again.colors, original.colors, "{name} as {format:?}");
            }
        }
        // A model's picture comes back into the space: what it sees of that is what it gave, but for rounding.
        let shown = original.picture().rgb;
        let seen = original.with_colors(&shown.clone().into()).picture().rgb;
        let off = seen
            .iter()
            .zip(shown.iter())
            .map(|(a, b)| f64::from(a.abs_diff(*b)));
        let mean = off.sum::<f64>() / seen.len() as f64;
        assert!(mean < 1.0, "{name}: {mean}");
    }
}

/// 16 bits, with transparency and a profile.
fn deep(icc: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut info = png::Info::with_size(256, 64);
    (info.color_type, info.bit_depth) = (png::ColorType::Rgba, png::BitDepth::Sixteen);
    info.icc_profile = Some(icc.into());
    let mut writer = png::Encoder::with_info(&mut bytes, info)
        .unwrap()
        .write_header()
        .unwrap();
    let samples = (0..256 * 64_u32).flat_map(|at| {
        let value = (at * 4 + 3) as u16;
        [value, value / 2, 65_535 - value, 60_000 + (at % 256) as u16]
    });
    let samples: Vec<u8> = samples.flat_map(u16::to_be_bytes).collect();
    writer.write_image_data(&samples).unwrap();
    writer.finish().unwrap();
    bytes
}

#[test]
fn sixteen_bits_stay_sixteen() {
    let adobe = read(&reference("files/adobe.png")).0;
    let (original, warnings) = read(&deep(adobe.space.icc().unwrap()));
    assert_eq!((original.depth(), warnings), (Depth::Sixteen, Vec::new()));
    let again = read(&original.encode(Format::Png).unwrap()).0;
    assert_eq!(again, original);
    // Of a smooth small edit, enlarged: more levels than 8 bits have, and none beyond the seam.
    let edited = RgbImage::from_fn(32, 8, |x, _| Rgb([100 + x as u8 * 2, 90, 80]));
    let roi = GrayImage::from_fn(256, 64, |x, _| Luma([if x < 160 { 255 } else { 0 }]));
    let Pasted { result, seam, .. } = paste(&original, &edited.into(), Some(&roi));
    assert_eq!(seam.changed_outside_px, 0);
    let (Colors::Sixteen(before), Colors::Sixteen(after)) = (&original.colors, &result.colors)
    else {
        panic!("8 bits");
    };
    let levels: HashSet<u16> = (0..150).map(|x| after.get_pixel(x, 30).0[0]).collect();
    assert!(levels.len() > 100, "{} in 150 pixels", levels.len());
    let outside = (0..64).flat_map(|y| (165..256).map(move |x| (x, y)));
    assert!(
        outside
            .clone()
            .all(|(x, y)| before.get_pixel(x, y) == after.get_pixel(x, y))
    );
    assert_eq!(result.alpha, original.alpha);
}

#[test]
fn gray_of_sixteen_bits_becomes_rgb_of_sixteen() {
    let gray = ImageBuffer::from_fn(64, 16, |x, y| Luma([(x * 1024 + y) as u16]));
    let (original, warnings) = read(&encoded(
        DynamicImage::ImageLuma16(gray.clone()),
        ImageFormat::Png,
    ));
    assert_eq!(warnings, [Warning::Converted("gray")]);
    let Colors::Sixteen(colors) = &original.colors else {
        panic!("8 bits")
    };
    assert!(
        colors
            .pixels()
            .zip(gray.pixels())
            .all(|(rgb, gray)| rgb.0 == [gray.0[0]; 3])
    );
    assert_eq!(original.space.icc(), None);
}

#[test]
fn profiles_that_cannot_be_used_are_named_and_left_out() {
    let plain = encoded(picture(20, 10), ImageFormat::Png);
    let icc = |icc: &[u8]| {
        let mut info = png::Info::with_size(20, 10);
        info.icc_profile = Some(icc.into());
        (info.color_type, info.bit_depth) = (png::ColorType::Rgb, png::BitDepth::Eight);
        let mut bytes = Vec::new();
        let mut writer = png::Encoder::with_info(&mut bytes, info)
            .unwrap()
            .write_header()
            .unwrap();
        writer.write_image_data(picture(20, 10).as_raw()).unwrap();
        writer.finish().unwrap();
        bytes
    };
    let press = read_icc("files/cmyk.jpg");
    let gray = with_segment(
        &encoded(picture(20, 10), ImageFormat::Jpeg),
        0xE2,
        b"ICC_PROFILE\0\x01\x02half",
    );
    let cases = [
        ("no profile", icc(b"hello")),
        (
            "cut",
            icc(&read(&reference("files/p3.png")).0.space.icc().unwrap()[..200]),
        ),
        ("huge", icc(&vec![7; 5 << 20])),
        ("for CMYK", icc(&press)),
        ("not packed", with_chunk(&plain, b"iCCP", b"name\0\0hello")),
        ("half", gray),
    ];
    for (name, bytes) in cases {
        let (original, warnings) = read(&bytes);
        assert!(
            matches!(warnings[..], [Warning::Profile(_)]),
            "{name}: {warnings:?}"
        );
        assert_eq!(original.space.icc(), None, "{name}");
        assert!(original.space.is_srgb(), "{name}");
    }
}

#[test]
fn damaged_profiles_harm_nobody() {
    let jpeg = encoded(picture(20, 10), ImageFormat::Jpeg);
    let inks = reference("files/cmyk-plain.jpg");
    let press = read_icc("files/cmyk.jpg");
    let screen = read(&reference("files/p3.png"))
        .0
        .space
        .icc()
        .unwrap()
        .to_vec();
    let with = |jpeg: &[u8], icc: &[u8]| {
        let bytes = with_segment(jpeg, 0xE2, &[b"ICC_PROFILE\0\x01\x01", icc].concat());
        let (original, _) = read(&bytes);
        original.on_white()
    };
    for at in (0..screen.len()).step_by(11) {
        for byte in [0, 0xFF] {
            let mut broken = screen.clone();
            broken[at] = byte;
            with(&jpeg, &broken);
        }
        with(&jpeg, &screen[..at]);
    }
    // Its head, and all of it that one segment has room for: the tables come short.
    for at in (0..260).step_by(23) {
        let mut broken = press[..60_000].to_vec();
        broken[at] ^= 0x55;
        with(&inks, &broken);
    }
}

/// A profile out of a JPEG's segments, which may be several.
fn read_icc(name: &str) -> Vec<u8> {
    let bytes = reference(name);
    let (mut at, mut icc) = (2, Vec::new());
    while bytes[at + 1] != 0xDA {
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        if bytes[at + 1] == 0xE2 {
            icc.extend(&bytes[at + 18..at + 2 + length]);
        }
        at += 2 + length;
    }
    icc
}

#[test]
fn every_way_to_name_a_space_is_read() {
    let plain = encoded(picture(20, 10), ImageFormat::Png);
    let jpeg = encoded(picture(20, 10), ImageFormat::Jpeg);
    let seen = |bytes: &[u8]| {
        let (original, warnings) = read(bytes);
        assert_eq!(warnings, []);
        (original.space.is_srgb(), original)
    };
    let icc = read(&reference("files/p3.png")).0;
    let (is_srgb, coded) = seen(&with_chunk(&plain, b"cICP", &[12, 13, 0, 1]));
    assert!(!is_srgb);
    assert_eq!(coded.space.cicp(), Some([12, 13, 0, 1]));
    let p3 = Original {
        space: icc.space,
        ..coded.clone()
    };
    let off = coded
        .picture()
        .rgb
        .into_raw()
        .into_iter()
        .zip(p3.picture().rgb.into_raw());
    assert!(
        off.map(|(a, b)| a.abs_diff(b)).max().unwrap() <= 1,
        "cICP is as the profile"
    );
    let again = read(&coded.encode(Format::Png).unwrap()).0;
    assert_eq!(again.space, coded.space, "cICP goes through");

    assert!(seen(&with_chunk(&plain, b"cICP", &[1, 13, 0, 1])).0);
    assert!(seen(&with_chunk(&plain, b"sRGB", &[0])).0);
    assert!(seen(&with_chunk(&plain, b"gAMA", &45_455_u32.to_be_bytes())).0);
    let (is_srgb, linear) = seen(&with_chunk(&plain, b"gAMA", &100_000_u32.to_be_bytes()));
    assert!(!is_srgb && linear.space.icc().is_some());
    let lighter = (linear.picture().rgb[(5, 5)].0, picture(20, 10)[(5, 5)].0);
    assert!(lighter.0[0] > lighter.1[0] + 40, "{lighter:?}");
    // sRGB wins over gAMA.
    let both = with_chunk(
        &with_chunk(&plain, b"gAMA", &100_000_u32.to_be_bytes()),
        b"sRGB",
        &[0],
    );
    assert!(seen(&both).0);

    // EXIF: the color space is unknown, and the interoperability index R03 says Adobe RGB.
    let interop: &[_] = &[(1, 2, 4, *b"R03\0")];
    let inner: &[_] = &[
        (0xA001, 3, 1, [0xFF, 0xFF, 0, 0]),
        (0xA005, 4, 1, [56, 0, 0, 0]),
    ];
    let first: &[_] = &[(0x8769, 4, 1, [26, 0, 0, 0])];
    let block = exif(&[(first, 0), (inner, 0), (interop, 0)], &[]);
    let named = with_segment(&jpeg, 0xE1, &[b"Exif\0\0", &block[..]].concat());
    let (is_srgb, named) = seen(&named);
    assert!(
        !is_srgb && named.space.icc().is_some(),
        "a result says it in a profile"
    );
    let adobe = Original {
        space: read(&reference("files/adobe.png")).0.space,
        ..named.clone()
    };
    let (one, other) = (named.picture().rgb, adobe.picture().rgb);
    let off = one.iter().zip(other.iter()).map(|(a, b)| a.abs_diff(*b));
    assert!(off.max().unwrap() <= 2);
}

#[test]
fn pictures_for_bright_screens_are_refused() {
    let plain = encoded(picture(20, 10), ImageFormat::Png);
    for (transfer, name) in [(16, "PQ"), (18, "HLG")] {
        let bytes = with_chunk(&plain, b"cICP", &[9, transfer, 0, 1]);
        let refused = Error::Brightness(name);
        assert_eq!(
            limekiln_pictures::probe(&bytes, &Limits::UPLOAD),
            Err(refused.clone())
        );
        assert_eq!(
            limekiln_pictures::check(&bytes, &Limits::UPLOAD),
            Err(refused.clone())
        );
        assert!(refused.to_string().contains("convert it to SDR"));
    }
}

#[test]
fn transparency_is_kept_at_its_depth() {
    let clear = ImageBuffer::from_fn(16, 8, |x, y| {
        Rgba([x as u16 * 4000, 7, y as u16 * 8000, 65_535 - x as u16 * 321])
    });
    let (original, _) = read(&encoded(DynamicImage::ImageRgba16(clear), ImageFormat::Png));
    let again = read(&original.encode(Format::Png).unwrap()).0;
    assert_eq!(
        (&again.alpha, &again.colors),
        (&original.alpha, &original.colors)
    );
    let small = original.with_colors(&RgbImage::new(8, 4).into());
    assert_eq!((small.size(), small.depth()), ((8, 4), Depth::Sixteen));
    let white = original.flat();
    assert_eq!(white.alpha, None);
}
