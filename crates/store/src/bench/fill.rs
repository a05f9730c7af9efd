//! Finished edits for benchmarks.

use limekiln_jobs::{Digest, ErrorKind, Retryable};
use sqlx::Executor;

use crate::row::big;
use crate::{Error, Limits, NewImage, Result, Store};

/// Edits in one statement.
const CHUNK: i64 = 20_000;

impl Store {
    /// Inserts `count` succeeded edits with their events and artifacts, spread over `tenants` tenants of their own
    /// (named `filled-...`), as if they had been run over the last month. Takes minutes for a million.
    pub async fn edits_fill(&self, tenants: u32, count: u64) -> Result<()> {
        let mut images = Vec::new();
        for n in 0..tenants.max(1) {
            let name = format!("filled-{n}");
            let tenant = match self.tenant_create(&name, &Limits::default()).await {
                Err(Error::NameTaken(_)) => {
                    self.tenant_by_name(&name).await?.ok_or(Error::NoTenant)?
                }
                tenant => tenant?,
            };
            let digest = Digest::of(name.as_bytes());
            let image = NewImage {
                key: format!("t/{}/images/{digest}", tenant.id),
                digest,
                media_type: "image/png".to_owned(),
                bytes: 400_000,
                width: 512,
                height: 512,
            };
            images.push(self.image_create(tenant.id, &image).await?.id.uuid());
        }
        let count = big(count);
        let mut conn = self.conn().await?;
        conn.get()
            .execute(sqlx::raw_sql("set statement_timeout = 0"))
            .await?;
        let mut first = 1;
        while first <= count {
            let last = (first + CHUNK - 1).min(count);
            sqlx::query(include_str!("edits_fill.sql"))
                .bind(&images)
                .bind(first)
                .bind(last)
                .bind(count)
                .execute(conn.get())
                .await?;
            first = last + 1;
        }
        // Rows of last month have long been vacuumed, and would be in a real table.
        for table in [
            "vacuum (analyze) edits",
            "vacuum (analyze) edit_events",
            "vacuum (analyze) artifacts",
        ] {
            conn.get().execute(sqlx::raw_sql(table)).await?;
        }
        // Nor are its pages still to be written. Only some roles may say so; for others it is the server's own time.
        if let Err(error) = conn.get().execute(sqlx::raw_sql("checkpoint")).await {
            let error = Error::from(error);
            if error.kind() != ErrorKind::Setup {
                return Err(error);
            }
            tracing::info!(%error, "measured while the server writes out what was filled in");
        }
        conn.get()
            .execute(sqlx::raw_sql(crate::store::SESSION))
            .await?;
        conn.done();
        Ok(())
    }
}
