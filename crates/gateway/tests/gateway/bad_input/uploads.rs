//! Pictures that are none, too large, or not what they say.

use image::{DynamicImage, ImageFormat};

use super::{Case, Ground, case, form};
use crate::support::pictures;

pub(super) fn all(ground: &Ground) -> Vec<Case> {
    let post = |media_type: &str, body: Vec<u8>| {
        ground
            .gateway
            .request("POST", "/v1/images")
            .body(media_type, body)
    };
    let room = pictures::room;
    let jpeg = || pictures::written(&pictures::drawn().into(), ImageFormat::Jpeg);
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() / 2);
        bytes
    };
    let mut flipped = room();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xFF;
    vec![
        case(
            "nothing of no type",
            ground.gateway.request("POST", "/v1/images").length(0),
            422,
            "image_empty",
        ),
        case(
            "a form around a picture",
            post(
                "multipart/form-data; boundary=cut",
                form(&[(r#"name="image"; filename="room.png""#, &room())]),
            ),
            415,
            "image_unsupported",
        ),
        case(
            "JSON where a picture belongs",
            post("application/json", b"{}".to_vec()),
            415,
            "image_unsupported",
        ),
        case(
            "empty picture",
            post("image/png", Vec::new()),
            422,
            "image_empty",
        ),
        case(
            "text as picture",
            post("image/png", b"hello".to_vec()),
            415,
            "image_unsupported",
        ),
        case(
            "a GIF",
            post("image/png", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;".to_vec()),
            415,
            "image_unsupported",
        ),
        case(
            "an SVG",
            post(
                "application/octet-stream",
                b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            ),
            415,
            "image_unsupported",
        ),
        case(
            "half a PNG",
            post("image/png", cut(room())),
            422,
            "image_damaged",
        ),
        case(
            "half a JPEG",
            post("image/jpeg", cut(jpeg())),
            422,
            "image_damaged",
        ),
        case(
            "a PNG with a flipped byte",
            post("image/png", flipped),
            422,
            "image_damaged",
        ),
        case(
            "only a PNG's head",
            post("image/png", room()[..33].to_vec()),
            422,
            "image_damaged",
        ),
        case(
            "a PNG of no pixels",
            post("image/png", pictures::png_claiming(0, 4)),
            422,
            "image_damaged",
        ),
        case(
            "a bomb: 10 gigapixels",
            post("image/png", pictures::png_claiming(100_000, 100_000)),
            422,
            "image_pixels_limit",
        ),
        case(
            "a bomb: the largest numbers",
            post(
                "image/png",
                pictures::png_claiming(0x7FFF_FFFF, 0x7FFF_FFFF),
            ),
            422,
            "image_pixels_limit",
        ),
        case(
            "too wide",
            post("image/png", pictures::png_claiming(2049, 1)),
            422,
            "image_pixels_limit",
        ),
        case(
            "too many bytes",
            post("image/png", vec![0; 300 << 10]),
            413,
            "body_too_large",
        ),
        case(
            "more bytes than it takes, as it says",
            post("image/png", room()).length(1 << 40),
            413,
            "body_too_large",
        ),
        case(
            "a compressed body",
            post("image/png", room()).header("content-encoding", "gzip"),
            415,
            "content_encoding_unsupported",
        ),
        case(
            "two codings",
            post("image/png", room()).header("content-encoding", "identity, br"),
            415,
            "content_encoding_unsupported",
        ),
        case(
            "a body that stops",
            post("image/png", room()).length(100_000).hang_up(),
            400,
            "body_incomplete",
        ),
        case(
            "a body that never goes on",
            post("image/png", room()).length(100_000),
            408,
            "body_timeout",
        ),
        case(
            "a solid PNG of too many pixels",
            post("image/png", solid()),
            422,
            "image_pixels_limit",
        ),
    ]
}

/// 1500 x 1500 pixels of one color: few bytes, many pixels.
fn solid() -> Vec<u8> {
    pictures::written(&DynamicImage::new_luma8(1500, 1500), ImageFormat::Png)
}
