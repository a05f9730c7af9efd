//! From edits to their results. When the client hangs up before, its edits are cancelled.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use limekiln_blobs::Key;
use limekiln_jobs::api::OpenAiPicture;
use limekiln_jobs::{ArtifactKind, EditId, EditView, FailureClass, StateName, TenantId};
use limekiln_store::ArtifactRef;
use tokio::time::{Instant, timeout_at};

use crate::State;
use crate::edits::events::Watcher;
use crate::edits::read;
use crate::problem::{Problem, ProblemCode};

/// The largest result in bytes that is read into memory.
const RESULT_BYTES_MAX: u64 = 64 << 20;

/// Edits that a client waits for.
pub(super) struct Pending {
    state: State,
    tenant: TenantId,
    edits: Vec<EditId>,
    /// Whether they are cancelled when this is dropped: without an idempotency key no client can come back for them.
    cancels: bool,
}

impl Pending {
    pub(super) fn new(state: &State, tenant: TenantId, cancels: bool) -> Self {
        Self {
            state: state.clone(),
            tenant,
            edits: Vec::new(),
            cancels,
        }
    }

    pub(super) fn add(&mut self, edit: EditId) {
        self.edits.push(edit);
    }

    /// Waits until all have ended, and returns their results.
    pub(super) async fn pictures(mut self, urls: bool) -> Result<Vec<OpenAiPicture>, Problem> {
        let deadline = Instant::now() + self.state.settings.timeouts.openai_wait;
        for index in 0..self.edits.len() {
            let edit = self.edits[index];
            match timeout_at(deadline, ended(&self.state, self.tenant, edit)).await {
                Ok(view) => succeeded(&view?)?,
                Err(_) => {
                    let limit = self.state.settings.timeouts.openai_wait.as_secs();
                    return Err(Problem::new(
                        ProblemCode::Timeout,
                        format!("the edit did not end within {limit} s"),
                    ));
                }
            }
        }
        let mut pictures = Vec::with_capacity(self.edits.len());
        for edit in &self.edits {
            let found = self
                .state
                .services
                .store
                .artifact_get(self.tenant, *edit, ArtifactKind::Result)
                .await?;
            let artifact = found.ok_or_else(|| Problem::plain(ProblemCode::ArtifactNotFound))?;
            pictures.push(picture(&self.state, &artifact, urls).await?);
        }
        self.edits.clear();
        Ok(pictures)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.cancels || self.edits.is_empty() {
            return;
        }
        let (state, tenant, edits) = (
            self.state.clone(),
            self.tenant,
            std::mem::take(&mut self.edits),
        );
        tokio::spawn(async move {
            for edit in edits {
                match state.services.submitter.cancel(tenant, edit).await {
                    Ok(outcome) => tracing::debug!(%edit, ?outcome, "nobody waits for it any more"),
                    Err(error) => {
                        tracing::warn!(%edit, %error, "an edit nobody waits for can't be cancelled")
                    }
                }
            }
        });
    }
}

/// Waits until the edit has ended.
async fn ended(state: &State, tenant: TenantId, edit: EditId) -> Result<EditView, Problem> {
    loop {
        let view = read::find(state, tenant, edit).await?;
        if view.state.is_terminal() {
            return Ok(view);
        }
        let mut watcher = Watcher::start(state, edit, view.seq).await;
        while watcher.next().await.is_some() {}
        if state.closing.is_cancelled() {
            return Err(Problem::new(
                ProblemCode::Unavailable,
                "the gateway is shutting down: send the request again",
            ));
        }
    }
}

fn succeeded(view: &EditView) -> Result<(), Problem> {
    match (view.state, &view.error) {
        (StateName::Succeeded, _) => Ok(()),
        (StateName::Cancelled, _) => Err(Problem::new(
            ProblemCode::EditEnded,
            "the edit was cancelled",
        )),
        (_, Some(failure)) if failure.class == FailureClass::User => Err(Problem::new(
            ProblemCode::EditFailed,
            failure.message.clone(),
        )),
        (_, failure) => {
            let why = failure
                .as_ref()
                .map_or("unknown", |failure| failure.code.as_str());
            tracing::warn!(edit = %view.id, why, "an edit that somebody waited for failed");
            Err(Problem::new(
                ProblemCode::Internal,
                format!("the edit {} failed ({why})", view.id),
            ))
        }
    }
}

async fn picture(
    state: &State,
    artifact: &ArtifactRef,
    url: bool,
) -> Result<OpenAiPicture, Problem> {
    let key: Key = artifact
        .key
        .parse()
        .map_err(|error: limekiln_blobs::Error| Problem::internal(&error))?;
    if url {
        let (ttl, name) = (
            state.settings.timeouts.presign,
            ArtifactKind::Result.file_name(),
        );
        let presigned = state.services.blobs.presign(&key, ttl, Some(name)).await?;
        if let Some(url) = presigned {
            return Ok(OpenAiPicture {
                url: Some(url.into()),
                ..OpenAiPicture::default()
            });
        }
    }
    // Room for the bytes and for their base64.
    let _room = state
        .memory
        .acquire(artifact.bytes as usize * 7 / 3)
        .await?;
    let bytes = state
        .services
        .blobs
        .get(&key, Some(&artifact.digest), RESULT_BYTES_MAX)
        .await?;
    let encoded = STANDARD.encode(&bytes);
    // A folder of blobs has no address of its own: the picture is its own address.
    let (b64_json, url) = if url {
        (None, Some(format!("data:image/png;base64,{encoded}")))
    } else {
        (Some(encoded), None)
    };
    Ok(OpenAiPicture { b64_json, url })
}
