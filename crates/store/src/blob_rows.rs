//! The rows that refer to blobs, page by page, for whoever compares them with the bucket.

use uuid::Uuid;

use crate::row::{get, int};
use crate::{Result, Store};

/// A kind of rows that refer to blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobTable {
    /// Images.
    Images,
    /// Results of edits.
    Artifacts,
    /// Checkpoints of edits; edits without one come along with no key.
    Checkpoints,
    /// What edits computed of pictures, kept for others.
    Intermediates,
    /// Parts of files.
    Files,
}

impl BlobTable {
    /// The kinds of rows that refer to blobs.
    pub const ALL: [Self; 5] = [
        Self::Images,
        Self::Artifacts,
        Self::Checkpoints,
        Self::Intermediates,
        Self::Files,
    ];

    fn page(self) -> &'static str {
        match self {
            Self::Images => {
                "select id, '' as kind, blob_key as key from images
                where id > $1 and $2::text is not null order by id limit $3"
            }
            Self::Artifacts => {
                "select edit_id as id, kind, blob_key as key from artifacts
                where (edit_id, kind) > ($1, $2::text) order by edit_id, kind limit $3"
            }
            Self::Checkpoints => {
                "select id, '' as kind, checkpoint_key as key from edits
                where id > $1 and $2::text is not null order by id limit $3"
            }
            Self::Intermediates => {
                "select tenant_id as id, encode(key, 'hex') as kind, blob_key as key from intermediates
                where (tenant_id, key) > ($1, decode($2, 'hex')) order by tenant_id, key limit $3"
            }
            Self::Files => {
                "select file_id as id, to_char(number, 'FM0000000000') as kind, blob_key as key from file_parts
                where (file_id, number) > ($1, coalesce(nullif($2::text, '')::integer, -1)) order by file_id, number limit $3"
            }
        }
    }
}

/// A row that may refer to a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    /// Of the image, the edit or the file; of what is kept for others, the tenant's.
    pub id: Uuid,
    /// Which of the edit's artifacts, or of the file's parts; of what is kept for others, the key in hexadecimal; empty for another row.
    pub kind: String,
    /// The blob.
    pub key: Option<String>,
}

impl Store {
    /// Up to `limit` rows after the given one, in the order of their ids.
    pub async fn blob_rows(
        &self,
        table: BlobTable,
        after: Option<&BlobRow>,
        limit: u32,
    ) -> Result<Vec<BlobRow>> {
        let (id, kind) = after.map_or((Uuid::nil(), ""), |row| (row.id, row.kind.as_str()));
        let rows = self
            .rows(
                "blob_rows",
                sqlx::query(table.page())
                    .bind(id)
                    .bind(kind)
                    .bind(int(limit)),
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(BlobRow {
                    id: get(row, "id")?,
                    kind: get(row, "kind")?,
                    key: get(row, "key")?,
                })
            })
            .collect()
    }
}
