//! The object.

use limekiln_blobs::{Blobs, Key};
use limekiln_jobs::{EditId, ErrorKind, FleetId, Retryable};
use limekiln_store::Mark;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::Error;

/// Its name, under the prefix.
const NAME: &str = "fleet.json";
/// Far more than it ever takes, in bytes.
const LIMIT: u64 = 64 << 10;
const MEDIA_TYPE: &str = "application/json";

/// What the marker says. Fields of later versions are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Whose the bucket is.
    pub fleet: FleetId,
    /// When it was written, by the database's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub marked_at: OffsetDateTime,
    /// The newest edit then.
    #[serde(default)]
    pub newest_edit: Option<EditId>,
}

impl Marker {
    /// The marker that says what the database says; none before it was ever marked.
    pub(super) fn of(mark: Mark) -> Option<Self> {
        Some(Self {
            fleet: mark.fleet,
            marked_at: mark.marked_at?,
            newest_edit: mark.newest_edit,
        })
    }

    /// The bucket's marker, if it has one.
    pub(super) async fn read(blobs: &Blobs) -> Result<Option<Self>, Error> {
        let text = match blobs.get(&key()?, None, LIMIT).await {
            Ok(text) => text,
            Err(limekiln_blobs::Error::NotFound { .. }) => return Ok(None),
            // What has the marker's name and is none: not ours to write over.
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                return Err(unreadable(blobs, &error));
            }
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| unreadable(blobs, &error))
    }

    /// Writes it in the place of the one before.
    pub(super) async fn write(&self, blobs: &Blobs) -> Result<(), Error> {
        blobs.put(&key()?, self.text()?, MEDIA_TYPE).await?;
        Ok(())
    }

    /// Writes it unless there is one.
    pub(super) async fn write_first(&self, blobs: &Blobs) -> Result<(), Error> {
        blobs.put_new(&key()?, self.text()?, MEDIA_TYPE).await?;
        Ok(())
    }

    fn text(&self) -> Result<bytes::Bytes, Error> {
        let text = serde_json::to_vec(self);
        Ok(text.map_err(Error::MarkerWrite)?.into())
    }
}

fn key() -> Result<Key, Error> {
    Ok(NAME.parse()?)
}

fn unreadable(blobs: &Blobs, error: &dyn std::fmt::Display) -> Error {
    Error::MarkerUnreadable {
        target: blobs.target(),
        name: NAME,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_later_versions_add_is_ignored_and_times_stay_exact() {
        let marker = Marker {
            fleet: FleetId::new(),
            marked_at: OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_123_456_000)
                .unwrap(),
            newest_edit: Some(EditId::new()),
        };
        let mut json = serde_json::to_value(marker).unwrap();
        json["regions"] = serde_json::json!(["eu", "us"]);
        assert_eq!(serde_json::from_value::<Marker>(json).unwrap(), marker);
    }
}
