//! Workers and their slots. What they hold decides how far ahead edits are released.

use std::collections::BTreeMap;
use std::time::Duration;

use limekiln_jobs::api::{ModelLimits, Worker};
use limekiln_jobs::{ModelName, Needs, WorkerId};

use serde_json::Value;

use crate::row::{bad, clean, get, id, int, parse, readable, small};
use crate::{Result, Store};

/// A worker that has just started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorker {
    /// The process' id, new with every start.
    pub id: WorkerId,
    /// The name its operator gave it.
    pub name: String,
    /// The models it holds.
    pub models: Vec<ModelName>,
    /// Edits it runs at once.
    pub slots: u32,
    /// The program's version.
    pub version: String,
    /// The device it computes on.
    pub device: String,
    /// Needs of edits that it can do. It reads the queues of their [`cohort`](Needs::cohort) besides those of all workers.
    pub can: Needs,
    /// What it takes on of each of its models.
    pub limits: BTreeMap<ModelName, ModelLimits>,
}

/// The answer to a worker that says that it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatReply {
    /// Take no more edits; end when those at hand have ended.
    pub drain: bool,
    /// Whether the row is there; if not, register again.
    pub known: bool,
}

impl Store {
    /// Registers a worker, or registers it anew. It counts as dead when it is not heard of for three times `ttl`.
    pub async fn worker_register(&self, worker: &NewWorker, ttl: Duration) -> Result<()> {
        let models: Vec<_> = worker.models.iter().map(ModelName::as_str).collect();
        let limits = serde_json::to_value(&worker.limits).map_err(|error| bad("limits", error))?;
        self.count(
            "worker_register",
            sqlx::query(
                "insert into workers (id, name, models, slots, version, device, ttl, can, limits, cohort, steps_aside)
                values ($1, $2, $3, $4, $5, $6, make_interval(secs => $7), $8, $9, $10, true)
                on conflict (id) do update
                set name = excluded.name, models = excluded.models, slots = excluded.slots,
                    version = excluded.version, device = excluded.device, ttl = excluded.ttl, can = excluded.can,
                    limits = excluded.limits, cohort = excluded.cohort, steps_aside = true, seen_at = now()",
            )
            .bind(worker.id.uuid())
            .bind(clean(&worker.name))
            .bind(models)
            .bind(int(worker.slots))
            .bind(clean(&worker.version))
            .bind(clean(&worker.device))
            .bind(ttl.as_secs_f64())
            .bind(worker.can.iter().map(clean).collect::<Vec<_>>())
            .bind(limits)
            .bind(worker.can.cohort()),
        )
        .await?;
        Ok(())
    }

    /// The worker lives and runs `busy` edits. `network`: the share of the time with edits in which its network computed, where
    /// there was any since the last heartbeat.
    pub async fn worker_beat(
        &self,
        id: WorkerId,
        busy: u32,
        network: Option<f32>,
    ) -> Result<HeartbeatReply> {
        let row = self
            .row(
                "worker_beat",
                sqlx::query(
                    "update workers set busy = $2, network = coalesce($3, network), seen_at = now() where id = $1
                     returning draining, clock_timestamp() as at",
                )
                .bind(id.uuid())
                .bind(int(busy))
                .bind(network),
            )
            .await?;
        if let Some(row) = &row {
            self.clock_set(get(row, "at")?);
        }
        Ok(HeartbeatReply {
            known: row.is_some(),
            drain: match row {
                Some(row) => get(&row, "draining")?,
                None => false,
            },
        })
    }

    /// All workers that are not gone, oldest first.
    pub async fn worker_list(&self) -> Result<Vec<Worker>> {
        let rows = self
            .rows(
                "worker_list",
                sqlx::query(
                    "select *, seen_at > now() - 3 * ttl as alive from workers order by id",
                ),
            )
            .await?;
        Ok(readable("workers", &rows, |row| {
            let models: Vec<String> = get(row, "models")?;
            let can: Vec<String> = get(row, "can")?;
            Ok(Worker {
                id: id(row, "id")?,
                name: get(row, "name")?,
                models: models
                    .iter()
                    .map(|model| parse(model, "models"))
                    .collect::<Result<_>>()?,
                slots: small(row, "slots")?,
                busy: small(row, "busy")?,
                network: get(row, "network")?,
                version: get(row, "version")?,
                device: get(row, "device")?,
                can: can.into_iter().collect(),
                limits: limits(get(row, "limits")?),
                draining: get(row, "draining")?,
                alive: get(row, "alive")?,
                started_at: get(row, "started_at")?,
                seen_at: get(row, "seen_at")?,
            })
        }))
    }

    /// Tells one worker, or all there are, to drain (or no longer to); returns how many it concerned.
    pub async fn worker_drain(&self, id: Option<WorkerId>, drain: bool) -> Result<u64> {
        self.count(
            "worker_drain",
            sqlx::query("update workers set draining = $2 where $1::uuid is null or id = $1")
                .bind(id.map(WorkerId::uuid))
                .bind(drain),
        )
        .await
    }

    /// The worker has ended.
    pub async fn worker_gone(&self, id: WorkerId) -> Result<()> {
        self.count(
            "worker_gone",
            sqlx::query("delete from workers where id = $1").bind(id.uuid()),
        )
        .await?;
        Ok(())
    }
}

/// What a worker says of its models. What a newer one says in another way counts as nothing said.
fn limits(by_model: Value) -> BTreeMap<ModelName, ModelLimits> {
    let Value::Object(by_model) = by_model else {
        return BTreeMap::new();
    };
    let said = by_model.into_iter().filter_map(|(model, limits)| {
        Some((model.parse().ok()?, serde_json::from_value(limits).ok()?))
    });
    said.collect()
}
