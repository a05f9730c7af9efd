//! Ids as OpenAI writes them: a word for what it is, and hexadecimal digits.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use limekiln_jobs::{BatchId, FileId};
use uuid::Uuid;

use crate::problem::{Problem, ProblemCode};

const FILE: &str = "file-";
const BATCH: &str = "batch_";

/// The id of a file in its text.
pub(super) fn file(text: &str) -> Option<FileId> {
    uuid(text, FILE).map(FileId::from)
}

/// The text of a file's id.
pub(super) fn file_text(id: FileId) -> String {
    format!("{FILE}{}", id.uuid().simple())
}

/// The id of a batch in its text.
pub(super) fn batch(text: &str) -> Option<BatchId> {
    uuid(text, BATCH).map(BatchId::from)
}

/// The text of a batch's id.
pub(super) fn batch_text(id: BatchId) -> String {
    format!("{BATCH}{}", id.uuid().simple())
}

/// Exactly as it is written here, so that everything has one address only.
fn uuid(text: &str, word: &str) -> Option<Uuid> {
    let digits = text.strip_prefix(word)?;
    let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (digits.len() == 32 && digits.bytes().all(plain))
        .then(|| Uuid::try_parse(digits).ok())
        .flatten()
}

/// The file that the path names.
pub(crate) struct PathFile(pub(super) FileId);

/// The batch that the path names.
pub(crate) struct PathBatch(pub(super) BatchId);

impl<S: Send + Sync> FromRequestParts<S> for PathFile {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = id(parts, state, file).await?;
        found
            .map(Self)
            .ok_or_else(|| Problem::plain(ProblemCode::FileNotFound))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathBatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = id(parts, state, batch).await?;
        found
            .map(Self)
            .ok_or_else(|| Problem::plain(ProblemCode::BatchNotFound))
    }
}

async fn id<S: Send + Sync, T>(
    parts: &mut Parts,
    state: &S,
    read: fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| Problem::new(ProblemCode::Malformed, "the path is not UTF-8"))?;
    let text = params.iter().find(|(key, _)| *key == "id");
    Ok(text.and_then(|(_, text)| read(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_text() {
        let id = FileId::new();
        let text = file_text(id);
        assert_eq!(file(&text), Some(id));
        let batch_id = BatchId::from(id.uuid());
        assert_eq!(batch(&batch_text(batch_id)), Some(batch_id));
        for other in [
            text.to_uppercase(),
            text.replace("file-", "file_"),
            format!("{text}0"),
            format!("file-{}", id.uuid()),
            batch_text(batch_id),
            String::new(),
        ] {
            assert_eq!(file(&other), None, "{other}");
        }
    }
}
