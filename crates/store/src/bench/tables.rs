//! Full tables for benchmarks: many tenants, a long queue, waiting turns.

use limekiln_jobs::{EditId, ImageId, TenantId};
use sqlx::Executor;

use crate::row::{big, id};
use crate::{Result, Store};

/// What is in the tables.
#[derive(Debug, Clone, Copy)]
pub struct Full {
    /// Tenants, each with an image.
    pub tenants: u32,
    /// Queued edits: half of them the first tenant's, a fifth `bulk`.
    pub queued: u32,
    /// Edits that ended over the last month, one of twenty failed, their events and results.
    pub ended: u32,
    /// Turns whose parents are queued.
    pub waiting: u32,
}

/// Each is one statement: tenants, images, what ended with events and results, the queue, turns, counts.
const FILL: [&str; 6] = [
    include_str!("tables/tenants.sql"),
    include_str!("tables/images.sql"),
    include_str!("tables/ended.sql"),
    include_str!("tables/queued.sql"),
    include_str!("tables/waiting.sql"),
    include_str!("tables/in_flight.sql"),
];

impl Store {
    /// Fills an empty database within minutes: no trigger and no reference is checked meanwhile, which takes a superuser.
    pub async fn tables_fill(&self, full: Full) -> Result<()> {
        let mut conn = self.conn().await?;
        conn.get()
            .execute(sqlx::raw_sql(
                "set statement_timeout = 0; set enable_seqscan = on; set enable_hashjoin = on; set plan_cache_mode = auto;
                set session_replication_role = replica",
            ))
            .await?;
        for sql in FILL {
            sqlx::query(sql)
                .bind(big(u64::from(full.tenants)))
                .bind(big(u64::from(full.queued)))
                .bind(big(u64::from(full.ended)))
                .bind(big(u64::from(full.waiting)))
                .execute(conn.get())
                .await?;
        }
        // Such rows have long been vacuumed and written out in a real table.
        for sql in ["vacuum (analyze)", "checkpoint"] {
            conn.get().execute(sqlx::raw_sql(sql)).await?;
        }
        conn.get()
            .execute(sqlx::raw_sql("set session_replication_role = origin"))
            .await?;
        conn.get()
            .execute(sqlx::raw_sql(crate::store::SESSION))
            .await?;
        conn.done();
        self.lines_recount().await?;
        Ok(())
    }

    /// The tenants of [`Store::tables_fill`] with their images, the one with half of the queue first.
    pub async fn tables_tenants(&self) -> Result<Vec<(TenantId, ImageId)>> {
        let rows = self
            .rows(
                "tables_tenants",
                sqlx::query(
                    "select t.id, i.id as image_id from tenants t
                    cross join lateral (select i.id from images i where i.tenant_id = t.id limit 1) i
                    order by t.created_at",
                ),
            )
            .await?;
        rows.iter()
            .map(|row| Ok((id(row, "id")?, id(row, "image_id")?)))
            .collect()
    }

    /// An early queued edit of a tenant: of few before it, every line has some.
    pub async fn tables_early(&self, tenant: TenantId) -> Result<Option<EditId>> {
        let row = self
            .row(
                "tables_early",
                sqlx::query(
                    "select id from edits where tenant_id = $1 and state = 'queued' and class = 'interactive' order by id offset 2 limit 1",
                )
                .bind(tenant.uuid()),
            )
            .await?;
        row.map(|row| id(&row, "id")).transpose()
    }
}
