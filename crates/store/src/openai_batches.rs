//! Batches of OpenAI's API. Each is a catalog of the same id: here is what that API has beside it, and who reads its file.

use std::time::Duration;

use limekiln_jobs::{BatchId, FileId, TenantId};
use serde_json::{Map, Value};
use sqlx::Connection;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::arrays::column;
use crate::catalogs::{self, NewCatalog};
use crate::conn::deadline;
use crate::row::{big, clean, clean_json, get, id, id_opt, int, json, whole};
use crate::{Result, Store};

/// What is read of a batch: its own row, and what the counters of its catalog say.
macro_rules! view {
    () => {
        "select b.*, c.passed + c.review + c.rejected as completed, b.refused + c.failed + c.cancelled as lost,
            c.ended_at is not null as rows_ended
        from openai_batches b
        cross join lateral (select c.* from catalogs c where c.id = b.id limit 1) c"
    };
}

/// A batch to be made.
#[derive(Debug, Clone)]
pub struct NewOpenAiBatch {
    /// The catalog that it is.
    pub catalog: NewCatalog,
    /// The file with its requests.
    pub input: FileId,
    /// Within which time it is to end, as it was asked for.
    pub window: String,
    /// The same as a time.
    pub within: Duration,
    /// What it came with.
    pub metadata: Option<Map<String, Value>>,
}

/// What became of a new batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenAiBatchCreated {
    /// It is there, or was there before with this key and request.
    Created(BatchId),
    /// The same key came before with another request.
    KeyReused,
    /// The tenant has as many open catalogs as it may.
    TooMany,
}

/// A batch.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAiBatch {
    /// Its id, which is its catalog's.
    pub id: BatchId,
    /// The file with its requests.
    pub input: FileId,
    /// Within which time it is to end, as it was asked for.
    pub window: String,
    /// What it came with.
    pub metadata: Option<Map<String, Value>>,
    /// Requests in its file, as far as that was read.
    pub lines: u64,
    /// Requests with a result.
    pub completed: u64,
    /// Requests without one that ended.
    pub failed: u64,
    /// What is wrong with its file.
    pub errors: Vec<Value>,
    /// The file of results.
    pub output: Option<FileId>,
    /// The file of requests without one.
    pub error_file: Option<FileId>,
    /// How it ended: `completed`, `failed`, `expired` or `cancelled`.
    pub outcome: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it is stopped.
    pub expires_at: OffsetDateTime,
    /// When its file was read.
    pub in_progress_at: Option<OffsetDateTime>,
    /// When somebody cancelled it.
    pub cancelling_at: Option<OffsetDateTime>,
    /// When its files began to be made.
    pub finalizing_at: Option<OffsetDateTime>,
    /// When it reached a last state, whichever.
    pub done_at: Option<OffsetDateTime>,
    /// Whether all of its rows ended.
    pub rows_ended: bool,
}

/// What is to be done with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenAiPhase {
    /// Its file is to be read.
    Read,
    /// Its rows are to be cancelled.
    Stop,
    /// All of its rows ended.
    Finish,
}

/// A batch that is this process' to work on, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAiDue {
    /// The batch.
    pub id: BatchId,
    /// Tenant of the batch.
    pub tenant: TenantId,
    /// What is to be done with it.
    pub phase: OpenAiPhase,
    /// Names this claim of the batch.
    pub lease: Uuid,
    /// The file with its requests.
    pub input: FileId,
    /// How far that was read.
    pub read: OpenAiRead,
}

/// How far the file of a batch was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenAiRead {
    /// Bytes, up to the end of a line.
    pub bytes: u64,
    /// Lines in them, empty ones included.
    pub file_lines: u64,
    /// Those with a request.
    pub requests: u64,
    /// Those that became no row.
    pub refused: u64,
}

/// A request that became no row.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAiRefused {
    /// The line that it stands in, from 1.
    pub line: u64,
    /// As it is called.
    pub custom_id: String,
    /// Status of the answer that it would have had.
    pub status: u16,
    /// Body of that answer.
    pub error: Value,
}

impl Store {
    /// Makes a batch; the same idempotency key again is the same batch. None of its rows is started before its file was read.
    ///
    /// # Errors
    /// [`Error::NoTenant`](crate::Error::NoTenant).
    pub async fn openai_batch_create(
        &self,
        tenant: TenantId,
        batch: &NewOpenAiBatch,
    ) -> Result<OpenAiBatchCreated> {
        let mut conn = self.conn().await?;
        let made = deadline(async {
            let mut tx = conn.get().begin().await?;
            let made = create(&mut tx, tenant, batch).await;
            match &made {
                Ok(_) => tx.commit().await?,
                Err(_) => tx.rollback().await?,
            }
            Ok(made)
        });
        let made = made.await?;
        conn.done_with("openai_batch_create");
        made
    }

    /// The tenant's batch of this id.
    pub async fn openai_batch_get(
        &self,
        tenant: TenantId,
        id: BatchId,
    ) -> Result<Option<OpenAiBatch>> {
        let sql = concat!(view!(), " where b.id = $1 and b.tenant_id = $2");
        let statement = sqlx::query(sql).bind(id.uuid()).bind(tenant.uuid());
        let row = self.row("openai_batch_get", statement).await?;
        row.as_ref().map(batch).transpose()
    }

    /// Up to `limit` batches after this one, newest first.
    pub async fn openai_batches_list(
        &self,
        tenant: TenantId,
        after: Option<BatchId>,
        limit: u32,
    ) -> Result<Vec<OpenAiBatch>> {
        let sql = concat!(
            view!(),
            " where b.tenant_id = $1 and ($2::uuid is null or b.id < $2) order by b.tenant_id desc, b.id desc limit $3"
        );
        let statement = sqlx::query(sql)
            .bind(tenant.uuid())
            .bind(after.map(BatchId::uuid))
            .bind(int(limit));
        let rows = self.rows("openai_batches_list", statement).await?;
        rows.iter().map(batch).collect()
    }

    /// Cancels a batch that has not ended: its rows are cancelled as those of a catalog.
    pub async fn openai_batch_cancel(&self, tenant: TenantId, id: BatchId) -> Result<()> {
        let sql = "update openai_batches set cancelling_at = coalesce(cancelling_at, now())
            where id = $1 and tenant_id = $2 and done_at is null";
        let statement = sqlx::query(sql).bind(id.uuid()).bind(tenant.uuid());
        if self.count("openai_batch_cancel", statement).await? > 0 {
            self.catalog_cancel(tenant, id).await?;
        }
        Ok(())
    }

    /// Claims up to `limit` batches that have something to do, for so long.
    pub async fn openai_batches_claim(
        &self,
        limit: u32,
        lease: Duration,
    ) -> Result<Vec<OpenAiDue>> {
        let statement = sqlx::query(include_str!("sql/openai_batches_claim.sql"))
            .bind(int(limit))
            .bind(Uuid::now_v7())
            .bind(lease.as_secs_f64());
        let rows = self.rows("openai_batches_claim", statement).await?;
        let due = |row: &PgRow| {
            Ok(OpenAiDue {
                id: id(row, "id")?,
                tenant: id(row, "tenant_id")?,
                phase: match get::<&str>(row, "phase")? {
                    "read" => OpenAiPhase::Read,
                    "stop" => OpenAiPhase::Stop,
                    _ => OpenAiPhase::Finish,
                },
                lease: get(row, "lease")?,
                input: id(row, "input_file_id")?,
                read: OpenAiRead {
                    bytes: whole(row, "read_bytes")?,
                    file_lines: whole(row, "read_lines")?,
                    requests: whole(row, "lines")?,
                    refused: whole(row, "refused")?,
                },
            })
        };
        rows.iter().map(due).collect()
    }

    /// Writes how far the file was read, with the requests that became no row, and keeps the batch for so long. `false` where it is
    /// another's by now, or was cancelled.
    pub async fn openai_batch_read(
        &self,
        due: &OpenAiDue,
        read: OpenAiRead,
        refused: &[OpenAiRefused],
        lease: Duration,
    ) -> Result<bool> {
        let sql = "with held as (
                update openai_batches b
                set read_bytes = $3, read_lines = $4, lines = $5, refused = $6, lease_until = now() + make_interval(secs => $7)
                where b.id = $1 and b.lease = $2 and b.done_at is null and b.cancelling_at is null
                returning b.id
            ),
            refused as (
                insert into openai_batch_lines (batch_id, line, custom_id, status, error)
                select h.id, a.line, a.custom_id, a.status, a.error
                from held h
                cross join unnest($8::bigint[], $9::text[], $10::smallint[], $11::jsonb[]) as a (line, custom_id, status, error)
                on conflict do nothing
            )
            select count(*) as held from held";
        let statement = sqlx::query(sql)
            .bind(due.id.uuid())
            .bind(due.lease)
            .bind(big(read.bytes))
            .bind(big(read.file_lines))
            .bind(big(read.requests))
            .bind(big(read.refused))
            .bind(lease.as_secs_f64())
            .bind(column(refused, |one| big(one.line)))
            .bind(column(refused, |one| clean(&one.custom_id)))
            .bind(column(refused, |one| {
                i16::try_from(one.status).unwrap_or(0)
            }))
            .bind(column(refused, |one| clean_json(one.error.clone())));
        let row = self.row("openai_batch_read", statement).await?;
        Ok(row.map_or(Ok(0), |row| whole::<u64>(&row, "held"))? > 0)
    }

    /// All of the file was read: its rows run from now on.
    pub async fn openai_batch_start(&self, due: &OpenAiDue) -> Result<()> {
        let sql = "with held as (
                update openai_batches b set in_progress_at = now(), lease = null, lease_until = null
                where b.id = $1 and b.lease = $2 and b.done_at is null and b.cancelling_at is null
                returning b.id
            )
            update catalogs c
            set sealed_at = coalesce(c.sealed_at, now()), paused_at = null, version = c.version + 1
            from held h where c.id = h.id";
        let statement = sqlx::query(sql).bind(due.id.uuid()).bind(due.lease);
        self.count("openai_batch_start", statement).await.map(drop)
    }

    /// The file is wrong: nothing of it runs.
    pub async fn openai_batch_fail(&self, due: &OpenAiDue, errors: &[Value]) -> Result<()> {
        let sql = "update openai_batches b
            set errors = $3, outcome = 'failed', done_at = now(), lease = null, lease_until = null
            where b.id = $1 and b.lease = $2 and b.done_at is null and b.cancelling_at is null";
        let statement = sqlx::query(sql)
            .bind(due.id.uuid())
            .bind(due.lease)
            .bind(clean_json(Value::Array(errors.to_vec())));
        if self.count("openai_batch_fail", statement).await? > 0 {
            self.catalog_cancel(due.tenant, due.id).await?;
        }
        Ok(())
    }

    /// Its time is over, or somebody cancelled it: its rows are cancelled.
    pub async fn openai_batch_stop(&self, due: &OpenAiDue) -> Result<()> {
        let sql = "update openai_batches b
            set expiring_at = case when b.cancelling_at is null then now() end, lease = null, lease_until = null
            where b.id = $1 and b.lease = $2 and b.done_at is null";
        let statement = sqlx::query(sql).bind(due.id.uuid()).bind(due.lease);
        if self.count("openai_batch_stop", statement).await? > 0 {
            self.catalog_cancel(due.tenant, due.id).await?;
        }
        Ok(())
    }

    /// All of its rows ended: what came of it can be asked for.
    pub async fn openai_batch_finish(&self, due: &OpenAiDue) -> Result<()> {
        let statement = sqlx::query(include_str!("sql/openai_batch_finish.sql"))
            .bind(due.id.uuid())
            .bind(due.lease)
            .bind(FileId::new().uuid())
            .bind(FileId::new().uuid());
        self.count("openai_batch_finish", statement).await.map(drop)
    }

    /// Gives the batch back for another try, after so long.
    pub async fn openai_batch_put_off(&self, due: &OpenAiDue, wait: Duration) -> Result<()> {
        let sql = "update openai_batches b set lease_until = now() + make_interval(secs => $3)
            where b.id = $1 and b.lease = $2 and b.done_at is null";
        let statement = sqlx::query(sql)
            .bind(due.id.uuid())
            .bind(due.lease)
            .bind(wait.as_secs_f64());
        self.count("openai_batch_put_off", statement)
            .await
            .map(drop)
    }

    /// Up to `limit` requests that became no row, after a line.
    pub async fn openai_batch_refused(
        &self,
        id: BatchId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<OpenAiRefused>> {
        let sql = "select * from openai_batch_lines l where l.batch_id = $1 and l.line > $2
            order by l.batch_id, l.line limit $3";
        let statement = sqlx::query(sql)
            .bind(id.uuid())
            .bind(big(after))
            .bind(int(limit));
        let rows = self.rows("openai_batch_refused", statement).await?;
        let refused = |row: &PgRow| {
            Ok(OpenAiRefused {
                line: whole(row, "line")?,
                custom_id: get(row, "custom_id")?,
                status: crate::row::tiny(row, "status")?,
                error: get(row, "error")?,
            })
        };
        rows.iter().map(refused).collect()
    }
}

async fn create(
    tx: &mut sqlx::PgConnection,
    tenant: TenantId,
    batch: &NewOpenAiBatch,
) -> Result<OpenAiBatchCreated> {
    let catalog = &batch.catalog;
    if let Some(key) = &catalog.idempotency_key {
        let sql = "select c.id, c.request_digest = $3 as same from catalogs c where c.tenant_id = $1 and c.idempotency_key = $2";
        let before = sqlx::query(sql)
            .bind(tenant.uuid())
            .bind(key)
            .bind(catalog.digest.bytes().as_slice())
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(before) = before {
            return Ok(match get(&before, "same")? {
                true => OpenAiBatchCreated::Created(id(&before, "id")?),
                false => OpenAiBatchCreated::KeyReused,
            });
        }
    }
    if !catalogs::insert(tx, tenant, catalog).await? {
        return Ok(OpenAiBatchCreated::TooMany);
    }
    sqlx::query("update catalogs set paused_at = now() where id = $1")
        .bind(catalog.id.uuid())
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "insert into openai_batches (id, tenant_id, input_file_id, completion_window, metadata, expires_at)
        values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))",
    )
    .bind(catalog.id.uuid())
    .bind(tenant.uuid())
    .bind(batch.input.uuid())
    .bind(clean(&batch.window))
    .bind(batch.metadata.clone().map(|map| clean_json(map.into())))
    .bind(batch.within.as_secs_f64())
    .execute(tx)
    .await?;
    Ok(OpenAiBatchCreated::Created(catalog.id))
}

fn batch(row: &PgRow) -> Result<OpenAiBatch> {
    let at = |column| get::<Option<OffsetDateTime>>(row, column);
    let errors = get::<Option<Value>>(row, "errors")?;
    Ok(OpenAiBatch {
        id: id(row, "id")?,
        input: id(row, "input_file_id")?,
        window: get(row, "completion_window")?,
        metadata: get::<Option<Value>>(row, "metadata")?
            .map(|metadata| json(metadata, "metadata"))
            .transpose()?,
        lines: whole(row, "lines")?,
        completed: whole(row, "completed")?,
        failed: whole(row, "lost")?,
        errors: errors.map_or(Ok(Vec::new()), |errors| json(errors, "errors"))?,
        output: id_opt(row, "output_file_id")?,
        error_file: id_opt(row, "error_file_id")?,
        outcome: get(row, "outcome")?,
        created_at: get(row, "created_at")?,
        expires_at: get(row, "expires_at")?,
        in_progress_at: at("in_progress_at")?,
        cancelling_at: at("cancelling_at")?,
        finalizing_at: at("finalizing_at")?,
        done_at: at("done_at")?,
        rows_ended: get(row, "rows_ended")?,
    })
}
