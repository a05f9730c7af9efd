//! The same fields as JSON, as OpenAI's route takes them too: pictures are `data:` addresses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use limekiln_jobs::source::Address;
use serde_json::Value;

use super::form::{Fields, Form, known};
use super::ids;
use super::picture::{Picture, PictureRef};
use crate::problem::{Problem, ProblemCode};
use crate::strict_json::StrictJson;

/// Fields that are whole numbers, and those that are true or false; the others are texts.
const NUMBERS: [&str; 4] = ["n", "seed", "partial_images", "output_compression"];
const FLAGS: [&str; 3] = ["stream", "keep_outside", "matte"];

/// Bytes of a body whose pictures have at most so many.
pub(super) const fn bytes_max(pictures: usize, texts: usize) -> usize {
    pictures / 3 * 4 + texts
}

/// Reads the fields; pictures may have `picture_bytes_max` each.
pub(super) fn read(bytes: &[u8], picture_bytes_max: usize) -> Result<Form, Problem> {
    let StrictJson(value) = serde_json::from_slice(bytes)
        .map_err(|error| Problem::new(ProblemCode::JsonInvalid, error.to_string()))?;
    of_value(value, picture_bytes_max)
}

/// The same of JSON that was read.
pub(super) fn of_value(value: Value, picture_bytes_max: usize) -> Result<Form, Problem> {
    let Value::Object(values) = value else {
        return Err(Problem::new(
            ProblemCode::RequestInvalid,
            "the body must be a JSON object",
        ));
    };
    let mut fields = Fields::default();
    // Null is as if the field were not there.
    for (name, value) in values.into_iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "images" => {
                let Value::Array(images) = &value else {
                    return Err(Problem::field("images", "must be a list of one image"));
                };
                for image in images {
                    fields.image("images", picture("images", image, picture_bytes_max)?)?;
                }
            }
            "image" => {
                return Err(Problem::field(
                    "image",
                    "is called images in JSON: a list of one",
                ));
            }
            "mask" => fields.mask = Some(picture("mask", &value, picture_bytes_max)?),
            name => {
                let name = known(name)?;
                fields.text(name, text(name, value)?)?;
            }
        }
    }
    fields.form("images")
}

/// The value of a field as a form would have it.
fn text(name: &str, value: Value) -> Result<String, Problem> {
    match value {
        Value::String(text) if !NUMBERS.contains(&name) && !FLAGS.contains(&name) => Ok(text),
        Value::Number(number) if NUMBERS.contains(&name) && number.is_u64() => {
            Ok(number.to_string())
        }
        Value::Bool(flag) if FLAGS.contains(&name) => Ok(flag.to_string()),
        _ if NUMBERS.contains(&name) => Err(Problem::field(name, "must be a whole number")),
        _ if FLAGS.contains(&name) => Err(Problem::field(name, "must be true or false")),
        _ => Err(Problem::field(name, "must be a text")),
    }
}

/// The picture behind `{"image_url": "data:image/png;base64,..."}`.
fn picture(name: &str, value: &Value, bytes_max: usize) -> Result<Picture, Problem> {
    let refused = || {
        Problem::field(
            name,
            "must be {\"image_url\": \"data:image/png;base64,...\"} or {\"file_id\": \"file-...\"}: this server fetches no addresses",
        )
    };
    let reference = value.as_object().ok_or_else(refused)?;
    // The official client writes the one that is not given as null.
    let mut given = reference.iter().filter(|(_, value)| !value.is_null());
    let (Some((kind, value)), None) = (given.next(), given.next()) else {
        return Err(refused());
    };
    let url = value.as_str().ok_or_else(refused)?;
    if kind == "file_id" {
        let file = ids::file(url).map(PictureRef::File);
        let named = file.or_else(|| url.parse().ok().map(PictureRef::Image));
        let unknown = || {
            Problem::field(
                name,
                "file_id must be the id of a file, or of an image of yours",
            )
        };
        return named.map(Picture::Stored).ok_or_else(unknown);
    }
    if kind != "image_url" {
        return Err(refused());
    }
    if Address::is_meant(url) {
        return Ok(Picture::Elsewhere(url.to_owned()));
    }
    let (head, data) = url
        .strip_prefix("data:")
        .and_then(|data| data.split_once(','))
        .ok_or_else(refused)?;
    if !head.ends_with(";base64") {
        return Err(refused());
    }
    if data.len() / 4 * 3 > bytes_max.saturating_add(2) {
        return Err(Problem::new(
            ProblemCode::BodyTooLarge,
            format!("{name} has more than {bytes_max} bytes"),
        ));
    }
    let bytes = STANDARD
        .decode(data)
        .map_err(|_| Problem::field(name, "is no base64 (RFC 4648, with padding)"))?;
    Ok(Picture::Sent(bytes.into()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::form::{IGNORED, READ};
    use super::*;
    use limekiln_jobs::api::{ImageEditForm, ImageEditJson};
    use serde_json::json;
    use utoipa::PartialSchema;

    fn reading(body: &Value) -> Result<Form, String> {
        read(body.to_string().as_bytes(), 100).map_err(|problem| problem.detail)
    }

    fn picture_of(bytes: &[u8]) -> Value {
        json!({ "image_url": format!("data:image/png;base64,{}", STANDARD.encode(bytes)) })
    }

    #[test]
    fn pictures_and_values_come_in_json() {
        let form = reading(&json!({
            "images": [picture_of(b"room")], "mask": picture_of(b"mask"), "prompt": "make the sofa red", "n": 2,
            "seed": 7.0, "stream": false, "model": "gpt-image-1", "size": null,
        }))
        .unwrap();
        assert_eq!(form.image, Picture::Sent(b"room"[..].into()));
        assert_eq!(form.mask, Some(Picture::Sent(b"mask"[..].into())));
        assert_eq!(form.requests().unwrap().len(), 2);
        let file = "file-01939e0c8a527c319d0f3b1d6c2a4e57";
        let image = "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57";
        let named = |id: &str| {
            let body = json!({"images": [{"file_id": id, "image_url": null}], "prompt": "a"});
            reading(&body).unwrap().image
        };
        let id: uuid::Uuid = image.parse().unwrap();
        assert_eq!(named(file), Picture::Stored(PictureRef::File(id.into())));
        assert_eq!(named(image), Picture::Stored(PictureRef::Image(id.into())));
    }

    #[test]
    fn what_is_read_is_described() {
        for (schema, image) in [
            (json!(ImageEditForm::schema()), "image"),
            (json!(ImageEditJson::schema()), "images"),
        ] {
            let described: BTreeSet<&str> = schema["properties"]
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            let read = READ.iter().chain(&IGNORED);
            let read = read.map(|name| if *name == "image" { image } else { name });
            assert_eq!(described, read.collect());
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let image = picture_of(b"x");
        for (body, says) in [
            (json!({ "prompt": "a" }), "images"),
            (json!({ "images": [], "prompt": "a" }), "images"),
            (json!({ "images": image, "prompt": "a" }), "images"),
            (json!({ "images": [image, image], "prompt": "a" }), "images"),
            (json!({ "image": image, "prompt": "a" }), "image"),
            (
                json!({ "images": [{ "file_id": "f" }], "prompt": "a" }),
                "file_id must be",
            ),
            (
                json!({ "images": [{ "file_id": "f", "image_url": "data:," }], "prompt": "a" }),
                "images",
            ),
            (
                json!({ "images": [{ "image_url": "file:///etc/passwd" }], "prompt": "a" }),
                "fetches no addresses",
            ),
            (
                json!({ "images": [{ "image_url": "data:image/png;base64,%" }], "prompt": "a" }),
                "base64",
            ),
            (
                json!({ "images": [picture_of(&[0; 200])], "prompt": "a" }),
                "more than 100 bytes",
            ),
            (json!({ "images": [image], "prompt": 7 }), "prompt"),
            (json!({ "images": [image], "prompt": "a", "n": "2" }), "n"),
            (
                json!({ "images": [image], "prompt": "a", "stream": "yes" }),
                "stream",
            ),
            (
                json!({ "images": [image], "prompt": "a", "n_images": 2 }),
                "n_images",
            ),
            (json!([]), "JSON object"),
        ] {
            let detail = reading(&body).map(drop).unwrap_err();
            assert!(detail.contains(says), "{body}: {detail}");
        }
    }
}
