//! Files shown, handed out and deleted.

use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use limekiln_jobs::api::{OpenAiFile, OpenAiFileDeleted, OpenAiFilePage, OpenAiFileQuery};
use limekiln_jobs::{FileId, TenantId};
use limekiln_store::{File, FileFilter};

use super::batches::output;
use super::ids::{self, PathFile};
use crate::auth::Tenant;
use crate::memory::body_too_large;
use crate::params::Query;
use crate::problem::{Problem, ProblemCode};
use crate::{State, leaving};

/// Characters of a purpose, at most.
const PURPOSE_CHARS: usize = 40;
/// Files on a page, at most and by default.
const PAGE: u32 = 10_000;

pub(super) fn view(file: File) -> OpenAiFile {
    OpenAiFile {
        id: ids::file_text(file.id),
        object: "file".into(),
        bytes: file.bytes,
        created_at: file.created_at.unix_timestamp(),
        expires_at: file.expires_at.map(time::OffsetDateTime::unix_timestamp),
        filename: file.filename,
        purpose: file.purpose,
        status: "processed".into(),
    }
}

/// List files
#[utoipa::path(
    get, path = "/v1/files", operation_id = "listFiles", tag = "openai",
    params(OpenAiFileQuery),
    responses((status = 200, description = "A page of files", body = OpenAiFilePage)),
    extensions(("x-problems" = json!([ProblemCode::FileNotFound]))),
)]
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Query(query): Query<OpenAiFileQuery>,
) -> Result<Json<OpenAiFilePage>, Problem> {
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&limit) {
        return Err(Problem::parameter("limit", "must be from 1 to 10000"));
    }
    let oldest_first = match query.order.as_deref() {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => return Err(Problem::parameter("order", "must be asc or desc")),
    };
    let long = |purpose: &String| purpose.chars().count() > PURPOSE_CHARS;
    if query.purpose.as_ref().is_some_and(long) {
        return Err(Problem::parameter(
            "purpose",
            "must have at most 40 characters",
        ));
    }
    let after = query.after.map(|text| {
        let id = ids::file(&text);
        id.ok_or_else(|| Problem::plain(ProblemCode::FileNotFound))
    });
    let filter = FileFilter {
        purpose: query.purpose,
        after: after.transpose()?,
        oldest_first,
    };
    let store = &state.services.store;
    let mut files = store.files_list(caller.tenant, &filter, limit + 1).await?;
    let has_more = files.len() > limit as usize;
    files.truncate(limit as usize);
    let data: Vec<OpenAiFile> = files.into_iter().map(view).collect();
    Ok(Json(OpenAiFilePage {
        object: "list".into(),
        first_id: data.first().map(|file| file.id.clone()),
        last_id: data.last().map(|file| file.id.clone()),
        data,
        has_more,
    }))
}

/// Show a file
#[utoipa::path(
    get, path = "/v1/files/{id}", operation_id = "getFile", tag = "openai",
    params(("id" = String, Path, description = "Id of the file", pattern = "^file-[0-9a-f]{32}$")),
    responses((status = 200, description = "The file", body = OpenAiFile)),
    extensions(("x-problems" = json!([ProblemCode::FileNotFound]))),
)]
pub(crate) async fn get(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathFile(id): PathFile,
) -> Result<Json<OpenAiFile>, Problem> {
    let file = find(&state, caller.tenant, id).await?;
    Ok(Json(view(file)))
}

/// Delete a file
///
/// It is gone with this answer, and what it holds within minutes. A picture stays as long as rows or edits name it; a batch whose file
/// was not read to its end fails.
#[utoipa::path(
    delete, path = "/v1/files/{id}", operation_id = "deleteFile", tag = "openai",
    params(("id" = String, Path, description = "Id of the file", pattern = "^file-[0-9a-f]{32}$")),
    responses((status = 200, description = "There is no such file any more", body = OpenAiFileDeleted)),
    extensions(("x-problems" = json!([ProblemCode::FileNotFound]))),
)]
pub(crate) async fn delete(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathFile(id): PathFile,
) -> Result<Json<OpenAiFileDeleted>, Problem> {
    if !state.services.store.file_delete(caller.tenant, id).await? {
        return Err(Problem::plain(ProblemCode::FileNotFound));
    }
    Ok(Json(OpenAiFileDeleted {
        id: ids::file_text(id),
        object: "file".into(),
        deleted: true,
    }))
}

/// Download what a file holds
///
/// What came of a batch is made of its rows meanwhile: a JSON object on each line, in the order of the requests.
#[utoipa::path(
    get, path = "/v1/files/{id}/content", operation_id = "getFileContent", tag = "openai",
    params(("id" = String, Path, description = "Id of the file", pattern = "^file-[0-9a-f]{32}$")),
    responses((status = 200, description = "The bytes", content((Vec<u8> = "application/octet-stream")))),
    extensions(("x-problems" = json!([ProblemCode::FileNotFound, ProblemCode::ConcurrencyLimit]))),
)]
pub(crate) async fn content(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathFile(id): PathFile,
) -> Result<Response, Problem> {
    let file = find(&state, caller.tenant, id).await?;
    let shares = &state.shares.downloads;
    let share = shares.take(caller.tenant, 1).ok_or_else(|| {
        let code = ProblemCode::ConcurrencyLimit;
        Problem::share(code, shares.each(), "downloads are under way")
    })?;
    if let Some(batch) = file.batch {
        return output::answer(&state, caller.tenant, (batch, id), share).await;
    }
    let store = &state.services.store;
    let parts = match file.image {
        Some(image) => {
            let image = store.image_get(caller.tenant, image).await?;
            let image = image.ok_or_else(|| Problem::plain(ProblemCode::FileNotFound))?;
            vec![limekiln_store::FilePart {
                key: image.key,
                digest: image.digest,
                bytes: image.bytes,
            }]
        }
        None => store.file_parts(id).await?,
    };
    let length: u64 = parts.iter().map(|part| part.bytes).sum();
    let begin = (state, parts.into_iter(), share, None);
    let pieces = stream::try_unfold(begin, |(state, mut parts, share, held)| async move {
        // The connection has taken the part before this one.
        drop(held);
        let Some(part) = parts.next() else {
            return Ok(None);
        };
        let broken = |problem: Problem| std::io::Error::other(problem.detail);
        let held = state.memory.share(part.bytes, body_too_large).await;
        let held = held.map_err(broken)?;
        let bytes = leaving::read(&state, &part.key, &part.digest).await;
        let bytes = bytes.map_err(broken)?;
        Ok::<_, std::io::Error>(Some((bytes, (state, parts, share, Some(held)))))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

async fn find(state: &State, tenant: TenantId, id: FileId) -> Result<File, Problem> {
    let file = state.services.store.file_get(tenant, id).await?;
    file.ok_or_else(|| Problem::plain(ProblemCode::FileNotFound))
}
