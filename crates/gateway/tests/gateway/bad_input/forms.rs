//! Bad forms for the OpenAI route; errors come in OpenAI's words.

use super::{Case, Ground, case};
use crate::support::http::Request;
use crate::support::pictures;

/// A part of a form: its head's fields and its bytes.
pub(crate) type Part<'a> = (&'a str, &'a [u8]);

pub(crate) fn form(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, bytes) in parts {
        body.extend(format!("--cut\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--cut--\r\n");
    body
}

const IMAGE: &str = r#"name="image"; filename="room.png""#;
const PROMPT: Part<'static> = (r#"name="prompt""#, b"make the sofa red");

pub(super) fn all(ground: &Ground) -> Vec<Case> {
    let room = pictures::room();
    let image: Part<'_> = (IMAGE, &room);
    let post = |body: Vec<u8>| {
        ground
            .gateway
            .request("POST", "/v1/images/edits")
            .body("multipart/form-data; boundary=cut", body)
    };
    let bad = |name, parts: &[Part<'_>], status, code| case(name, post(form(parts)), status, code);
    let field = |name, part: Part<'_>| bad(name, &[image, PROMPT, part], 422, "request_invalid");
    let whole = form(&[image, PROMPT]);
    let typed = |media_type: &str| {
        ground
            .gateway
            .request("POST", "/v1/images/edits")
            .body(media_type, whole.clone())
    };
    let small = pictures::written(
        &image::DynamicImage::new_rgba8(8, 8),
        image::ImageFormat::Png,
    );
    let opaque = pictures::mask(false);
    let mask = |bytes| {
        [
            image,
            PROMPT,
            (r#"name="mask"; filename="mask.png""#, bytes),
        ]
    };
    let keyless = Request::new("POST", "/v1/images/edits")
        .body("multipart/form-data; boundary=cut", whole.clone());
    vec![
        case("a form without a key", keyless, 401, "invalid_api_key"),
        case(
            "a form as JSON",
            typed("application/json"),
            400,
            "json_invalid",
        ),
        case(
            "a form without a boundary",
            typed("multipart/form-data"),
            415,
            "media_type_unsupported",
        ),
        case(
            "a form with another boundary",
            typed("multipart/form-data; boundary=other"),
            400,
            "form_invalid",
        ),
        case(
            "a form without an end",
            post(whole[..whole.len() - 9].to_vec()),
            400,
            "form_invalid",
        ),
        case("an empty form", post(Vec::new()), 400, "form_invalid"),
        case(
            "a form of noise",
            post(vec![0xAB; 4096]),
            400,
            "form_invalid",
        ),
        case(
            "a form that stops",
            post(whole.clone()).length(100_000).hang_up(),
            400,
            "body_incomplete",
        ),
        case(
            "a form that never goes on",
            post(whole.clone()).length(100_000),
            408,
            "body_timeout",
        ),
        case(
            "a form that is too large",
            post(whole.clone()).length(1 << 30),
            413,
            "body_too_large",
        ),
        bad(
            "a nameless field",
            &[image, PROMPT, (r#"filename="x""#, b"x")],
            400,
            "form_invalid",
        ),
        bad("no picture", &[PROMPT], 422, "request_invalid"),
        bad("no prompt", &[image], 422, "request_invalid"),
        bad(
            "two pictures",
            &[image, image, PROMPT],
            422,
            "request_invalid",
        ),
        bad(
            "two prompts",
            &[image, PROMPT, PROMPT],
            422,
            "request_invalid",
        ),
        bad(
            "an empty prompt",
            &[image, (r#"name="prompt""#, b"")],
            422,
            "request_invalid",
        ),
        bad(
            "a prompt of invalid UTF-8",
            &[image, (r#"name="prompt""#, b"\xff")],
            422,
            "request_invalid",
        ),
        bad(
            "a prompt with NUL",
            &[image, (r#"name="prompt""#, b"red\0")],
            422,
            "request_invalid",
        ),
        bad(
            "a prompt of a megabyte",
            &[image, (r#"name="prompt""#, &[b'x'; 200_000])],
            413,
            "body_too_large",
        ),
        field("an unknown form field", (r#"name="prmpt""#, b"x")),
        field(
            "a form field with SQL",
            (r#"name="n'; drop table edits; --""#, b"1"),
        ),
        field("n 0", (r#"name="n""#, b"0")),
        field("n 11", (r#"name="n""#, b"11")),
        field("n that is no number", (r#"name="n""#, b"1e3")),
        field("a size that is not offered", (r#"name="size""#, b"1x1")),
        field(
            "an unknown response format",
            (r#"name="response_format""#, b"xml"),
        ),
        field(
            "a format that is not written",
            (r#"name="output_format""#, b"gif"),
        ),
        field("a stream of perhaps", (r#"name="stream""#, b"perhaps")),
        field(
            "partial pictures without a stream",
            (r#"name="partial_images""#, b"2"),
        ),
        bad(
            "too many partial pictures",
            &[
                image,
                PROMPT,
                (r#"name="stream""#, b"true"),
                (r#"name="partial_images""#, b"4"),
            ],
            422,
            "request_invalid",
        ),
        bad(
            "addresses in a stream",
            &[
                image,
                PROMPT,
                (r#"name="stream""#, b"true"),
                (r#"name="response_format""#, b"url"),
            ],
            422,
            "request_invalid",
        ),
        field(
            "a compression that is no number",
            (r#"name="output_compression""#, b"high"),
        ),
        field(
            "a compression below 0",
            (r#"name="output_compression""#, b"-1"),
        ),
        field(
            "a compression above 100",
            (r#"name="output_compression""#, b"101"),
        ),
        field("a compressed PNG", (r#"name="output_compression""#, b"99")),
        field("an unknown finish", (r#"name="finish""#, b"better")),
        field(
            "a preset that is not there",
            (r#"name="preset""#, b"nonesuch"),
        ),
        bad(
            "a model that is not there",
            &[image, PROMPT, (r#"name="model""#, b"nonesuch")],
            404,
            "model_not_found",
        ),
        bad(
            "a picture of text",
            &[(IMAGE, b"hello"), PROMPT],
            415,
            "image_unsupported",
        ),
        bad(
            "an empty picture field",
            &[(IMAGE, b""), PROMPT],
            422,
            "image_empty",
        ),
        bad(
            "half a picture",
            &[(IMAGE, &room[..room.len() / 2]), PROMPT],
            422,
            "image_damaged",
        ),
        bad(
            "a bomb in a form",
            &[(IMAGE, &pictures::png_claiming(60_000, 60_000)), PROMPT],
            422,
            "image_pixels_limit",
        ),
        bad("a mask of another size", &mask(&small), 422, "mask_invalid"),
        bad(
            "a mask without transparency",
            &mask(&opaque),
            422,
            "mask_invalid",
        ),
        bad("a mask of text", &mask(b"hello"), 415, "image_unsupported"),
    ]
}
