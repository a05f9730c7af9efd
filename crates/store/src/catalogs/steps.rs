//! Rows about several objects: each is an edit that builds on the one before, begun in the transaction that finds that one ended.

use limekiln_jobs::{BatchId, EditId, TenantId};
use serde_json::{Map, Value};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::rows::NewRow;
use crate::Result;
use crate::arrays::column;
use crate::row::{big, clean_json};

/// A further edit of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct NewStep {
    /// Id of the [`NewBase`](crate::NewBase) that it has in common with others.
    pub base: Uuid,
    /// What its spec has beside that of its base.
    pub fields: Map<String, Value>,
}

/// A row whose next edit begins.
pub(super) struct Next {
    pub(super) number: u64,
    pub(super) edit: EditId,
    /// Why somebody should look at what is there so far, in one text.
    pub(super) reasons: String,
    pub(super) measures: Value,
}

/// What comes after a row's first edit, for its column.
pub(super) fn written(row: &NewRow) -> Option<Value> {
    let steps = row.steps.iter().map(|step| {
        let fields = clean_json(Value::Object(step.fields.clone()));
        serde_json::json!({"base": step.base, "fields": fields})
    });
    let steps: Vec<Value> = steps.collect();
    (!steps.is_empty()).then_some(Value::Array(steps))
}

/// Begins the next edits of rows whose last one succeeded.
pub(super) async fn begin(
    tx: &mut PgConnection,
    tenant: TenantId,
    catalog: BatchId,
    rows: &[Next],
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "with next as materialized (
            select a.number, a.id, a.reasons, a.measures, r.edit_id as parent_id, r.steps -> r.step as step
            from unnest($3::bigint[], $4::uuid[], $5::text[], $6::jsonb[]) as a (number, id, reasons, measures)
            cross join lateral (
                select r.edit_id, r.steps, r.step from catalog_rows r where r.catalog_id = $1 and r.number = a.number limit 1
            ) r
        ),
        made as (
            insert into edits (id, tenant_id, batch_id, parent_id, model, class, spec, born, state, max_attempts, webhook_url, needs)
            select
                n.id, $2, $1, n.parent_id, b.model, 'bulk', b.spec || (n.step -> 'fields'), 'queued', 'queued',
                least(b.max_attempts, (select t.attempts_max from tenants t where t.id = $2)), b.webhook_url, b.needs
            from next n
            cross join lateral (
                select b.* from catalog_bases b where b.catalog_id = $1 and b.id = (n.step ->> 'base')::uuid limit 1
            ) b
            order by n.id
            returning id
        )
        update catalog_rows r
        set edit_id = n.id, step = r.step + 1, reasons = n.reasons, measures = n.measures
        from next n
        where r.catalog_id = $1 and r.number = n.number",
    )
    .bind(catalog.uuid())
    .bind(tenant.uuid())
    .bind(column(rows, |row| big(row.number)))
    .bind(column(rows, |row| row.edit.uuid()))
    .bind(column(rows, |row| row.reasons.as_str()))
    .bind(column(rows, |row| row.measures.clone()))
    .execute(tx)
    .await?;
    Ok(())
}
