//! How a bucket and a database stand to each other.

use limekiln_blobs::Blobs;
use limekiln_store::{Mark, Store};

use super::object::Marker;
use crate::Error;

/// How a bucket and a database stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They belong together, and the database knows what lies in the bucket.
    Ours,
    /// The bucket has no marker.
    Unclaimed,
    /// The bucket is another fleet's.
    Foreign {
        /// What its marker says.
        marker: Marker,
        /// What the database says.
        mark: Mark,
    },
    /// They belong together, and the database is older than the bucket.
    Restored {
        /// What its marker says.
        marker: Marker,
        /// What the database says.
        mark: Mark,
    },
}

impl Standing {
    /// Whether blobs that the database does not know may be deleted.
    pub fn may_delete(self) -> bool {
        self == Self::Ours
    }

    /// Whether blobs may be deleted whose rows this database has deleted. A marker that is gone says nothing against it.
    pub fn may_delete_listed(self) -> bool {
        matches!(self, Self::Ours | Self::Unclaimed)
    }

    /// The label `reason` of the metric, and what to say and do; none when all is well.
    pub fn trouble(self, blobs: &Blobs) -> Option<(&'static str, String)> {
        let target = blobs.target();
        match self {
            Self::Ours => None,
            Self::Unclaimed => Some((
                "unclaimed",
                format!(
                    "{target} has no marker that says whose it is: nothing is deleted from it until `limekiln migrate --adopt-bucket` has looked at it"
                ),
            )),
            Self::Foreign { marker, mark } => Some((
                "foreign",
                format!(
                    "{target} belongs to fleet {}, this database to fleet {}: stop this process and see that DATABASE_URL, S3_BUCKET and S3_PREFIX are right; nothing is deleted",
                    marker.fleet, mark.fleet
                ),
            )),
            Self::Restored { marker, mark } => Some((
                "restored",
                format!(
                    "this database is older than {target}, whose marker was written at {} ({}): it was restored from before, as it was at {} ({}). Nothing is deleted; `limekiln doctor --blobs` lists what it does not know, and `limekiln migrate --accept-restore` lets it go",
                    marker.marked_at,
                    newest(marker.newest_edit),
                    mark.marked_at
                        .map_or("its beginning".to_owned(), |at| at.to_string()),
                    newest(mark.newest_edit),
                ),
            )),
        }
    }
}

fn newest(edit: Option<limekiln_jobs::EditId>) -> String {
    edit.map_or("no edit yet".to_owned(), |edit| {
        format!("newest edit {edit}")
    })
}

/// Compares them.
///
/// # Errors
///
/// When one of them can't be read.
pub async fn standing(store: &Store, blobs: &Blobs) -> Result<Standing, Error> {
    // In this order: what is written in between goes into the database first, and does not look newer than it.
    let marker = Marker::read(blobs).await?;
    let mark = store.mark().await?;
    Ok(compare(marker, mark))
}

fn compare(marker: Option<Marker>, mark: Mark) -> Standing {
    match marker {
        None => Standing::Unclaimed,
        Some(marker) if marker.fleet != mark.fleet => Standing::Foreign { marker, mark },
        Some(marker) if Some(marker.marked_at) > mark.marked_at => {
            Standing::Restored { marker, mark }
        }
        Some(_) => Standing::Ours,
    }
}

#[cfg(test)]
mod tests {
    use limekiln_jobs::FleetId;
    use time::{Duration, OffsetDateTime};

    use super::*;

    #[test]
    fn a_marker_newer_than_its_database_tells_that_it_was_restored() {
        let at = OffsetDateTime::UNIX_EPOCH;
        let mark = Mark {
            fleet: FleetId::new(),
            marked_at: Some(at),
            newest_edit: None,
        };
        let marker = Marker::of(mark).unwrap();
        assert_eq!(compare(Some(marker), mark), Standing::Ours);
        // Marked, and stopped before the marker was written.
        let ahead = Mark {
            marked_at: Some(at + Duration::MICROSECOND),
            ..mark
        };
        assert_eq!(compare(Some(marker), ahead), Standing::Ours);
        for marked_at in [Some(at - Duration::MICROSECOND), None] {
            let mark = Mark { marked_at, ..mark };
            let found = compare(Some(marker), mark);
            assert_eq!(found, Standing::Restored { marker, mark });
            assert!(!found.may_delete());
        }
        let other = Mark {
            fleet: FleetId::new(),
            ..ahead
        };
        assert!(matches!(
            compare(Some(marker), other),
            Standing::Foreign { .. }
        ));
        assert_eq!(compare(None, mark), Standing::Unclaimed);
    }
}
