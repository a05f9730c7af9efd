//! From edits to their results. Whoever hangs up has lost interest, so what runs for them is cancelled.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use limekiln_blobs::Key;
use limekiln_jobs::{ArtifactKind, EditId, EditView, FailureClass, StateName, TenantId};
use limekiln_store::ArtifactRef;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use crate::State;
use crate::edits::events::Watcher;
use crate::edits::read;
use crate::problem::{Code, Problem, internal};

/// The largest result that is read into memory.
const RESULT_BYTES_MAX: u64 = 64 << 20;

/// A picture, one way or the other.
#[derive(Serialize, ToSchema)]
pub(crate) struct Picture {
    /// The PNG in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    b64_json: Option<String>,
    /// An address that is good for a while; on `limekiln dev` a `data:` address with the picture in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// Edits that somebody waits for.
pub(super) struct Pending {
    state: State,
    tenant: TenantId,
    edits: Vec<EditId>,
    /// Whether nobody will come back for them.
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

    /// Waits until all have ended, and gets their results.
    pub(super) async fn pictures(mut self, urls: bool) -> Result<Vec<Picture>, Problem> {
        let deadline = Instant::now() + self.state.settings().timeouts.openai_wait;
        for index in 0..self.edits.len() {
            let edit = self.edits[index];
            match timeout_at(deadline, ended(&self.state, self.tenant, edit)).await {
                Ok(view) => succeeded(&view?)?,
                Err(_) => {
                    let limit = self.state.settings().timeouts.openai_wait.as_secs();
                    return Err(Problem::new(
                        Code::Timeout,
                        format!("the edit did not end within {limit} s"),
                    ));
                }
            }
        }
        let mut pictures = Vec::with_capacity(self.edits.len());
        for edit in &self.edits {
            let found = self
                .state
                .store()
                .artifact_get(self.tenant, *edit, ArtifactKind::Result)
                .await?;
            let artifact = found.ok_or_else(|| Problem::plain(Code::ArtifactNotFound))?;
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
                match state.submitter().cancel(tenant, edit).await {
                    Ok(outcome) => tracing::debug!(%edit, ?outcome, "nobody waits for it any more"),
                    Err(error) => {
                        tracing::warn!(%edit, %error, "an edit nobody waits for can't be cancelled")
                    }
                }
            }
        });
    }
}

/// The edit, once it has ended.
async fn ended(state: &State, tenant: TenantId, edit: EditId) -> Result<EditView, Problem> {
    loop {
        let view = read::find(state, tenant, edit).await?;
        if view.state.is_terminal() {
            return Ok(view);
        }
        let mut watcher = Watcher::start(state, edit, view.seq).await;
        while watcher.next().await.is_some() {}
        if state.closing().is_cancelled() {
            return Err(Problem::new(
                Code::Unavailable,
                "the gateway is shutting down: send the request again",
            ));
        }
    }
}

fn succeeded(view: &EditView) -> Result<(), Problem> {
    match (view.state, &view.error) {
        (StateName::Succeeded, _) => Ok(()),
        (StateName::Cancelled, _) => Err(Problem::new(Code::EditEnded, "the edit was cancelled")),
        (_, Some(failure)) if failure.class == FailureClass::User => {
            Err(Problem::new(Code::EditFailed, failure.message.clone()))
        }
        (_, failure) => {
            let why = failure
                .as_ref()
                .map_or("unknown", |failure| failure.code.as_str());
            tracing::warn!(edit = %view.id, why, "an edit that somebody waited for failed");
            Err(Problem::new(
                Code::Internal,
                format!("the edit {} failed ({why})", view.id),
            ))
        }
    }
}

async fn picture(state: &State, artifact: &ArtifactRef, url: bool) -> Result<Picture, Problem> {
    let key: Key = artifact
        .key
        .parse()
        .map_err(|error: limekiln_blobs::Error| internal(&error))?;
    if url {
        let (ttl, name) = (
            state.settings().timeouts.presign,
            ArtifactKind::Result.file_name(),
        );
        if let Some(url) = state.blobs().presign(&key, ttl, Some(name)).await? {
            return Ok(Picture {
                b64_json: None,
                url: Some(url.into()),
            });
        }
    }
    // The bytes, and their base64.
    let _room = state.memory().take(artifact.bytes as usize * 7 / 3).await?;
    let bytes = state
        .blobs()
        .get(&key, Some(&artifact.digest), RESULT_BYTES_MAX)
        .await?;
    let encoded = STANDARD.encode(&bytes);
    // A folder of blobs has no address of its own: the picture is its own address.
    let (b64_json, url) = if url {
        (None, Some(format!("data:image/png;base64,{encoded}")))
    } else {
        (Some(encoded), None)
    };
    Ok(Picture { b64_json, url })
}
