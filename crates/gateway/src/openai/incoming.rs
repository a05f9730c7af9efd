//! Files come in: a part at a time, so that a large one takes no more memory than a small one.

use std::time::Duration;

use axum::Json;
use axum::extract::{self, Request};
use axum::http::header;
use bytes::BytesMut;
use futures_util::StreamExt;
use limekiln_blobs::Key;
use limekiln_jobs::api::{OpenAiFile, OpenAiFileForm};
use limekiln_jobs::{Digest, FileId, ImageId};
use limekiln_store::{Caller, File, FilePart, FinishedFile};
use multer::{Constraints, Field, Multipart, SizeLimit};
use tokio::time::{Instant, timeout_at};

use super::files::view;
use super::form::{self, Encoding};
use crate::auth::Tenant;
use crate::memory::body_too_large;
use crate::problem::{Problem, ProblemCode};
use crate::{State, body, leaving, quotas, upload};

/// Bytes of a part.
const PART_BYTES: usize = 4 << 20;
/// A part in memory, and the copy that is on its way to the blob store.
const HELD_BYTES: u64 = 2 * PART_BYTES as u64;
/// Bytes of everything in the form but the file.
const TEXTS_BYTES: u64 = 16 << 10;
/// Characters of a file's name that are kept.
const NAME_CHARS: usize = 200;
/// How long a file is kept that says nothing of it, and the bounds on what it may say.
const KEEP_S: u64 = 30 * 86_400;
const KEEP_LEAST_S: u64 = 3_600;
/// How long what came of a file that did not come whole is kept.
const UNFINISHED: Duration = Duration::from_secs(3_600);

/// Upload a file
///
/// `client.files.create(file=..., purpose="batch")` of OpenAI's clients works unchanged: for the requests of a batch. With the purpose
/// `vision` it is a picture, and its id stands for it in requests: the same picture is sent once for many of them.
#[utoipa::path(
    post, path = "/v1/files", operation_id = "createFile", tag = "openai",
    request_body(content((OpenAiFileForm = "multipart/form-data"))),
    responses((status = 200, description = "The file is there", body = OpenAiFile)),
    extensions(("x-problems" = json!([
        ProblemCode::FormInvalid, ProblemCode::RequestInvalid, ProblemCode::ImageUnsupported, ProblemCode::ImageEmpty,
        ProblemCode::ImageDamaged, ProblemCode::ImagePixelsLimit, ProblemCode::UploadLimit, ProblemCode::StorageLimit,
        ProblemCode::FilesLimit,
    ]))),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    request: Request,
) -> Result<Json<OpenAiFile>, Problem> {
    let (parts, body) = request.into_parts();
    let Encoding::Multipart(boundary) = form::encoding(&parts.headers)? else {
        return Err(Problem::new(
            ProblemCode::MediaTypeUnsupported,
            "send a form, with Content-Type: multipart/form-data; boundary=...",
        ));
    };
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Problem::plain(ProblemCode::ContentEncodingUnsupported));
    }
    let bytes_max = state.settings.limits.file_bytes;
    let declared = body::declared_bytes(&parts.headers).unwrap_or(1);
    if declared > bytes_max + TEXTS_BYTES {
        return Err(too_large(bytes_max));
    }
    quotas::upload(&state, &caller, declared).await?;
    let pieces = body.into_data_stream().map(|piece| {
        piece.map_err(|error| {
            tracing::debug!(%error, "a file stopped");
            error
        })
    });
    let limits = SizeLimit::new()
        .whole_stream(bytes_max + TEXTS_BYTES)
        .per_field(TEXTS_BYTES / 4)
        .for_field("file", bytes_max);
    let form = Multipart::with_constraints(pieces, boundary, Constraints::new().size_limit(limits));
    let file = Incoming::read(&state, &caller, form).await?;
    Ok(Json(view(file)))
}

/// A file on its way.
struct Incoming<'a> {
    state: &'a State,
    caller: &'a Caller,
    id: FileId,
    parts: Vec<FilePart>,
    bytes: u64,
    deadline: Instant,
}

impl Incoming<'_> {
    async fn read(
        state: &State,
        caller: &Caller,
        mut form: Multipart<'_>,
    ) -> Result<File, Problem> {
        let mut this = Incoming {
            state,
            caller,
            id: FileId::new(),
            parts: Vec::new(),
            bytes: 0,
            deadline: Instant::now() + state.settings.timeouts.file,
        };
        let _memory = state.memory.share(HELD_BYTES, body_too_large).await?;
        let (mut purpose, mut filename, mut anchor, mut seconds) = (None, None, None, None);
        while let Some(field) = this.timed(form.next_field()).await?.map_err(unreadable)? {
            let name = field.name().unwrap_or_default().to_owned();
            let place = match &*name {
                "file" => {
                    let called = field.file_name().unwrap_or("file").to_owned();
                    if filename.replace(called).is_some() {
                        return Err(Problem::field("file", "must come once"));
                    }
                    this.take(field).await?;
                    continue;
                }
                "purpose" => &mut purpose,
                "expires_after[anchor]" => &mut anchor,
                "expires_after[seconds]" => &mut seconds,
                _ => {
                    let name = form::printable(&name);
                    return Err(Problem::field(&name, "is no field of this form"));
                }
            };
            let text = this.timed(field.text()).await?.map_err(unreadable)?;
            if place.replace(text).is_some() {
                return Err(Problem::field(&form::printable(&name), "must come once"));
            }
        }
        let filename = filename.ok_or_else(|| Problem::field("file", "must be given"))?;
        let keep = keep(anchor.as_deref(), seconds.as_deref())?;
        let vision = match purpose.as_deref() {
            Some("batch") => false,
            Some("vision") => true,
            Some(_) => {
                let says =
                    "must be batch (requests, a JSON object on each line) or vision (a picture)";
                return Err(Problem::field("purpose", says));
            }
            None => return Err(Problem::field("purpose", "must be given")),
        };
        this.finish(vision, &filename, keep).await
    }

    /// Stores the file itself, a part at a time.
    async fn take(&mut self, mut field: Field<'_>) -> Result<(), Problem> {
        let store = &self.state.services.store;
        let begun = store.file_begin(self.caller.tenant, self.id, UNFINISHED);
        if !begun.await? {
            return Err(Problem::plain(ProblemCode::FilesLimit));
        }
        let mut part = BytesMut::new();
        loop {
            let piece = self.timed(field.chunk()).await?.map_err(unreadable)?;
            let ended = piece.is_none();
            part.extend_from_slice(&piece.unwrap_or_default());
            while part.len() >= PART_BYTES || ended && !part.is_empty() {
                let whole = part.split_to(part.len().min(PART_BYTES)).freeze();
                let (number, bytes) = (self.parts.len() as u32, whole.len() as u64);
                let key = Key::file(self.caller.tenant, self.id, number);
                let digest = Digest::of(&whole);
                let blobs = &self.state.services.blobs;
                blobs
                    .put_digested(&key, whole, digest, "application/octet-stream")
                    .await?;
                let stored = FilePart {
                    key: key.into(),
                    digest,
                    bytes,
                };
                if !store.file_part_add(self.id, number, &stored).await? {
                    return Err(Problem::plain(ProblemCode::BodyTimeout));
                }
                self.parts.push(stored);
                self.bytes += bytes;
            }
            if ended {
                return Ok(());
            }
        }
    }

    async fn finish(&self, vision: bool, filename: &str, keep: Duration) -> Result<File, Problem> {
        let (state, tenant) = (self.state, self.caller.tenant);
        if self.bytes == 0 && !vision {
            return Err(Problem::field("file", "has no bytes"));
        }
        quotas::upload(state, self.caller, self.bytes).await?;
        let image = match vision {
            true => Some(self.picture().await?),
            false => None,
        };
        let done = FinishedFile {
            purpose: if vision { "vision" } else { "batch" }.to_owned(),
            filename: filename
                .chars()
                .filter(|c| !c.is_control())
                .take(NAME_CHARS)
                .collect(),
            bytes: self.bytes,
            image,
            keep,
        };
        let store = &state.services.store;
        let file = store.file_finish(tenant, self.id, &done).await?;
        file.ok_or_else(|| Problem::plain(ProblemCode::BodyTimeout))
    }

    /// The file as a picture, read again where it was put.
    async fn picture(&self) -> Result<ImageId, Problem> {
        let (state, tenant) = (self.state, self.caller.tenant);
        let limit = state.settings.limits.upload_bytes as u64;
        if self.bytes > limit {
            return Err(too_large(limit));
        }
        let held = state.memory.share(self.bytes, body_too_large).await?;
        let mut whole = BytesMut::with_capacity(self.bytes as usize);
        for part in &self.parts {
            whole.extend_from_slice(&leaving::read(state, &part.key, &part.digest).await?);
        }
        let whole = whole.freeze();
        let checked = upload::check(state, tenant, &held, whole.clone()).await?;
        Ok(upload::put(state, tenant, whole, &checked).await?.id)
    }

    /// What comes within the time for a piece, and for all of it.
    async fn timed<T>(&self, comes: impl Future<Output = T>) -> Result<T, Problem> {
        let idle = Instant::now() + self.state.settings.timeouts.body_idle;
        let within = timeout_at(idle.min(self.deadline), comes).await;
        within.map_err(|_| Problem::plain(ProblemCode::BodyTimeout))
    }
}

fn too_large(limit: u64) -> Problem {
    let says = format!("the file has more than the {limit} bytes that are taken here");
    Problem::new(ProblemCode::BodyTooLarge, says)
}

fn unreadable(error: multer::Error) -> Problem {
    match error {
        multer::Error::StreamSizeExceeded { limit } => too_large(limit),
        multer::Error::FieldSizeExceeded { limit, field_name }
            if field_name.as_deref() == Some("file") =>
        {
            too_large(limit)
        }
        multer::Error::StreamReadFailed(_) => Problem::plain(ProblemCode::BodyIncomplete),
        error => form::unreadable(error),
    }
}

/// How long the file is kept.
fn keep(anchor: Option<&str>, seconds: Option<&str>) -> Result<Duration, Problem> {
    let seconds = match (anchor, seconds) {
        (None, None) => KEEP_S,
        (Some("created_at"), Some(text)) => {
            let bounds = KEEP_LEAST_S..=KEEP_S;
            let seconds = text.parse().ok().filter(|seconds| bounds.contains(seconds));
            seconds.ok_or_else(|| {
                let says = format!("must be from {KEEP_LEAST_S} to {KEEP_S}");
                Problem::field("expires_after[seconds]", says)
            })?
        }
        (Some("created_at"), None) => {
            return Err(Problem::field("expires_after[seconds]", "must be given"));
        }
        _ => {
            return Err(Problem::field(
                "expires_after[anchor]",
                "must be created_at",
            ));
        }
    };
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_how_long_it_is_kept() {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        assert_eq!(keep(None, None).unwrap(), hours(720));
        assert_eq!(keep(Some("created_at"), Some("3600")).unwrap(), hours(1));
        for (anchor, seconds, says) in [
            (Some("created_at"), None, "expires_after[seconds]"),
            (Some("created_at"), Some("3599"), "from 3600"),
            (Some("created_at"), Some("2592001"), "to 2592000"),
            (Some("created_at"), Some("-1"), "from 3600"),
            (Some("now"), Some("3600"), "created_at"),
            (None, Some("3600"), "created_at"),
        ] {
            let detail = keep(anchor, seconds).unwrap_err().detail;
            assert!(detail.contains(says), "{detail}");
        }
    }
}
