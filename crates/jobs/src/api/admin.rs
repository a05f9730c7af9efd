//! What operators see: workers, queues, dead letters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::limits::ModelLimits;
use crate::class::Class;
use crate::ids::{EditId, TenantId, WorkerId};
use crate::needs::Needs;
use crate::spec::ModelName;
use crate::state::Failure;

/// The workers, oldest first. Those that ended are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Workers {
    /// The workers.
    pub workers: Vec<Worker>,
}

/// A worker process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Worker {
    /// Id of the worker, another one after each start.
    pub id: WorkerId,
    /// Name that its operator gave it.
    #[schema(example = "gpu-3")]
    pub name: String,
    /// Models that it holds.
    pub models: Vec<ModelName>,
    /// Number of edits that it runs at once.
    pub slots: u32,
    /// Number of edits that it ran when it last reported.
    pub busy: u32,
    /// Share of the time with edits in which its network computed, when it last reported. Less than nearly 1 where encoding and
    /// decoding, or a lack of edits that could share a call, leave the device idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.97)]
    pub network: Option<f32>,
    /// Version of Limekiln that it runs.
    #[schema(example = "0.1.0")]
    pub version: String,
    /// Device that it computes on.
    #[schema(example = "cpu")]
    pub device: String,
    /// What it can do that the first workers could not: fields and values of edits, by their paths.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub can: Needs,
    /// What it takes on of each of its models.
    #[serde(default)]
    pub limits: BTreeMap<ModelName, ModelLimits>,
    /// Whether it was told to take no more edits.
    pub draining: bool,
    /// Whether its heartbeats still come.
    pub alive: bool,
    /// When it started.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When its last heartbeat came.
    #[serde(with = "time::serde::rfc3339")]
    pub seen_at: OffsetDateTime,
}

/// The queues that are not empty, and whether the fleet is paused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Queues {
    /// Whether the fleet is paused: edits are accepted, but no more are handed to workers.
    pub paused: bool,
    /// One queue for each model and class.
    pub queues: Vec<QueueCount>,
}

/// Number of edits of one model and class that have not ended, by state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueueCount {
    /// The model.
    pub model: ModelName,
    /// The class.
    pub class: Class,
    /// Edits that wait for their parent or for their next attempt.
    pub waiting: u64,
    /// Edits that are queued and not announced to the workers yet.
    pub queued: u64,
    /// Of these, edits that wait because no living worker can do what they need, such as a field that came later than it.
    #[serde(default)]
    pub unable: u64,
    /// What these edits need.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["preset.edit.sharpen"]))]
    pub unable_needs: Needs,
    /// Edits that are announced to the workers and not taken yet.
    pub announced: u64,
    /// Edits that a worker runs.
    pub running: u64,
    /// Age in seconds of the oldest edit that no worker has taken, announced or not.
    pub oldest_queued_s: f64,
    /// Longest time in seconds that an edit waits for its rescue since its lease expired; 0 when none does.
    pub lease_overdue_s: f64,
}

/// Which dead letters to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadLetterQuery {
    /// Number of dead letters on a page. 20 by default.
    #[param(minimum = 1, maximum = 100, example = 20)]
    pub limit: Option<u32>,
    /// Where the page starts: `next` of the page before. By default at the newest.
    #[param(value_type = Option<EditId>)]
    pub cursor: Option<String>,
}

/// A page of dead letters, newest edits first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterPage {
    /// The dead letters.
    pub dead_letters: Vec<DeadLetter>,
    /// `cursor` of the next page; null on the last.
    pub next: Option<EditId>,
}

/// An edit that failed for another reason than its request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// Id of the edit.
    pub edit: EditId,
    /// Tenant that the edit belongs to.
    pub tenant: TenantId,
    /// Model that it names.
    pub model: ModelName,
    /// Class of the edit.
    pub class: Class,
    /// Why it failed.
    #[serde(rename = "error")]
    pub failure: Failure,
    /// How often it failed, or lost its worker, without progress.
    pub attempts: u16,
    /// Last worker that ran it.
    pub worker: Option<WorkerId>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub finished_at: OffsetDateTime,
}

/// An edit that is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetriedEdit {
    /// Id of the edit.
    pub edit: EditId,
    /// Number of its newest event.
    pub seq: u64,
}

/// Whether the fleet is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Paused {
    /// Whether the fleet is paused: edits are accepted, but no more are handed to workers.
    pub paused: bool,
}

/// Workers that were told to drain: to take no more edits, and to end when those at hand have ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drained {
    /// Number of workers.
    pub workers: u64,
}
