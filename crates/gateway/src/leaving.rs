//! Results on their way out: in the format and size that a client wishes, made in memory that was set aside before, on a thread
//! for it, one of few at a time.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use image::GrayImage;
use limekiln_blobs::Key;
use limekiln_jobs::{ArtifactKind, Digest, EditId, ErrorKind, ImageId, Retryable, TenantId};
use limekiln_memory::{TooLarge, mib};
use limekiln_pictures::{
    Error, Format, Layers as Layered, Left, Limits, Source, Wish, leave, leave_bytes, leave_layers,
    leave_layers_bytes, matte_decode, probe,
};
use limekiln_store::{ArtifactRef, BlobRef, Layers};

use crate::State;
use crate::edits::{self, artifacts};
use crate::memory::PictureShare;
use crate::problem::{Problem, ProblemCode};
use crate::upload;

/// The largest file in bytes that is read into memory.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// What turns changed, fetched at a time.
const PATCHES_AT_ONCE: usize = 8;
/// Part of the entity tags: raised when the same wish gets other bytes.
const VERSION: &str = "2";

/// A result as its rows describe it.
pub(crate) struct Stored {
    /// The file, or, of a turn, what stands for it.
    pub(crate) result: ArtifactRef,
    source: Option<Over>,
    /// What a turn's result is made of.
    layers: Option<Layers>,
}

/// What a result was laid over, and where.
struct Over {
    matte: ArtifactRef,
    input: Blob,
    /// Whether the input is a JPEG, whose blocks can be kept.
    is_jpeg: bool,
    /// Whether the result has nothing of the input's metadata, which would come with its blocks.
    strip_metadata: bool,
}

/// A blob as a row refers to it.
struct Blob {
    key: String,
    digest: Digest,
    bytes: u64,
}

/// A file made for a client, with the memory that making it took.
pub(crate) struct Made {
    pub(crate) bytes: Bytes,
    pub(crate) format: Format,
    /// Pixels outside the matte that are not the stored result's, where the file is a JPEG that was coded anew.
    pub(crate) moved: Option<u64>,
    pub(crate) share: PictureShare,
}

/// What a file is made of.
enum Files {
    Whole {
        result: Bytes,
        /// The input and the matte.
        source: Option<(Bytes, Bytes)>,
    },
    Layers {
        base: Bytes,
        patches: Vec<Bytes>,
    },
}

impl Stored {
    /// The result of the tenant's edit, or why there is none.
    pub(crate) async fn find(
        state: &State,
        tenant: TenantId,
        edit: EditId,
    ) -> Result<Self, Problem> {
        let result = artifacts::picture(state, tenant, edit).await?;
        let store = &state.services.store;
        if result.kind == ArtifactKind::Patch {
            let layers = store.layers_get(tenant, edit).await?;
            let missing = || Problem::plain(ProblemCode::ArtifactNotFound);
            return Ok(Self {
                result,
                source: None,
                layers: Some(layers.ok_or_else(missing)?),
            });
        }
        let matte = store
            .artifact_get(tenant, edit, ArtifactKind::Matte)
            .await?;
        let source = match matte {
            Some(matte) => Over::find(state, tenant, edit, matte).await?,
            None => None,
        };
        Ok(Self {
            result,
            source,
            layers: None,
        })
    }

    /// A picture as it was uploaded.
    pub(crate) async fn of_image(
        state: &State,
        tenant: TenantId,
        image: ImageId,
    ) -> Result<Self, Problem> {
        let found = state.services.store.image_get(tenant, image).await?;
        let image = found.ok_or_else(|| Problem::plain(ProblemCode::ImageNotFound))?;
        Ok(Self {
            result: ArtifactRef {
                kind: ArtifactKind::Result,
                key: image.key,
                digest: image.digest,
                bytes: image.bytes,
                media_type: image.media_type,
                width: Some(image.width),
                height: Some(image.height),
            },
            source: None,
            layers: None,
        })
    }

    fn format(&self, wish: &Wish) -> Format {
        let jpeg = Format::Jpeg.media_type();
        let over_jpeg = self.source.as_ref().is_some_and(|over| over.is_jpeg)
            || self
                .layers
                .as_ref()
                .is_some_and(|layers| layers.base.media_type == jpeg);
        let own = if over_jpeg { Format::Jpeg } else { Format::Png };
        wish.format.unwrap_or(own)
    }

    /// The wish, as the edit's own request bounds it.
    fn allowed(&self, wish: &Wish) -> Wish {
        let stripped = self.source.as_ref().is_some_and(|over| over.strip_metadata);
        Wish {
            strip_metadata: wish.strip_metadata || stripped,
            ..*wish
        }
    }

    /// What is read beside the result: only a JPEG, which has no transparency and may keep blocks, is made of more.
    fn source(&self, wish: &Wish) -> Option<&Over> {
        let source = self.source.as_ref();
        source.filter(|_| self.format(wish) == Format::Jpeg)
    }

    /// Whether the wish is for the very file that is stored.
    pub(crate) fn is(&self, wish: &Wish) -> bool {
        if self.layers.is_some() {
            return false;
        }
        let size = self.result.width.zip(self.result.height);
        let as_large = match (wish.max_side, size) {
            (None, _) => true,
            (Some(most), Some((width, height))) => width.max(height) <= most,
            (Some(_), None) => false,
        };
        self.format(wish).media_type() == self.result.media_type && as_large
    }

    /// The entity tag of the file that [`Stored::made`] makes.
    pub(crate) fn tag(&self, wish: &Wish) -> String {
        let wish = &self.allowed(wish);
        let mut hash = blake3::Hasher::new();
        hash.update(format!("{VERSION} {wish:?} {}", self.result.digest).as_bytes());
        if let Some(Over { matte, input, .. }) = self.source(wish) {
            hash.update(format!(" {} {}", matte.digest, input.digest).as_bytes());
        }
        for patch in self.layers.iter().flat_map(|layers| &layers.patches) {
            hash.update(format!(" {}", patch.digest).as_bytes());
        }
        if let Some(layers) = &self.layers {
            hash.update(format!(" {}", layers.base.digest).as_bytes());
        }
        format!("\"{}\"", hash.finalize().to_hex())
    }

    /// The file as it is stored. Whoever asks for it holds the memory for it.
    pub(crate) async fn file(&self, state: &State) -> Result<Bytes, Problem> {
        read(state, &self.result.key, &self.result.digest).await
    }

    /// Makes the file: the same bytes for the same wish.
    pub(crate) async fn made(
        &self,
        state: &State,
        tenant: TenantId,
        wish: Wish,
    ) -> Result<Made, Problem> {
        let wish = self.allowed(&wish);
        let source = self.source(&wish);
        let beside = source.map_or(0, |over| over.matte.bytes + over.input.bytes);
        let layers = self.layers.iter();
        let layers = layers.flat_map(|layers| layers.patches.iter().chain([&layers.base]));
        let layered: u64 = layers.map(|blob| blob.bytes).sum();
        let memory = &state.memory;
        let held = memory
            .share(self.result.bytes + beside + layered, too_large)
            .await?;
        let files = Arc::new(match (&self.layers, source) {
            (Some(layers), _) => Files::Layers {
                base: read(state, &layers.base.key, &layers.base.digest).await?,
                patches: read_all(state, &layers.patches).await?,
            },
            (None, Some(Over { matte, input, .. })) => Files::Whole {
                result: self.file(state).await?,
                source: Some((
                    read(state, &input.key, &input.digest).await?,
                    read(state, &matte.key, &matte.digest).await?,
                )),
            },
            (None, None) => Files::Whole {
                result: self.file(state).await?,
                source: None,
            },
        });
        let looked_at = files.clone();
        let needed = upload::blocking(move || looked_at.needed(&wish)).await?;
        let share = memory
            .pictures(tenant, Some(&held), needed, too_large)
            .await?;
        let permit = upload::turn(state).await?;
        // The shares go along, and so they are held until the thread has ended, even when nobody waits for it any more.
        let (left, share) = upload::blocking(move || {
            let _permit = permit;
            let left = files.left(&wish)?;
            drop((files, held));
            limekiln_memory::give_back();
            Ok((left, share))
        })
        .await?;
        Ok(Made {
            bytes: left.bytes.into(),
            format: left.format,
            moved: left.moved,
            share,
        })
    }
}

impl Over {
    /// What the edit was made of; nothing where that is not there any more.
    async fn find(
        state: &State,
        tenant: TenantId,
        edit: EditId,
        matte: ArtifactRef,
    ) -> Result<Option<Self>, Problem> {
        let store = &state.services.store;
        let view = edits::read::find(state, tenant, edit).await?;
        let (input, media_type) = match (view.image, view.parent) {
            (Some(image), _) => {
                let Some(image) = store.image_get(tenant, image).await? else {
                    return Ok(None);
                };
                let (key, digest, bytes) = (image.key, image.digest, image.bytes);
                (Blob { key, digest, bytes }, image.media_type)
            }
            (None, Some(parent)) => {
                let result = store.artifact_get(tenant, parent, ArtifactKind::Result);
                let Some(result) = result.await? else {
                    return Ok(None);
                };
                let (key, digest, bytes) = (result.key, result.digest, result.bytes);
                (Blob { key, digest, bytes }, result.media_type)
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Self {
            matte,
            input,
            is_jpeg: media_type == Format::Jpeg.media_type(),
            strip_metadata: view.strip_metadata,
        }))
    }
}

impl Files {
    /// Bytes that [`Files::left`] takes beside these.
    fn needed(&self, wish: &Wish) -> Result<u64, Error> {
        let limits = Limits::ACCEPTED;
        let (result, source) = match self {
            Self::Layers { base, .. } => return leave_layers_bytes(base, wish, &limits),
            Self::Whole { result, source } => (result, source),
        };
        // Of a source only the file is looked at.
        let unread = GrayImage::default();
        let made_of = source.as_ref().map(|(input, _)| Source {
            input,
            matte: &unread,
        });
        let leaving = leave_bytes(result, made_of, wish, &limits)?;
        Ok(match source {
            // It is read first, and kept as a byte a pixel.
            Some((_, matte)) => {
                let matte = probe(matte, &limits)?;
                let kept = u64::from(matte.width) * u64::from(matte.height);
                matte.decode_bytes.max(kept + leaving)
            }
            None => leaving,
        })
    }

    fn left(&self, wish: &Wish) -> Result<Left, Error> {
        let limits = Limits::ACCEPTED;
        let (result, source) = match self {
            Self::Layers { base, patches } => {
                return leave_layers(&Layered { base, patches }, wish, &limits);
            }
            Self::Whole { result, source } => (result, source),
        };
        let Some((input, matte)) = source else {
            return leave(result, None, wish, &limits);
        };
        let head = probe(result, &limits)?;
        let matte = &matte_decode(matte, (head.width, head.height), &limits)?;
        let source = Source { input, matte };
        leave(result, Some(source), wish, &limits)
    }
}

/// A blob's content.
pub(crate) async fn read(state: &State, key: &str, digest: &Digest) -> Result<Bytes, Problem> {
    let key: Key = key
        .parse()
        .map_err(|error: limekiln_blobs::Error| Problem::internal(&error))?;
    let blobs = &state.services.blobs;
    let read = blobs.get(&key, Some(digest), FILE_BYTES_MAX);
    read.await.map_err(|error| match error.kind() {
        // It was pruned after the row was read.
        ErrorKind::NotFound => Problem::plain(ProblemCode::ArtifactNotFound),
        _ => error.into(),
    })
}

async fn read_all(state: &State, blobs: &[BlobRef]) -> Result<Vec<Bytes>, Problem> {
    let mut all = Vec::with_capacity(blobs.len());
    for some in blobs.chunks(PATCHES_AT_ONCE) {
        let reads = some.iter().map(|blob| read(state, &blob.key, &blob.digest));
        all.append(&mut try_join_all(reads).await?);
    }
    Ok(all)
}

pub(crate) fn too_large(error: TooLarge) -> Problem {
    let (needed, limit) = (mib(error.needed), mib(error.limit));
    Problem::new(
        ProblemCode::ImagePixelsLimit,
        format!(
            "making this file takes {needed} MiB of memory, and the server has {limit} MiB: ask for the result as it is stored, \
             with format=png and nothing else"
        ),
    )
}
