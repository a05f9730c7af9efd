//! Which blobs the sweep may delete: those that no row referred to on two walks a grace apart, by the database's clock.

use std::time::Duration;

use time::OffsetDateTime;

use crate::row::{big, get, int, whole};
use crate::{Result, Store};

/// A blob as a walk comes by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkedBlob {
    /// Its key.
    pub key: String,
    /// When it was written, in whole seconds since 1970: some answers of S3 tell no more.
    pub modified_s: i64,
}

/// What a page of a walk added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// Blobs that no row has referred to for the grace, and of which the database does not know why; and those for which there
    /// was no room.
    pub unknown: u64,
    /// Candidates that were none before.
    pub fresh: u64,
}

impl Store {
    /// Begins a walk when the last one, of whichever coordinator, began at least `every` ago, or was not heard of for `lost`
    /// before its end: its beginning.
    pub async fn walk_begin(
        &self,
        every: Duration,
        lost: Duration,
    ) -> Result<Option<OffsetDateTime>> {
        let row = self
            .row(
                "walk_begin",
                sqlx::query(
                    "update fleet set walk_began_at = now(), walk_seen_at = now()
                    where coalesce(walk_began_at <= now() - make_interval(secs => $1), true)
                        or walk_seen_at <= now() - make_interval(secs => $2)
                    returning walk_began_at",
                )
                .bind(every.as_secs_f64())
                .bind(lost.as_secs_f64()),
            )
            .await?;
        row.map(|row| get(&row, "walk_began_at")).transpose()
    }

    /// Says that the walk that began at `began` goes on, or that what it found was dealt with. Nothing where another has begun.
    pub async fn walk_seen(&self, began: OffsetDateTime, goes_on: bool) -> Result<()> {
        self.count(
            "walk_seen",
            sqlx::query(
                "update fleet set walk_seen_at = case when $2 then now() end where walk_began_at = $1",
            )
            .bind(began)
            .bind(goes_on),
        )
        .await?;
        Ok(())
    }

    /// How many more candidates may be recorded when there may be `most`, those apart that were accepted.
    pub async fn sweep_room(&self, most: u32) -> Result<u64> {
        let recorded: i64 = self
            .value(
                "sweep_room",
                sqlx::query_scalar(
                    "select count(*) from (select from sweep_candidates where not known limit $1) c",
                )
                .bind(int(most)),
            )
            .await?;
        Ok(u64::from(most).saturating_sub(recorded.unsigned_abs()))
    }

    /// Records those of `blobs` that no row refers to as candidates, at most `room` of them new. After `grace` they count.
    pub async fn sweep_mark(
        &self,
        blobs: &[WalkedBlob],
        room: u64,
        grace: Duration,
    ) -> Result<Walked> {
        let keys: Vec<&str> = blobs.iter().map(|blob| blob.key.as_str()).collect();
        let modified: Vec<i64> = blobs.iter().map(|blob| blob.modified_s).collect();
        let row = self
            .row(
                "sweep_mark",
                sqlx::query(include_str!("sql/sweep_mark.sql"))
                    .bind(keys)
                    .bind(modified)
                    .bind(big(room))
                    .bind(grace.as_secs_f64()),
            )
            .await?;
        row.map_or(
            Ok(Walked {
                unknown: 0,
                fresh: 0,
            }),
            |row| {
                Ok(Walked {
                    unknown: whole(&row, "unknown")?,
                    fresh: whole(&row, "fresh")?,
                })
            },
        )
    }

    /// Ends the walk that began at `began`: forgets candidates that it did not come by, and says whether the sweep stops.
    pub async fn walk_end(&self, began: OffsetDateTime, stopped: bool) -> Result<()> {
        self.count(
            "walk_end_forget",
            sqlx::query("delete from sweep_candidates where seen_at < $1").bind(began),
        )
        .await?;
        self.count(
            "walk_end",
            sqlx::query("update fleet set sweep_stopped = $1").bind(stopped),
        )
        .await?;
        Ok(())
    }

    /// Up to `limit` candidates that may be deleted: the walk that began at `began` came by them, and one at least `grace`
    /// earlier did.
    pub async fn sweep_due(
        &self,
        began: OffsetDateTime,
        grace: Duration,
        limit: u32,
    ) -> Result<Vec<WalkedBlob>> {
        let rows = self
            .rows(
                "sweep_due",
                sqlx::query(
                    "select key, modified_s from sweep_candidates
                    where seen_at >= $1 and seen_at - first_seen_at >= make_interval(secs => $2)
                    limit $3",
                )
                .bind(began)
                .bind(grace.as_secs_f64())
                .bind(int(limit)),
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(WalkedBlob {
                    key: get(row, "key")?,
                    modified_s: get(row, "modified_s")?,
                })
            })
            .collect()
    }

    /// Forgets candidates: they are deleted, or are none any more.
    pub async fn sweep_forget(&self, keys: &[String]) -> Result<()> {
        self.count(
            "sweep_forget",
            sqlx::query("delete from sweep_candidates where key = any($1)").bind(keys),
        )
        .await?;
        Ok(())
    }

    /// An operator says that all candidates of now may go: they count no longer against the database. How many they are.
    pub async fn sweep_accept(&self) -> Result<u64> {
        let accepted = self
            .count(
                "sweep_accept",
                sqlx::query("update sweep_candidates set known = true where not known"),
            )
            .await?;
        self.count(
            "sweep_accept_fleet",
            sqlx::query(
                "update fleet set sweep_stopped = false, walk_began_at = null, walk_seen_at = null",
            ),
        )
        .await?;
        Ok(accepted)
    }

    /// Whether the sweep has stopped because more looked like orphans than may.
    pub async fn sweep_stopped(&self) -> Result<bool> {
        self.value(
            "sweep_stopped",
            sqlx::query_scalar("select sweep_stopped from fleet"),
        )
        .await
    }
}
