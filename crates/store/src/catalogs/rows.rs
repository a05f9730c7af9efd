//! Rows come in, each once, and are shown.

use limekiln_jobs::api::{CatalogRequest, RowPage, RowView, RowsTaken};
use limekiln_jobs::catalog::{CatalogState, ROWS_MAX, RowState};
use limekiln_jobs::{BatchId, Digest, ImageId, TenantId};
use serde_json::{Map, Value};
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use super::pictures::{NewPicture, pictures_add, pictures_known};
use super::steps::{self, NewStep};
use crate::arrays::column;
use crate::conn::deadline;
use crate::row::{bad, big, clean, clean_json, get, id, id_opt, int, json, name, whole};
use crate::{Result, Store};

/// What specs of rows have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBase {
    /// Of what it holds: the same again is the same row.
    pub id: Uuid,
    /// Name of the model that runs its rows.
    pub model: String,
    /// The spec without what rows have of their own.
    pub spec: Value,
    /// What it needs of a worker.
    pub needs: Vec<String>,
    /// Attempts before an edit is given up.
    pub max_attempts: u16,
    /// The URL that is told when an edit ends.
    pub webhook_url: Option<String>,
}

/// A row to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRow {
    /// Its number, from 1.
    pub number: u64,
    /// Id of the [`NewBase`] that it has in common with other rows.
    pub base: Uuid,
    /// The picture that the row edits.
    pub image: ImageId,
    /// The picture as its address names it: until it came, `image` is no image.
    pub picture: Option<NewPicture>,
    /// The mask of its edit, where it has one.
    pub mask: Option<ImageId>,
    /// The object that it is about: those of a picture with the same one take the first one's region. Nil: it waits for nobody.
    pub object: Uuid,
    /// What its spec has beside that of its base.
    pub fields: Map<String, Value>,
    /// Further edits, each of the result of the one before.
    pub steps: Vec<NewStep>,
    /// The fields that came with it.
    pub sent: Map<String, Value>,
    /// Values for the places of the templates, as they came.
    pub values: Map<String, Value>,
    /// Digest of the row as it came.
    pub digest: Digest,
}

/// What became of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowsAdded {
    /// The rows are stored, or were before.
    Taken(RowsTaken),
    /// No such catalog of this tenant.
    NoCatalog,
    /// It takes no more rows.
    Sealed,
    /// It has as many rows as it may.
    TooMany,
    /// These numbers came with other rows before.
    Reused(Vec<u64>),
}

/// A row as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct RowRequest {
    /// Number of the row in its catalog, from 1.
    pub number: u64,
    /// State of the row.
    pub state: RowState,
    /// The picture that the row edits.
    pub image: ImageId,
    /// The mask of its edit, where it has one.
    pub mask: Option<ImageId>,
    /// The fields that came with it.
    pub sent: Map<String, Value>,
    /// Values for the places of the templates, as they came.
    pub values: Map<String, Value>,
}

impl Store {
    /// What the rows of a catalog have in common, and whether it takes more of them; `None` when the tenant has no such one.
    pub async fn catalog_request(
        &self,
        tenant: TenantId,
        id: BatchId,
    ) -> Result<Option<(CatalogRequest, bool)>> {
        let sql = "select settings, sealed_at is null and cancelled_at is null as open
            from catalogs where id = $1 and tenant_id = $2";
        let statement = sqlx::query(sql).bind(id.uuid()).bind(tenant.uuid());
        let Some(row) = self.row("catalog_request", statement).await? else {
            return Ok(None);
        };
        let request = json(get(&row, "settings")?, "settings")?;
        Ok(Some((request, get(&row, "open")?)))
    }

    /// Those of these images that the tenant does not have.
    pub async fn images_missing(
        &self,
        tenant: TenantId,
        images: &[ImageId],
    ) -> Result<Vec<ImageId>> {
        let sql = "select a.id from unnest($2::uuid[]) as a (id)
            left join lateral (
                select i.id from images i where i.id = a.id and i.tenant_id is not distinct from $1 limit 1
            ) i on true
            where i.id is null";
        let statement = sqlx::query(sql)
            .bind(tenant.uuid())
            .bind(column(images, |image| image.uuid()));
        let rows = self.rows("images_missing", statement).await?;
        rows.iter().map(|row| id(row, "id")).collect()
    }

    /// Adds rows to a catalog, all or none: each once, however often it is sent.
    pub async fn catalog_rows_add(
        &self,
        tenant: TenantId,
        catalog: BatchId,
        bases: &[NewBase],
        rows: &[NewRow],
    ) -> Result<RowsAdded> {
        let mut conn = self.conn().await?;
        let added = deadline(async {
            let mut tx = conn.get().begin().await?;
            let added = add(&mut tx, tenant, catalog, bases, rows).await;
            match &added {
                Ok(RowsAdded::Taken(_)) => tx.commit().await?,
                _ => tx.rollback().await?,
            }
            Ok(added)
        });
        let added = added.await?;
        conn.done_with("catalog_rows_add");
        added
    }

    /// A page of rows after a number.
    pub async fn catalog_rows(
        &self,
        tenant: TenantId,
        catalog: BatchId,
        state: Option<RowState>,
        after: u64,
        limit: u32,
    ) -> Result<Option<RowPage>> {
        let Some(view) = self.catalog_get(tenant, catalog).await? else {
            return Ok(None);
        };
        let cancelled = matches!(
            view.state,
            CatalogState::Cancelling | CatalogState::Cancelled
        );
        // A row that waits in a cancelled catalog is cancelled, though it does not say so.
        let state = state.map(|state| match state {
            RowState::Cancelled if cancelled => "waiting,fetching,cancelled",
            RowState::Waiting if cancelled => "",
            RowState::Waiting => "waiting,fetching",
            state => state.as_str(),
        });
        let states: Option<Vec<&str>> = state.map(|state| state.split(',').collect());
        let sql = "select r.*, p.address as picture_address, p.error as picture_error
            from catalog_rows r
            left join lateral (
                select p.address, p.error from catalog_pictures p where p.catalog_id = r.catalog_id and p.id = r.picture_id limit 1
            ) p on true
            where r.catalog_id = $1 and r.number > $2 and ($3::text[] is null or r.state = any ($3))
            order by r.catalog_id, r.number limit $4";
        let statement = sqlx::query(sql)
            .bind(catalog.uuid())
            .bind(big(after))
            .bind(states)
            .bind(int(limit.saturating_add(1)));
        let found = self.rows("catalog_rows", statement).await?;
        let mut rows = found
            .iter()
            .map(|row| row_view(row, cancelled))
            .collect::<Result<Vec<_>>>()?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|row| row.row);
        Ok(Some(RowPage { rows, next }))
    }

    /// These rows as they were asked for, and where `picture` says so all others in review of the same pictures.
    pub async fn catalog_rows_asked(
        &self,
        catalog: BatchId,
        numbers: &[u64],
        picture: bool,
        most: u32,
    ) -> Result<Vec<RowRequest>> {
        let sql = "select r.* from catalog_rows r
            where r.catalog_id = $1 and r.number = any ($2)
            union
            select r.* from catalog_rows p
            join catalog_rows r on r.catalog_id = p.catalog_id and r.image_id = p.image_id
            where $3 and p.catalog_id = $1 and p.number = any ($2) and r.state = 'review'
            order by number limit $4";
        let statement = sqlx::query(sql)
            .bind(catalog.uuid())
            .bind(column(numbers, |number| big(*number)))
            .bind(picture)
            .bind(int(most));
        let rows = self.rows("catalog_rows_asked", statement).await?;
        let asked = |row: &PgRow| {
            Ok(RowRequest {
                number: whole(row, "number")?,
                state: match get(row, "state")? {
                    "fetching" => RowState::Waiting,
                    _ => name(row, "state")?,
                },
                image: id(row, "image_id")?,
                mask: id_opt(row, "mask_id")?,
                sent: json(get(row, "sent")?, "sent")?,
                values: json(get(row, "row_values")?, "row_values")?,
            })
        };
        rows.iter().map(asked).collect()
    }
}

async fn add(
    tx: &mut PgConnection,
    tenant: TenantId,
    catalog: BatchId,
    bases: &[NewBase],
    rows: &[NewRow],
) -> Result<RowsAdded> {
    let found = sqlx::query(
        "select sealed_at is null and cancelled_at is null as open, row_count from catalogs
        where id = $1 and tenant_id = $2 for key share",
    )
    .bind(catalog.uuid())
    .bind(tenant.uuid())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(found) = found else {
        return Ok(RowsAdded::NoCatalog);
    };
    // What came before is answered as it was, sealed or not.
    let open: bool = get(&found, "open")?;
    let digests = |row: &NewRow| row.digest.bytes().to_vec();
    let numbers = column(rows, |row| big(row.number));
    if open {
        pictures_add(tx, catalog, rows).await?;
    }
    bases_add(tx, catalog, bases).await?;
    let object = |map: &Map<String, Value>| clean_json(Value::Object(map.clone()));
    let picture = |row: &NewRow| row.picture.as_ref().map(|picture| picture.id);
    let mut added = 0;
    if open {
        let inserted = sqlx::query(
            "insert into catalog_rows (
                catalog_id, number, base_id, image_id, mask_id, fields, sent, row_values, digest, object_id, picture_id, state, steps
            )
            select
                $1, number, base_id, image_id, mask_id, fields, sent, row_values, digest, object_id, picture_id,
                case when picture_id is null then 'waiting' else 'fetching' end, steps
            from unnest(
                $2::bigint[], $3::uuid[], $4::uuid[], $5::uuid[], $6::jsonb[], $7::jsonb[], $8::jsonb[], $9::bytea[], $10::uuid[],
                $11::uuid[], $12::jsonb[]
            ) as a (number, base_id, image_id, mask_id, fields, sent, row_values, digest, object_id, picture_id, steps)
            on conflict (catalog_id, number) do nothing",
        )
        .bind(catalog.uuid())
        .bind(&numbers)
        .bind(column(rows, |row| row.base))
        .bind(column(rows, |row| row.image.uuid()))
        .bind(column(rows, |row| row.mask.map(ImageId::uuid)))
        .bind(column(rows, |row| object(&row.fields)))
        .bind(column(rows, |row| object(&row.sent)))
        .bind(column(rows, |row| object(&row.values)))
        .bind(column(rows, digests))
        .bind(column(rows, |row| row.object))
        .bind(column(rows, picture))
        .bind(column(rows, steps::written))
        .execute(&mut *tx)
        .await?;
        added = inserted.rows_affected();
        pictures_known(tx, catalog, rows).await?;
    }
    if added < rows.len() as u64 {
        let others = sqlx::query(
            "select a.number, r.number is not null as there
            from unnest($2::bigint[], $3::bytea[]) as a (number, digest)
            left join lateral (
                select r.number, r.digest from catalog_rows r where r.catalog_id = $1 and r.number = a.number limit 1
            ) r on true
            where r.digest is distinct from a.digest",
        )
        .bind(catalog.uuid())
        .bind(&numbers)
        .bind(column(rows, digests))
        .fetch_all(&mut *tx)
        .await?;
        let mut reused = Vec::new();
        for row in &others {
            if !get::<bool>(row, "there")? {
                return Ok(RowsAdded::Sealed);
            }
            reused.push(whole(row, "number")?);
        }
        if !reused.is_empty() {
            return Ok(RowsAdded::Reused(reused));
        }
    }
    let repeated = rows.len() as u64 - added;
    if added == 0 {
        let rows = whole(&found, "row_count")?;
        return Ok(RowsAdded::Taken(RowsTaken {
            added,
            repeated,
            rows,
        }));
    }
    // The catalog's row is held from here on only, so that rows that come and rows that are started do not wait for each other.
    let counted = sqlx::query(
        "update catalogs set row_count = row_count + $2, waiting = waiting + $2, version = version + 1
        where id = $1 and sealed_at is null and cancelled_at is null returning row_count",
    )
    .bind(catalog.uuid())
    .bind(big(added))
    .fetch_optional(&mut *tx)
    .await?;
    let Some(counted) = counted else {
        return Ok(RowsAdded::Sealed);
    };
    let rows: u64 = whole(&counted, "row_count")?;
    if rows > ROWS_MAX {
        return Ok(RowsAdded::TooMany);
    }
    Ok(RowsAdded::Taken(RowsTaken {
        added,
        repeated,
        rows,
    }))
}

pub(super) async fn bases_add(
    tx: &mut PgConnection,
    catalog: BatchId,
    bases: &[NewBase],
) -> Result<()> {
    sqlx::query(
        "insert into catalog_bases (catalog_id, id, model, spec, needs, max_attempts, webhook_url)
        select $1, id, model, spec, case when needs is null then '{}' else string_to_array(needs, E'\\n') end, max_attempts, webhook_url
        from unnest($2::uuid[], $3::text[], $4::jsonb[], $5::text[], $6::smallint[], $7::text[])
            as a (id, model, spec, needs, max_attempts, webhook_url)
        on conflict do nothing",
    )
    .bind(catalog.uuid())
    .bind(column(bases, |base| base.id))
    .bind(column(bases, |base| base.model.as_str()))
    .bind(column(bases, |base| clean_json(base.spec.clone())))
    .bind(column(bases, |base| {
        (!base.needs.is_empty()).then(|| clean(&base.needs.join("\n")))
    }))
    .bind(column(bases, |base| {
        i16::try_from(base.max_attempts).unwrap_or(i16::MAX).max(1)
    }))
    .bind(column(bases, |base| base.webhook_url.as_deref().map(clean)))
    .execute(tx)
    .await?;
    Ok(())
}

fn row_view(row: &PgRow, cancelled: bool) -> Result<RowView> {
    let fields: Map<String, Value> = json(get(row, "fields")?, "fields")?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let reasons: &str = get(row, "reasons")?;
    let reasons = reasons
        .split(',')
        .filter(|reason| !reason.is_empty())
        .map(|reason| reason.parse().map_err(|error| bad("reasons", error)));
    let (state, fetching) = match get(row, "state")? {
        "fetching" => (RowState::Waiting, true),
        _ => (name(row, "state")?, false),
    };
    let state = match state {
        RowState::Waiting if cancelled => RowState::Cancelled,
        state => state,
    };
    // Why it still waits.
    let error = match fetching && !cancelled {
        true => get(row, "picture_error")?,
        false => get(row, "error")?,
    };
    let optional = |column| get::<Option<Value>>(row, column);
    Ok(RowView {
        row: whole(row, "number")?,
        state,
        reasons: reasons.collect::<Result<Vec<_>>>()?,
        error,
        values: json(get(row, "row_values")?, "row_values")?,
        image: id(row, "image_id")?,
        image_url: get(row, "picture_address")?,
        instruction: text("instruction").unwrap_or_default(),
        color: text("color"),
        edit: id_opt(row, "edit_id")?,
        measures: optional("measures")?
            .map(|value| json(value, "measures"))
            .transpose()?
            .unwrap_or_default(),
        decision: optional("decision")?
            .map(|value| json(value, "decision"))
            .transpose()?,
    })
}
