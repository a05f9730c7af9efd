//! Edits as clients see them.

use std::collections::HashMap;

use limekiln_jobs::api::EditPage;
use limekiln_jobs::{
    ArtifactView, BatchId, EditId, EditLinks, EditView, Finish, ModelName, SessionId, Spec,
    StateName, TenantId,
};
use sqlx::postgres::PgRow;

use crate::row::{bad, digest, get, id, id_opt, json, readable, small_opt, tiny, whole, word};
use crate::{Result, Store};

/// Most edits on a page.
const PAGE: u32 = 100;
/// Most edits that a page looks at.
const SCANNED: i64 = 10_000;
/// Places are not counted past this one.
const PLACES: i64 = 10_000;

/// Which edits to list. Everything that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this state.
    pub state: Option<StateName>,
    /// Of this session.
    pub session: Option<SessionId>,
    /// Of this batch.
    pub batch: Option<BatchId>,
    /// Of this model.
    pub model: Option<ModelName>,
}

impl Store {
    /// The tenant's edit of this id, with its artifacts.
    pub async fn edit_get(&self, tenant: TenantId, id: EditId) -> Result<Option<EditView>> {
        let row = self
            .row(
                "edit_get",
                sqlx::query("select * from edits where id = $1 and tenant_id = $2")
                    .bind(id.uuid())
                    .bind(tenant.uuid()),
            )
            .await?;
        let view = self.views(row.as_slice()).await?.pop();
        match (row, view) {
            (Some(_), None) => Err(bad("edits", format!("edit {id}: see the log"))),
            (_, view) => Ok(view),
        }
    }

    /// Up to `limit` (at most 100) of the tenant's edits, older than `after`.
    ///
    /// A page looks at 10,000 edits at most: where few of them match, it may be short, or empty, and still have a next.
    pub async fn edits_list(
        &self,
        tenant: TenantId,
        filter: &Filter,
        after: Option<EditId>,
        limit: u32,
    ) -> Result<EditPage> {
        let limit = limit.clamp(1, PAGE);
        let tenant = tenant.uuid();
        let after = after.map(EditId::uuid);
        // The general index is by tenant; the others are on what they name.
        let named = if filter.session.is_some() {
            Some(include_str!("sql/edits_list_session.sql"))
        } else if filter.batch.is_some() {
            Some(include_str!("sql/edits_list_batch.sql"))
        } else {
            None
        };
        let statement = sqlx::query(named.unwrap_or(include_str!("sql/edits_list.sql")))
            .bind(tenant)
            .bind(after)
            .bind(filter.state.map(StateName::as_str))
            .bind(filter.model.as_ref().map(ModelName::as_str))
            .bind(i64::from(limit) + 1);
        let statement = match named {
            Some(_) => statement
                .bind(filter.session.map(SessionId::uuid))
                .bind(filter.batch.map(BatchId::uuid)),
            None => statement.bind(SCANNED),
        };
        let mut rows = self.rows("edits_list", statement).await?;
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let edits = self.views(&rows).await?;
        let last = rows.last().map(|row| id(row, "id")).transpose()?;
        let mut next = last.filter(|_| more);
        if next.is_none() && named.is_none() && (filter.state.is_some() || filter.model.is_some()) {
            let last = sqlx::query(
                "select id from edits
                where tenant_id = $1 and id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
                order by id desc offset $3 limit 1",
            );
            let last = self
                .row(
                    "edits_list_last",
                    last.bind(tenant).bind(after).bind(SCANNED - 1),
                )
                .await?;
            next = last.map(|row| id(&row, "id")).transpose()?;
        }
        Ok(EditPage { edits, next })
    }

    /// How many edits of the same model, class and needs are released before this one, if tenants take turns from now on: at most
    /// 10,000; 0 once it is announced, `None` unless it is queued.
    pub async fn edit_queue_position(&self, id: EditId) -> Result<Option<u64>> {
        let row = self
            .row(
                "edit_queue_position",
                sqlx::query(include_str!("sql/edit_queue_position.sql"))
                    .bind(id.uuid())
                    .bind(PLACES),
            )
            .await?;
        row.map(|row| whole(&row, "places")).transpose()
    }

    /// Rows of `edits` with their artifacts, as far as they can be read.
    pub(crate) async fn views(&self, rows: &[PgRow]) -> Result<Vec<EditView>> {
        let mut artifacts: HashMap<EditId, Vec<ArtifactView>> = HashMap::new();
        let mut with_results = Vec::new();
        for row in rows {
            if get::<&str>(row, "state")? == StateName::Succeeded.as_str() {
                with_results.push(id::<EditId>(row, "id")?.uuid());
            }
        }
        if !with_results.is_empty() {
            let found = self
                .rows(
                    "artifacts_of",
                    sqlx::query("select * from artifacts where edit_id = any($1)")
                        .bind(with_results),
                )
                .await?;
            for (edit, artifact) in readable("artifacts", &found, artifact) {
                artifacts.entry(edit).or_default().push(artifact);
            }
        }
        Ok(readable("edits", rows, |row| {
            let mut of = artifacts.remove(&id(row, "id")?).unwrap_or_default();
            of.sort_unstable_by_key(|artifact| artifact.kind);
            view(row, of)
        }))
    }
}

fn artifact(row: &PgRow) -> Result<(EditId, ArtifactView)> {
    let artifact = ArtifactView {
        kind: word(row, "kind")?,
        media_type: get(row, "media_type")?,
        bytes: whole(row, "bytes")?,
        digest: digest(row, "digest")?,
    };
    Ok((id(row, "edit_id")?, artifact))
}

fn view(row: &PgRow, artifacts: Vec<ArtifactView>) -> Result<EditView> {
    let id: EditId = id(row, "id")?;
    let spec: Spec = json(get(row, "spec")?, "spec")?;
    let error: Option<serde_json::Value> = get(row, "error")?;
    // What goes without saying is not what was asked for.
    let unsaid = match spec.keep_outside {
        true => Finish::Paste,
        false => Finish::None,
    };
    let finish = (!spec.finish_default).then(|| spec.finish.unwrap_or(unsaid));
    Ok(EditView {
        id,
        state: word(row, "state")?,
        model: get(row, "model")?,
        class: word(row, "class")?,
        instruction: spec.instruction,
        preset: spec.preset,
        seed: spec.seed,
        strip_metadata: spec.strip_metadata,
        options: spec.options,
        size: spec.size,
        mask: id_opt(row, "mask_id")?,
        matte: spec.matte,
        finish,
        carry: spec.carry,
        color: spec.color,
        material: spec.material,
        region: spec.region,
        reuse: spec.reuse,
        image: id_opt(row, "image_id")?,
        parent: id_opt(row, "parent_id")?,
        session: id_opt(row, "session_id")?,
        created_at: get(row, "created_at")?,
        started_at: get(row, "started_at")?,
        finished_at: get(row, "finished_at")?,
        attempts: tiny(row, "attempts")?,
        stage: get(row, "stage")?,
        step: small_opt(row, "step")?,
        steps: small_opt(row, "steps")?,
        seq: whole(row, "seq")?,
        error: error.map(|error| json(error, "error")).transpose()?,
        links: EditLinks::new(id, &artifacts),
        artifacts,
        queue_position: None,
        report: get(row, "report")?,
    })
}
