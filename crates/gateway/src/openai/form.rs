//! The fields of a request, and the multipart form, read field by field. Unknown fields are refused, as OpenAI refuses them, so
//! that a misspelled one is not ignored.

use std::convert::Infallible;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::stream;
use limekiln_jobs::api::Invalid;
use limekiln_jobs::request::SEED_MAX;
use limekiln_jobs::{Digest, EditRequest, Finish, ImageId, UnknownName};
use limekiln_pictures::{Format, Wish};
use multer::{Constraints, Multipart, SizeLimit};

use super::picture::Picture;
use crate::problem::{Problem, ProblemCode};

/// Bytes of everything in the form but its pictures.
pub(super) const TEXT_BYTES_MAX: usize = 64 << 10;
/// Bytes of a field that is no picture; instructions have 1000 characters.
const FIELD_BYTES_MAX: u64 = 16 << 10;
/// Most pictures of one request.
pub(super) const N_MAX: u32 = 10;
/// Most pictures of an edit under way.
const PARTIAL_MAX: u32 = 3;

/// `response_format`: how the pictures are sent back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseFormat {
    Base64,
    Url,
}

/// Fields that are ignored, whatever OpenAI's clients send in them.
pub(super) const IGNORED: [&str; 5] = [
    "quality",
    "background",
    "input_fidelity",
    "moderation",
    "user",
];
/// Fields that are read.
pub(super) const READ: [&str; 18] = [
    "image",
    "prompt",
    "mask",
    "n",
    "size",
    "response_format",
    "model",
    "output_format",
    "output_compression",
    "seed",
    "preset",
    "finish",
    "keep_outside",
    "color",
    "material",
    "matte",
    "stream",
    "partial_images",
];

/// Fields that say as which files the results are sent.
pub(super) const LEAVING: [&str; 4] = [
    "output_format",
    "output_compression",
    "size",
    "response_format",
];

/// Fields that say how the pictures are sent, and nothing of them.
const SENT: [&str; 2] = ["stream", "partial_images"];

/// A form as it was read: each field at most once.
pub(super) struct Form {
    pub(super) image: Picture,
    pub(super) mask: Option<Picture>,
    pub(super) response_format: ResponseFormat,
    /// How many pictures of an edit under way the client wants before the result; none where it wants no stream.
    pub(super) streamed: Option<u32>,
    texts: Vec<(&'static str, String)>,
}

/// How the fields come.
pub(super) enum Encoding {
    /// Parts with this boundary between them.
    Multipart(String),
    /// One object.
    Json,
}

/// As what the fields come, by `Content-Type`.
pub(super) fn encoding(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let refused = || {
        Problem::new(
            ProblemCode::MediaTypeUnsupported,
            "send a form, with Content-Type: multipart/form-data; boundary=..., or application/json",
        )
    };
    match crate::body::media_type(headers)?.as_deref() {
        Some("application/json") => Ok(Encoding::Json),
        Some("multipart/form-data") => {
            let value = headers
                .get(header::CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .ok_or_else(refused)?;
            let boundary = multer::parse_boundary(value).map_err(|_| refused())?;
            Ok(Encoding::Multipart(boundary))
        }
        _ => Err(refused()),
    }
}

/// The field of this name.
pub(super) fn known(name: &str) -> Result<&'static str, Problem> {
    let known = READ.iter().chain(&IGNORED).find(|known| **known == name);
    known
        .copied()
        .ok_or_else(|| Problem::field(&printable(name), "is no field of this form"))
}

/// Fields, as they come.
#[derive(Default)]
pub(super) struct Fields {
    image: Option<Picture>,
    pub(super) mask: Option<Picture>,
    texts: Vec<(&'static str, String)>,
}

impl Fields {
    /// Takes the picture, which came in the field `name`.
    pub(super) fn image(&mut self, name: &str, value: Picture) -> Result<(), Problem> {
        match self.image.replace(value) {
            None => Ok(()),
            Some(_) => Err(Problem::field(
                name,
                "more than one image was given, and this model edits one: send one, or a request for each",
            )),
        }
    }

    pub(super) fn text(&mut self, name: &'static str, value: String) -> Result<(), Problem> {
        if self.texts.iter().any(|(known, _)| *known == name) {
            return Err(Problem::field(name, "must come once"));
        }
        self.texts.push((name, value));
        Ok(())
    }

    /// All of them; the picture comes in the field `image`.
    pub(super) fn form(self, image: &str) -> Result<Form, Problem> {
        let missing = || Problem::field(image, "must be given: the picture to edit");
        let mut form = Form {
            image: self.image.ok_or_else(missing)?,
            mask: self.mask,
            response_format: ResponseFormat::Base64,
            streamed: None,
            texts: self.texts,
        };
        form.response_format = form.response_format()?;
        form.streamed = form.streamed()?;
        Ok(form)
    }
}

impl Form {
    /// Reads the parts of a form; pictures may have `picture_bytes_max` each.
    pub(super) async fn read(
        bytes: Bytes,
        boundary: String,
        picture_bytes_max: usize,
    ) -> Result<Self, Problem> {
        let limits = SizeLimit::new()
            .per_field(FIELD_BYTES_MAX)
            .for_field("image", picture_bytes_max as u64)
            .for_field("image[]", picture_bytes_max as u64)
            .for_field("mask", picture_bytes_max as u64);
        let body = stream::once(async move { Ok::<_, Infallible>(bytes) });
        let mut parts =
            Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limits));
        let mut fields = Fields::default();
        while let Some(part) = parts.next_field().await.map_err(unreadable)? {
            let name = match part.name() {
                Some("image[]") => "image",
                Some(name) => known(name)?,
                None => {
                    return Err(Problem::new(
                        ProblemCode::FormInvalid,
                        "a field has no name",
                    ));
                }
            };
            let value = part.bytes().await.map_err(unreadable)?;
            match name {
                "image" => fields.image(name, Picture::Sent(value))?,
                "mask" => {
                    if fields.mask.replace(Picture::Sent(value)).is_some() {
                        return Err(Problem::field(name, "must come once"));
                    }
                }
                name => {
                    let text = std::str::from_utf8(&value)
                        .map_err(|_| Problem::field(name, "must be UTF-8"))?;
                    fields.text(name, text.to_owned())?;
                }
            }
        }
        fields.form("image")
    }

    /// Of these fields alone, as [`Form::leaving`] has them.
    pub(super) fn of_leaving(texts: Vec<(&'static str, String)>) -> Result<Self, Problem> {
        let nothing = Some(Picture::Sent(Bytes::new()));
        let (image, mask) = (nothing, None);
        Fields { image, mask, texts }.form("image")
    }

    /// The fields that say as which files the results are sent.
    pub(super) fn leaving(&self) -> impl Iterator<Item = (&'static str, &str)> {
        LEAVING
            .into_iter()
            .filter_map(|name| Some((name, self.text(name)?)))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.texts
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, text)| text.as_str())
    }

    /// A number, in digits only.
    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number
            .map(Some)
            .ok_or_else(|| Problem::field(name, "must be a whole number"))
    }

    fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::field(name, "must be true or false")),
        }
    }

    fn response_format(&self) -> Result<ResponseFormat, Problem> {
        match self.text("response_format") {
            Some("b64_json") => Ok(ResponseFormat::Base64),
            Some("url") => Ok(ResponseFormat::Url),
            Some(_) => Err(Problem::field("response_format", "must be b64_json or url")),
            // As in OpenAI's API: the old models answer with addresses by default.
            None if self
                .text("model")
                .is_some_and(|model| model.starts_with("dall-e")) =>
            {
                Ok(ResponseFormat::Url)
            }
            None => Ok(ResponseFormat::Base64),
        }
    }

    /// As in OpenAI's API: partial pictures come in a stream, and a stream holds the pictures themselves.
    fn streamed(&self) -> Result<Option<u32>, Problem> {
        let partial: Option<u32> = self.number("partial_images")?;
        if partial.is_some_and(|partial| partial > PARTIAL_MAX) {
            let message = format!("must be from 0 to {PARTIAL_MAX}");
            return Err(Problem::field("partial_images", message));
        }
        if !self.flag("stream")? {
            return match partial {
                None | Some(0) => Ok(None),
                Some(_) => Err(Problem::field("partial_images", "needs stream to be true")),
            };
        }
        if self.response_format == ResponseFormat::Url {
            return Err(Problem::field(
                "response_format",
                "must be b64_json where stream is true",
            ));
        }
        Ok(Some(partial.unwrap_or(0)))
    }

    /// One request for each picture; the image and the mask are still to be filled in. Seeds count up from the one that was
    /// given. Without one, each edit draws its own.
    pub(super) fn requests(&self) -> Result<Vec<EditRequest>, Problem> {
        let n: u32 = self.number("n")?.unwrap_or(1);
        if !(1..=N_MAX).contains(&n) {
            return Err(Problem::field("n", format!("must be from 1 to {N_MAX}")));
        }
        let seed: Option<u64> = self.number("seed")?;
        let prompt = self
            .text("prompt")
            .ok_or_else(|| Problem::field("prompt", "must be given: what to do, in words"))?;
        let request = EditRequest {
            instruction: prompt.to_owned(),
            preset: self.text("preset").map(str::to_owned),
            seed,
            finish: self.finish()?,
            keep_outside: self.flag("keep_outside")?,
            color: self.text("color").map(str::to_owned),
            material: self.text("material").map(str::to_owned),
            matte: self.flag("matte")?,
            // Whether there is a mask is known once the picture is read: its transparency may be one.
            mask: self.flag("matte")?.then(ImageId::new),
            model: self
                .text("model")
                .filter(|model| !is_openai_model(model))
                .map(str::to_owned),
            // Some id, so that the request can be checked before the picture is stored.
            image: Some(ImageId::new()),
            ..EditRequest::default()
        };
        request.validate().map_err(|mut errors| {
            for error in &mut errors {
                if error.field == "instruction" {
                    error.field = "prompt".to_owned();
                }
            }
            Problem::invalid(errors)
        })?;
        let seeded = |index| EditRequest {
            seed: seed.map(|seed| (seed + index) & SEED_MAX),
            ..request.clone()
        };
        Ok((0..u64::from(n)).map(seeded).collect())
    }

    fn finish(&self) -> Result<Option<Finish>, Problem> {
        let finish = self.text("finish").map(str::parse).transpose();
        finish.map_err(|error: UnknownName| Problem::field("finish", error.to_string()))
    }

    /// As which files the results are sent.
    pub(super) fn wish(&self) -> Result<Wish, Problem> {
        let format = match self.text("output_format") {
            None => Format::Png,
            Some(word) => Format::WRITTEN
                .into_iter()
                .find(|format| format.word() == word)
                .ok_or_else(|| {
                    let says = "Supported values are: 'png', 'webp', and 'jpeg'.";
                    theirs(
                        "output_format",
                        format!("Invalid value: '{}'. {says}", printable(word)),
                    )
                })?,
        };
        Ok(Wish {
            format: Some(format),
            quality: self.quality(format)?,
            max_side: self.size()?,
            ..Wish::default()
        })
    }

    /// `output_compression` as a quality: 100, the default, is the best that the format has.
    fn quality(&self, format: Format) -> Result<Option<u8>, Problem> {
        let name = "output_compression";
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let bound = |side, sign, bound| {
            let text = printable(text);
            format!(
                "Invalid '{name}': integer {side} value. Expected a value {sign} {bound}, but got {text} instead."
            )
        };
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let got = printable(text);
            let says =
                format!("Invalid type for '{name}': expected an integer, but got '{got}' instead.");
            return Err(theirs(name, says));
        }
        let quality = match digits.parse::<u8>() {
            Ok(0) => 0,
            Ok(_) | Err(_) if negative => {
                return Err(theirs(name, bound("below minimum", ">=", 0)));
            }
            Ok(quality @ 0..=100) => quality,
            _ => return Err(theirs(name, bound("above maximum", "<=", 100))),
        };
        match (format, quality) {
            (Format::Png, 100) => Ok(None),
            (Format::Png, _) => Err(theirs(
                name,
                "Compression less than 100 is not supported for PNG output format",
            )),
            (_, quality) => Ok(Some(quality.max(1))),
        }
    }

    /// The bound on the longer side of the results.
    fn size(&self) -> Result<Option<u32>, Problem> {
        match self.text("size") {
            None | Some("auto") => Ok(None),
            Some("256x256") => Ok(Some(256)),
            Some("512x512") => Ok(Some(512)),
            Some("1024x1024") => Ok(Some(1024)),
            Some("1536x1024" | "1024x1536") => Ok(Some(1536)),
            Some(_) => Err(Problem::field(
                "size",
                "must be auto, 256x256, 512x512, 1024x1024, 1536x1024 or 1024x1536",
            )),
        }
    }

    /// Digest of everything that the edits depend on.
    pub(super) fn digest(&self) -> Digest {
        let mut texts: Vec<_> = self
            .texts
            .iter()
            .filter(|(name, _)| !IGNORED.contains(name) && !SENT.contains(name))
            .collect();
        texts.sort();
        let mut whole = blake3::Hasher::new();
        let mut add = |part: &[u8]| {
            whole.update(&(part.len() as u64).to_le_bytes());
            whole.update(part);
        };
        add(&self.image.identity());
        add(&self
            .mask
            .as_ref()
            .map(Picture::identity)
            .unwrap_or_default());
        for (name, text) in texts {
            add(name.as_bytes());
            add(text.as_bytes());
        }
        Digest::of(whole.finalize().as_bytes())
    }
}

/// A wrong field, in the words of OpenAI's API.
fn theirs(field: &str, message: impl Into<String>) -> Problem {
    let message = message.into();
    Problem {
        errors: vec![Invalid::new(field, message.clone())],
        ..Problem::new(ProblemCode::RequestInvalid, message)
    }
}

/// Whether this is one of OpenAI's models, which its clients have to name.
fn is_openai_model(model: &str) -> bool {
    ["gpt-image", "dall-e", "chatgpt-image"]
        .iter()
        .any(|prefix| model.starts_with(prefix))
}

/// A field's name as it may be repeated in an answer.
pub(super) fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(40).collect()
}

pub(super) fn unreadable(error: multer::Error) -> Problem {
    match error {
        multer::Error::FieldSizeExceeded { limit, field_name } => Problem::new(
            ProblemCode::BodyTooLarge,
            format!(
                "{} has more than {limit} bytes",
                printable(field_name.as_deref().unwrap_or("a field"))
            ),
        ),
        error => Problem::new(ProblemCode::FormInvalid, error.to_string()),
    }
}
