//! Pictures in layers: what turns changed, over the picture that the first of them edited.

use limekiln_jobs::{Digest, EditId, TenantId};
use serde::Deserialize;
use serde_json::Value;

use crate::row::{bad, blob, get, json};
use crate::{BlobRef, Result, Store};

/// A picture that is made of layers.
#[derive(Debug, Clone, PartialEq)]
pub struct Layers {
    /// The picture that lies below all patches.
    pub base: BlobRef,
    /// What the turns changed, the first one's first.
    pub patches: Vec<BlobRef>,
}

impl Store {
    /// What the result of a tenant's edit is made of; none where that has none.
    pub async fn layers_get(&self, tenant: TenantId, edit: EditId) -> Result<Option<Layers>> {
        let row = self
            .row(
                "layers_get",
                sqlx::query(
                    "select l.*
                    from edits e
                    cross join lateral picture_layers(e.id) l
                    where e.id = $1 and e.tenant_id = $2",
                )
                .bind(edit.uuid())
                .bind(tenant.uuid()),
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let base = blob(&row, ["blob_key", "digest", "bytes", "media_type"])?;
        let base = base.ok_or_else(|| bad("layers", "no base"))?;
        let patches = patches(get(&row, "patches")?)?;
        Ok(Some(Layers { base, patches }))
    }
}

/// The patches of a row.
pub(crate) fn patches(patches: Option<Value>) -> Result<Vec<BlobRef>> {
    #[derive(Deserialize)]
    struct Patch {
        key: String,
        digest: Digest,
        bytes: u64,
    }
    let patches: Vec<Patch> = match patches {
        Some(patches) => json(patches, "patches")?,
        None => Vec::new(),
    };
    let blob = |Patch { key, digest, bytes }| BlobRef {
        key,
        digest,
        bytes,
        media_type: "image/png".to_owned(),
    };
    Ok(patches.into_iter().map(blob).collect())
}
