//! How long edits waited for their start.

use limekiln_jobs::{Class, ModelName};
use serde::Serialize;
use time::OffsetDateTime;

use crate::row::{get, word};
use crate::{Result, Store};

/// How long edits waited from the commit of their submission to their claim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Waits {
    /// Half of them waited no longer, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 waited no longer, in milliseconds.
    pub p99_ms: f64,
    /// Edits that have not succeeded.
    pub unsuccessful: i64,
}

/// How long the edits of a class waited from the commit of their submission to their first claim.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassWaits {
    /// The class.
    pub class: Class,
    /// How many there were.
    pub edits: i64,
    /// Half of them waited no longer, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 waited no longer, in milliseconds.
    pub p99_ms: f64,
    /// None waited longer, in milliseconds.
    pub max_ms: f64,
    /// Edits that have not succeeded.
    pub unsuccessful: i64,
}

impl Store {
    /// How long edits of each class of the model waited that were submitted after `since`. Reads every row of the table.
    pub async fn class_waits(
        &self,
        model: &ModelName,
        since: OffsetDateTime,
    ) -> Result<Vec<ClassWaits>> {
        let rows = self
            .rows(
                "class_waits",
                sqlx::query(
                    "select class, count(*) as edits,
                            coalesce(percentile_cont(0.5) within group (order by wait), 0) as p50,
                            coalesce(percentile_cont(0.99) within group (order by wait), 0) as p99,
                            coalesce(max(wait), 0) as most,
                            count(*) filter (where state <> 'succeeded') as unsuccessful
                       from (select class, state, extract(epoch from started_at - created_at)::float8 * 1000 as wait
                               from edits where model = $1 and created_at >= $2) waits
                      group by class order by class desc",
                )
                .bind(model.as_str())
                .bind(since),
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(ClassWaits {
                    class: word(row, "class")?,
                    edits: get(row, "edits")?,
                    p50_ms: get(row, "p50")?,
                    p99_ms: get(row, "p99")?,
                    max_ms: get(row, "most")?,
                    unsuccessful: get(row, "unsuccessful")?,
                })
            })
            .collect()
    }

    /// How long edits of the model waited that were submitted after `since`. Reads every row of the table.
    pub async fn start_waits(&self, model: &ModelName, since: OffsetDateTime) -> Result<Waits> {
        let (p50_ms, p99_ms, unsuccessful): (f64, f64, i64) = self
            .value_row(
                "waits",
                sqlx::query_as(
                    "select coalesce(percentile_cont(0.5) within group (order by wait), 0),
                            coalesce(percentile_cont(0.99) within group (order by wait), 0),
                            count(*) filter (where state <> 'succeeded')
                       from (select state, extract(epoch from started_at - created_at)::float8 * 1000 as wait
                               from edits where model = $1 and created_at >= $2) waits",
                )
                .bind(model.as_str())
                .bind(since),
            )
            .await?;
        Ok(Waits {
            p50_ms,
            p99_ms,
            unsuccessful,
        })
    }
}
