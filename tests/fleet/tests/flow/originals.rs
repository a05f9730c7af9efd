//! Files as people have them, by every way in: what comes back is the input but for the edit.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, png::PngEncoder, webp::WebPEncoder};
use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ExtendedColorType, GrayImage, ImageDecoder, ImageEncoder, Luma, Rgba,
    RgbaImage,
};
use limekiln_fleet_tests::binary::limekiln;
use limekiln_testbed::port_free;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Dev, http};

/// A file, and what is kept of it.
struct Original {
    name: &'static str,
    bytes: Vec<u8>,
    /// Of the result.
    color: ColorType,
    /// Whether its profile is the result's. A recolored picture is not gray, and nothing that we write is CMYK.
    profile: bool,
    orientation: Orientation,
}

/// What a file says of itself.
struct Seen {
    color: ColorType,
    profile: Option<Vec<u8>>,
    orientation: Orientation,
    picture: DynamicImage,
}

fn see(bytes: &[u8]) -> Result<Seen> {
    let mut decoder = image::ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()?
        .into_decoder()?;
    Ok(Seen {
        color: decoder.color_type(),
        profile: decoder.icc_profile()?,
        orientation: decoder.orientation()?,
        picture: DynamicImage::from_decoder(decoder)?,
    })
}

fn reference(name: &str) -> Result<Vec<u8>> {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reference/files");
    std::fs::read(files.join(name)).context(name.to_owned())
}

/// As a phone that was held upright writes it.
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let exif =
        b"\xFF\xE1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    [&jpeg[..2], exif, &jpeg[2..]].concat()
}

fn originals() -> Result<Vec<Original>> {
    let original = |name, bytes, color| Original {
        name,
        bytes,
        color,
        profile: true,
        orientation: Orientation::NoTransforms,
    };
    let mut files = Vec::new();
    for (name, from) in [("p3-420.jpg", "p3-420.jpg"), ("p3-444.jpg", "p3-444.jpg")] {
        files.push(Original {
            orientation: Orientation::Rotate90,
            ..original(name, turned(&reference(from)?), ColorType::Rgb8)
        });
    }
    // Sixteen bits that eight can't hold.
    let adobe = reference("adobe.png")?;
    let profile = PngDecoder::new(Cursor::new(&adobe))?.icc_profile()?;
    let mut deep = image::load_from_memory(&adobe)?.into_rgb16();
    for (x, y, pixel) in deep.enumerate_pixels_mut() {
        let noise = (7 * x + 13 * y) as u16 % 256;
        pixel.0 = pixel.0.map(|value| value ^ noise);
    }
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_icc_profile(profile.context("no profile")?)?;
    DynamicImage::from(deep).write_with_encoder(encoder)?;
    files.push(original("adobe-16.png", bytes, ColorType::Rgb16));

    let wide = reference("p3-444.jpg")?;
    let profile = JpegDecoder::new(Cursor::new(&wide))?.icc_profile()?;
    let mut clear = image::load_from_memory(&wide)?.into_rgba8();
    for (x, _, pixel) in clear.enumerate_pixels_mut() {
        pixel.0[3] = if x < 8 { 0 } else { 255 - (x % 3) as u8 };
    }
    let mut bytes = Vec::new();
    let mut encoder = WebPEncoder::new_lossless(&mut bytes);
    encoder.set_icc_profile(profile.context("no profile")?)?;
    encoder.write_image(&clear, 64, 48, ExtendedColorType::Rgba8)?;
    files.push(original("clear.webp", bytes, ColorType::Rgba8));

    let gray = reference("gray.png")?;
    let profile = PngDecoder::new(Cursor::new(&gray))?.icc_profile()?;
    let mut gray = image::load_from_memory(&gray)?.into_luma16();
    for (x, y, pixel) in gray.enumerate_pixels_mut() {
        pixel.0[0] ^= (7 * x + 13 * y) as u16 % 256;
    }
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_icc_profile(profile.context("no profile")?)?;
    DynamicImage::from(gray).write_with_encoder(encoder)?;
    let deep = original("gray-16.png", bytes, ColorType::Rgb16);
    files.push(Original {
        profile: false,
        ..deep
    });
    let print = original("cmyk.jpg", reference("cmyk.jpg")?, ColorType::Rgb8);
    files.push(Original {
        profile: false,
        ..print
    });
    Ok(files)
}

/// `limekiln` in this folder; what it wrote to stdout and stderr, and whether it succeeded.
async fn run(dir: &Path, args: &[&str]) -> Result<(bool, String, String)> {
    let done = tokio::process::Command::new(limekiln()?)
        .current_dir(dir)
        .args(args)
        .output()
        .await?;
    let (out, err) = (
        String::from_utf8(done.stdout)?,
        String::from_utf8(done.stderr)?,
    );
    Ok((done.status.success(), out, err))
}

/// The number before ` <word>` in what was said.
fn number_before(said: &str, word: &str) -> Option<u64> {
    said.split(word)
        .next()?
        .rsplit(' ')
        .find(|part| !part.is_empty())?
        .parse()
        .ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_is_the_input_but_for_the_edit() -> Result<()> {
    let data = tempfile::tempdir()?;
    let dir = data.path();
    let dev = Dev::start(&data, port_free(), &http()).await?;
    for file in originals()? {
        one(&dev, dir, &file).await.context(file.name)?;
    }
    Ok(())
}

async fn one(dev: &Dev, dir: &Path, file: &Original) -> Result<()> {
    let (name, before) = (file.name, see(&file.bytes)?);
    std::fs::write(dir.join(name), &file.bytes)?;
    // As it is seen: a turned picture upright.
    let (width, height) = match file.orientation {
        Orientation::Rotate90 => (48, 64),
        _ => (64, 48),
    };
    let inside = |x: u32, y: u32| (16..40).contains(&x) && (12..36).contains(&y);
    let mask = GrayImage::from_fn(width, height, |x, y| Luma([u8::from(inside(x, y)) * 255]));
    mask.save(dir.join("mask.png"))?;
    let (_, format) = name.rsplit_once('.').context("no format")?;

    let mut results = Vec::new();
    let mut told = String::new();
    for command in ["edit", "submit"] {
        let output = format!("{command}.{format}");
        let recolor = [
            "recolor it",
            "--preset",
            "recolor",
            "--color",
            "teal",
            "--matte",
        ];
        let ways = ["--mask", "mask.png", "-o", &output, "--artifacts", command];
        let mut args = [&[command, name], &recolor[..], &ways[..]].concat();
        if command == "submit" {
            args.extend(["--url", &dev.url, "--key", &dev.key]);
        }
        let (done, _, said) = run(dir, &args).await?;
        ensure!(done, "{command}: {said}");
        told.push_str(&said);
        results.push(std::fs::read(dir.join(output))?);
    }
    ensure!(
        results[0] == results[1],
        "edit and submit wrote other files"
    );

    let hole = RgbaImage::from_fn(width, height, |x, y| {
        Rgba([0, 0, 0, u8::from(!inside(x, y)) * 255])
    });
    let mut holed = Cursor::new(Vec::new());
    hole.write_to(&mut holed, image::ImageFormat::Png)?;
    let address = |bytes: &[u8]| json!({ "image_url": format!("data:image/any;base64,{}", STANDARD.encode(bytes)) });
    let word = if format == "jpg" { "jpeg" } else { format };
    let body = json!({
        "images": [address(&file.bytes)], "mask": address(holed.get_ref()), "prompt": "recolor it",
        "preset": "recolor", "color": "teal", "matte": true, "output_format": word,
    });
    let answer = dev.client.request(Method::POST, "/v1/images/edits");
    let answer = answer.json(&body).send().await?;
    let moved = answer.headers().get("limekiln-pixels-moved").cloned();
    let answer: Value = answer.json().await?;
    let picture = answer["data"][0]["b64_json"].as_str();
    let picture = STANDARD.decode(picture.with_context(|| answer.to_string())?)?;
    let by_api = format!("api.{format}");
    std::fs::write(dir.join(&by_api), &picture)?;
    ensure!(
        picture == results[1],
        "the route of OpenAI's gives another file"
    );

    let after = see(&picture)?;
    ensure!(after.color == file.color, "{:?}", after.color);
    ensure!(
        after.orientation == file.orientation,
        "{:?}",
        after.orientation
    );
    ensure!(
        (after.profile == before.profile) == file.profile,
        "the profile"
    );
    if before.color.has_alpha() {
        let alpha = |seen: &Seen| {
            seen.picture
                .to_rgba8()
                .pixels()
                .map(|pixel| pixel.0[3])
                .collect::<Vec<_>>()
        };
        ensure!(alpha(&after) == alpha(&before), "the transparency");
    }
    for result in [&format!("edit.{format}"), &by_api] {
        let (kept, out, said) = run(dir, &["verify", name, result, "edit/matte.png"]).await?;
        if name == "cmyk.jpg" {
            // Its blocks can't be kept. All say how many pixels moved.
            let found = number_before(&said, " of ").context("no number")?;
            ensure!(!kept && found > 0, "{out}{said}");
            ensure!(
                told.matches(&format!("moved {found} pixels")).count() == 2,
                "{found}: {told}"
            );
            let moved = moved.as_ref().and_then(|moved| moved.to_str().ok());
            ensure!(
                moved == Some(found.to_string().as_str()),
                "{found}: {moved:?}"
            );
        } else {
            ensure!(kept && moved.is_none(), "{moved:?}: {out}{said}");
            ensure!(out.contains("blocks") == (format == "jpg"), "{out}");
        }
    }
    Ok(())
}
