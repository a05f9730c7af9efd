//! What breaks, and how.
//!
//! # Layout
//!
//! - `buckets`: another fleet on the same bucket
//! - `services`: Postgres, RabbitMQ, S3, the connections to them, coordinators, gateways
//! - `workers`: workers and their engines

mod buckets;
mod services;
mod workers;

use anyhow::{Context, Result};

use crate::check::{self, Attempts};
use crate::cluster::Cluster;
use crate::load::Accepted;
use crate::member::Editor;
use crate::random::Random;
use buckets::bucket_shared;
use services::{
    connections_cut, connections_slow, coordinators_killed, gateways_killed, postgres_restarted,
    queues_purged, rabbitmq_restarted, s3_down, stepping_aside,
};
use workers::{engine_hung, engine_stalled, worker_frozen, worker_killed, worker_stopped};

/// Something that breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// kill -9.
    WorkerKilled,
    /// SIGTERM.
    WorkerStopped,
    /// SIGSTOP past its lease, then SIGCONT.
    WorkerFrozen,
    /// A step that never ends, while the process lives.
    EngineHung,
    /// Stopped or killed, and started again.
    PostgresRestarted,
    /// Stopped or killed, and started again.
    RabbitmqRestarted,
    /// Every message that is ready, gone.
    QueuesPurged,
    /// For a few seconds.
    S3Down,
    /// kill -9, both.
    CoordinatorsKilled,
    /// kill -9, one after the other.
    GatewaysKilled,
    /// Connections to the services end in the middle of anything.
    ConnectionsCut,
    /// Connections to the services become slow, and one service silent.
    ConnectionsSlow,
    /// Another fleet on the same bucket, restored from a backup.
    BucketShared,
    /// Bulk gives its slots to interactive edits while those who asked for it are killed, and their messages lost.
    SteppingAside,
    /// Three of the others, one right after another.
    Several,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 15] = [
        Self::WorkerKilled,
        Self::WorkerStopped,
        Self::WorkerFrozen,
        Self::EngineHung,
        Self::PostgresRestarted,
        Self::RabbitmqRestarted,
        Self::QueuesPurged,
        Self::S3Down,
        Self::CoordinatorsKilled,
        Self::GatewaysKilled,
        Self::ConnectionsCut,
        Self::ConnectionsSlow,
        Self::BucketShared,
        Self::SteppingAside,
        Self::Several,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WorkerKilled => "worker_killed",
            Self::WorkerStopped => "worker_stopped",
            Self::WorkerFrozen => "worker_frozen",
            Self::EngineHung => "engine_hung",
            Self::PostgresRestarted => "postgres_restarted",
            Self::RabbitmqRestarted => "rabbitmq_restarted",
            Self::QueuesPurged => "queues_purged",
            Self::S3Down => "s3_down",
            Self::CoordinatorsKilled => "coordinators_killed",
            Self::GatewaysKilled => "gateways_killed",
            Self::ConnectionsCut => "connections_cut",
            Self::ConnectionsSlow => "connections_slow",
            Self::BucketShared => "bucket_shared",
            Self::SteppingAside => "stepping_aside",
            Self::Several => "several",
        }
    }

    /// Whether it is tried with this editor: with both, unless what the workers do makes no difference.
    #[must_use]
    pub fn concerns(self, editor: Editor) -> bool {
        !matches!(self, Self::BucketShared | Self::SteppingAside) || editor == Editor::Null
    }

    /// What it may cost.
    #[must_use]
    pub fn attempts(self) -> Attempts {
        match self {
            Self::WorkerKilled | Self::WorkerFrozen | Self::EngineHung => Attempts::Exact,
            Self::WorkerStopped
            | Self::PostgresRestarted
            | Self::RabbitmqRestarted
            | Self::QueuesPurged
            | Self::S3Down
            | Self::CoordinatorsKilled
            | Self::GatewaysKilled
            | Self::BucketShared
            | Self::SteppingAside => Attempts::None,
            Self::ConnectionsCut | Self::ConnectionsSlow | Self::Several => Attempts::Bounded,
        }
    }

    /// Breaks it, and mends it as an operator or a supervisor would. Gives edits of its own, if it made any.
    ///
    /// # Errors
    ///
    /// When what must follow at once does not.
    pub async fn inject(self, cluster: &Cluster, random: &mut Random) -> Result<Vec<Accepted>> {
        match self {
            Self::WorkerKilled => return worker_killed(cluster, random).await,
            Self::WorkerStopped => return worker_stopped(cluster, random).await,
            Self::WorkerFrozen => return worker_frozen(cluster, random).await,
            Self::EngineHung => {
                return match cluster.editor {
                    Editor::Null => engine_hung(cluster, random).await,
                    Editor::Lime => engine_stalled(cluster, random).await,
                };
            }
            Self::PostgresRestarted => postgres_restarted(cluster, random).await?,
            Self::RabbitmqRestarted => rabbitmq_restarted(cluster, random).await?,
            Self::QueuesPurged => queues_purged(cluster, random).await,
            Self::S3Down => s3_down(cluster, random).await,
            Self::CoordinatorsKilled => coordinators_killed(cluster, random).await?,
            Self::GatewaysKilled => gateways_killed(cluster, random).await?,
            Self::ConnectionsCut => connections_cut(cluster, random).await,
            Self::ConnectionsSlow => connections_slow(cluster, random).await,
            Self::BucketShared => bucket_shared(cluster, random).await?,
            Self::SteppingAside => stepping_aside(cluster, random).await?,
            Self::Several => return several(cluster, random).await,
        }
        Ok(Vec::new())
    }
}

/// The load is over before three faults are, so that the later ones may find nothing left to hit.
async fn several(cluster: &Cluster, random: &mut Random) -> Result<Vec<Accepted>> {
    // An edit has three attempts, and each kill may cost one of the same.
    let mut kills = 0;
    for _ in 0..3 {
        // The faults that need a worker at work are not among them, nor the one that makes an edit of its own.
        const ANYTIME: [Fault; 8] = [
            Fault::PostgresRestarted,
            Fault::RabbitmqRestarted,
            Fault::QueuesPurged,
            Fault::S3Down,
            Fault::CoordinatorsKilled,
            Fault::GatewaysKilled,
            Fault::ConnectionsCut,
            Fault::ConnectionsSlow,
        ];
        if random.coin() && kills < 2 && check::in_flight(&cluster.namespace.postgres).await? > 0 {
            let worker = &cluster.fleet.workers[random.index(2)];
            worker.kill9();
            worker.start_again()?;
            kills += 1;
        }
        let fault = ANYTIME[random.index(ANYTIME.len())];
        Box::pin(fault.inject(cluster, random))
            .await
            .context(fault.name())?;
    }
    Ok(Vec::new())
}
