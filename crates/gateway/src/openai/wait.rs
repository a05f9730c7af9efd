//! From edits to their results. When the client hangs up before, its edits are cancelled.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use limekiln_blobs::Key;
use limekiln_jobs::api::OpenAiPicture;
use limekiln_jobs::{ArtifactKind, EditId, EditView, FailureClass, Live, StateName, TenantId};
use limekiln_memory::{TooLarge, mib};
use limekiln_pictures::{Format, Wish};
use limekiln_store::{ArtifactRef, Caller};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, timeout_at};

use crate::State;
use crate::edits::events::{Message, Watcher};
use crate::edits::read;
use crate::keys::KeyLife;
use crate::leaving::{self, Stored};
use crate::memory::PictureShare;
use crate::problem::{Problem, ProblemCode};
use crate::settings::Downloads;

/// What an answer takes at most for each byte of its pictures: base64, and the JSON around a copy of it.
const ANSWER_SHARE: (u64, u64) = (8, 3);

/// A picture of the answer.
pub(super) struct Answered {
    pub(super) picture: OpenAiPicture,
    /// How many pixels outside the edit coding it with loss moved, where they were counted.
    pub(super) moved: Option<u64>,
}

impl Answered {
    fn as_stored(picture: OpenAiPicture) -> Self {
        Self {
            picture,
            moved: None,
        }
    }
}

/// Edits that a client waits for.
pub(super) struct Pending {
    state: State,
    tenant: TenantId,
    key: KeyLife,
    edits: Vec<EditId>,
    /// Who is sent previews of the first edit, and how many more.
    previews: Option<(Sender<String>, u32)>,
    /// Whether they are cancelled when this is dropped: without an idempotency key no client can come back for them.
    cancels: bool,
}

impl Pending {
    pub(super) fn new(state: &State, caller: &Caller, cancels: bool) -> Self {
        Self {
            state: state.clone(),
            tenant: caller.tenant,
            key: state.key_lives.watch(caller.key),
            edits: Vec::new(),
            previews: None,
            cancels,
        }
    }

    pub(super) fn add(&mut self, edit: EditId) {
        self.edits.push(edit);
    }

    /// Previews of the first edit, at most so many: small JPEGs in base64.
    pub(super) fn previews(&mut self, most: u32) -> Receiver<String> {
        let (sender, receiver) = mpsc::channel(most.max(1) as usize);
        self.previews = (most > 0).then_some((sender, most));
        receiver
    }

    /// Waits until all have ended, and returns their results with the memory that these and their answer take.
    pub(super) async fn pictures(
        mut self,
        urls: bool,
        wish: Wish,
    ) -> Result<(Vec<Answered>, Vec<PictureShare>), Problem> {
        let deadline = Instant::now() + self.state.settings.timeouts.openai_wait;
        for index in 0..self.edits.len() {
            let edit = self.edits[index];
            let mut previews = self.previews.take();
            let ended = tokio::select! {
                ended = timeout_at(deadline, ended(&self.state, self.tenant, edit, &mut previews)) => ended,
                () = self.key.ended() => return Err(Problem::plain(ProblemCode::Unauthorized)),
            };
            match ended {
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
        let mut results = Vec::with_capacity(self.edits.len());
        for edit in &self.edits {
            results.push(Stored::find(&self.state, self.tenant, *edit).await?);
        }
        let as_stored = results.iter().all(|stored| stored.is(&wish));
        let mut links = Vec::new();
        // Where clients can't reach the blob store, its links are of no use.
        let reached = self.state.settings.downloads == Downloads::Redirect;
        if urls && as_stored && reached {
            for stored in &results {
                let link = link(&self.state, &stored.result).await?;
                links.extend(link.map(Answered::as_stored));
            }
        }
        // Links, or the pictures themselves: all of one kind, since one blob store has them all.
        if links.len() == results.len() {
            self.edits.clear();
            return Ok((links, Vec::new()));
        }
        links.clear();
        let (memory, mut shares) = (&self.state.memory, Vec::new());
        if as_stored {
            let files: u64 = results.iter().map(|stored| stored.result.bytes).sum();
            let share = memory.pictures(self.tenant, None, answer_bytes(files), unsendable);
            shares.push(share.await?);
            for stored in &results {
                let file = stored.file(&self.state).await?;
                links.push(Answered::as_stored(picture(&file, Format::Png, urls)));
            }
        } else {
            // What making a file takes is more than what its part of the answer does.
            for stored in &results {
                let mut made = stored.made(&self.state, self.tenant, wish).await?;
                links.push(Answered {
                    picture: picture(&made.bytes, made.format, urls),
                    moved: made.moved,
                });
                made.share.shrink_to(answer_bytes(made.bytes.len() as u64));
                shares.push(made.share);
            }
        }
        self.edits.clear();
        Ok((links, shares))
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
async fn ended(
    state: &State,
    tenant: TenantId,
    edit: EditId,
    previews: &mut Option<(Sender<String>, u32)>,
) -> Result<EditView, Problem> {
    loop {
        let view = read::find(state, tenant, edit).await?;
        // A state that is not known here has ended where it has a time of its end.
        if view.state.is_terminal() || view.finished_at.is_some() {
            return Ok(view);
        }
        let mut watcher = Watcher::start(state, edit, view.seq).await;
        while let Some(message) = watcher.next().await {
            if let (Message::Preview(live), Some((sender, left))) = (message, previews.as_mut())
                && let Live::Preview { jpeg, .. } = &*live
                && *left > 0
            {
                *left -= 1;
                // There is room for all of them, and whoever is gone needs none.
                drop(sender.try_send(jpeg.clone()));
            }
        }
        if state.closing.is_cancelled() {
            return Err(Problem::new(
                ProblemCode::Unavailable,
                "the gateway is shutting down: send the request again",
            ));
        }
    }
}

/// The result of an edit that succeeded, with the memory that it and an answer with it take; an address takes none.
pub(super) async fn one(
    state: &State,
    tenant: TenantId,
    edit: EditId,
    wish: Wish,
    url: bool,
) -> Result<(OpenAiPicture, Option<PictureShare>), Problem> {
    let stored = Stored::find(state, tenant, edit).await?;
    if !stored.is(&wish) {
        let mut made = stored.made(state, tenant, wish).await?;
        let picture = picture(&made.bytes, made.format, url);
        made.share.shrink_to(answer_bytes(made.bytes.len() as u64));
        return Ok((picture, Some(made.share)));
    }
    // Where clients can't reach the blob store, its links are of no use.
    if url
        && state.settings.downloads == Downloads::Redirect
        && let Some(link) = link(state, &stored.result).await?
    {
        return Ok((link, None));
    }
    let bytes = answer_bytes(stored.result.bytes);
    let share = state
        .memory
        .pictures(tenant, None, bytes, leaving::too_large);
    let share = share.await?;
    let file = stored.file(state).await?;
    Ok((picture(&file, Format::Png, url), Some(share)))
}

/// What an answer takes for pictures of so many bytes.
fn answer_bytes(bytes: u64) -> u64 {
    bytes * ANSWER_SHARE.0 / ANSWER_SHARE.1
}

pub(super) fn succeeded(view: &EditView) -> Result<(), Problem> {
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

/// More pictures than may ever be in memory at once.
fn unsendable(error: TooLarge) -> Problem {
    let (needed, limit) = (mib(error.needed), mib(error.limit));
    Problem::field(
        "n",
        format!(
            "is too many for one answer: these pictures take {needed} MiB of memory, and the server has {limit} MiB; ask for \
             fewer, or get them one by one at /v1/edits"
        ),
    )
}

fn key(artifact: &ArtifactRef) -> Result<Key, Problem> {
    let key = artifact.key.parse();
    key.map_err(|error: limekiln_blobs::Error| Problem::internal(&error))
}

/// Where the blob store itself hands the picture out; nowhere for a folder.
async fn link(state: &State, artifact: &ArtifactRef) -> Result<Option<OpenAiPicture>, Problem> {
    let (ttl, name) = (
        state.settings.timeouts.presign,
        ArtifactKind::Result.file_name(),
    );
    let presigned = state
        .services
        .blobs
        .presign(&key(artifact)?, ttl, Some(name))
        .await?;
    Ok(presigned.map(|url| OpenAiPicture {
        url: Some(url.into()),
        ..OpenAiPicture::default()
    }))
}

fn picture(bytes: &[u8], format: Format, url: bool) -> OpenAiPicture {
    let encoded = STANDARD.encode(bytes);
    // A folder of blobs has no address of its own, nor has a blob store that clients can't reach or a file that is made for this
    // answer: the picture is its own address.
    let (b64_json, url) = if url {
        let media_type = format.media_type();
        (None, Some(format!("data:{media_type};base64,{encoded}")))
    } else {
        (Some(encoded), None)
    };
    OpenAiPicture { b64_json, url }
}
