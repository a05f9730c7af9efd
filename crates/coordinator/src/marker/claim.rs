//! What a process does at its start, and what an operator decides.

use limekiln_blobs::{Blobs, Prefix};
use limekiln_store::Store;

use super::object::Marker;
use super::standing::{Standing, standing};
use crate::Error;

/// Blobs of one page.
const PAGE: u16 = 1000;

/// What [`adopt`] found in the bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// How many blobs of tenants lie in the bucket.
    pub blobs: u64,
    /// Those of them that no row refers to.
    pub unknown: u64,
    /// One of these.
    pub example: Option<String>,
}

/// Refuses a bucket that is not this database's, and takes one that is nobody's and empty. For the start of every process that
/// opens blobs.
///
/// # Errors
///
/// [`Error::Foreign`] and [`Error::Unclaimed`], which say what to do; what either service says.
pub async fn claim(store: &Store, blobs: &Blobs) -> Result<(), Error> {
    let found = standing(store, blobs).await?;
    if found != Standing::Unclaimed {
        return ours(blobs, found);
    }
    // What lies there that is no tenant's, such as weights, is nobody's concern.
    let page = blobs.list(&Prefix::tenants(), None, 1).await?;
    if page.blobs.is_empty() && page.next.is_none() {
        return take(store, blobs).await;
    }
    // Another process may have taken it when it was empty, a moment ago.
    ours(blobs, standing(store, blobs).await?)
}

/// Takes a bucket that has blobs and no marker, when at most the share `unknown_most` of its blobs is unknown to the database.
/// One that is this database's already stays as it is.
///
/// # Errors
///
/// [`Error::Foreign`]; [`Error::Unknown`] when more are unknown; what either service says.
pub async fn adopt(store: &Store, blobs: &Blobs, unknown_most: f64) -> Result<Adopted, Error> {
    let standing = standing(store, blobs).await?;
    if standing != Standing::Unclaimed {
        return ours(blobs, standing).map(|()| Adopted::default());
    }
    let mut found = Adopted::default();
    let mut after = None;
    loop {
        let page = blobs
            .list(&Prefix::tenants(), after.as_deref(), PAGE)
            .await?;
        let keys: Vec<String> = page.blobs.iter().map(|blob| blob.key.to_string()).collect();
        found.blobs += keys.len() as u64;
        if !keys.is_empty() {
            let unknown = store.blobs_unreferenced(&keys).await?;
            found.unknown += unknown.len() as u64;
            found.example = found.example.or_else(|| unknown.into_iter().next());
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if found.unknown as f64 > unknown_most * found.blobs as f64 {
        return Err(Error::Unknown {
            target: blobs.target(),
            blobs: found.blobs,
            unknown: found.unknown,
            example: found.example.unwrap_or_default(),
        });
    }
    take(store, blobs).await?;
    Ok(found)
}

/// Says that a database that was restored from before is the truth: what lies in the bucket and is unknown to it may be deleted
/// again, after the usual grace. Whether there was anything to say.
///
/// # Errors
///
/// [`Error::Foreign`] and [`Error::Unclaimed`]; what either service says.
pub async fn restore_accept(store: &Store, blobs: &Blobs) -> Result<bool, Error> {
    let found = standing(store, blobs).await?;
    ours(blobs, found)?;
    let Standing::Restored { marker, .. } = found else {
        return Ok(false);
    };
    let mark = store.restore_accept(marker.marked_at).await?;
    if let Some(marker) = Marker::of(mark) {
        marker.write(blobs).await?;
    }
    Ok(true)
}

/// Writes the first marker. Of two that do so at the same time, one finds the other's.
async fn take(store: &Store, blobs: &Blobs) -> Result<(), Error> {
    let mark = store.mark_advance(None).await?;
    if let Some(marker) = Marker::of(mark) {
        marker.write_first(blobs).await?;
    }
    ours(blobs, standing(store, blobs).await?)
}

/// Refuses a bucket that is another fleet's, or nobody's.
fn ours(blobs: &Blobs, standing: Standing) -> Result<(), Error> {
    let target = blobs.target();
    match standing {
        Standing::Ours | Standing::Restored { .. } => Ok(()),
        Standing::Unclaimed => Err(Error::Unclaimed { target }),
        Standing::Foreign { marker, mark } => Err(Error::Foreign {
            target,
            owner: marker.fleet,
            fleet: mark.fleet,
        }),
    }
}
