//! How long edits waited for their start.

use limekiln_jobs::ModelName;
use time::OffsetDateTime;

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

impl Store {
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
