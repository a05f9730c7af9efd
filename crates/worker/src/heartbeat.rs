//! The heartbeat: renews leases while steps advance, and tells Postgres that the worker lives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use limekiln_jobs::{EditId, Epoch, Retryable};
use limekiln_store::{HeartbeatReply, NewWorker, Store, Write};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::admission::Admission;
use crate::context::Context;
use crate::engine::Spent;
use crate::{Error, RunId, Signal, metrics, stall};

/// Leases renewed by one statement.
const BATCH: usize = 512;

/// Beats three times a lease, until the engine hangs and its edits were given up, or their leases have run out.
pub(crate) async fn run(ctx: Arc<Context>, registration: NewWorker) -> Error {
    let (stalled, seen) = watch::channel(Vec::new());
    tokio::select! {
        error = beat(&ctx, &registration, seen) => error,
        never = stall::run(&ctx, stalled) => match never {},
    }
}

/// `stalled`: the runs of a call that hangs.
async fn beat(
    ctx: &Context,
    registration: &NewWorker,
    stalled: watch::Receiver<Vec<RunId>>,
) -> Error {
    let ttl = ctx.settings.lease_ttl;
    let mut ticks = interval(ttl / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut busy = BusyGauge::new(ctx);
    loop {
        ticks.tick().await;
        let runs = stalled.borrow().clone();
        if !runs.is_empty() && ctx.leases.expired(&runs, ttl) {
            return Error::EngineHung {
                after: ctx.settings.stall_after,
            };
        }
        let held = u32::try_from(ctx.leases.count()).unwrap_or(u32::MAX);
        busy.record(ctx);
        // Side by side: after an outage no lease waits for a connection that is dead.
        let (renewed, reported) = tokio::join!(
            renew(ctx, &runs),
            timeout(
                ttl / 3,
                report_alive(&ctx.store, registration, (held, busy.network), ttl)
            ),
        );
        if let Err(error) = renewed {
            tracing::warn!(%error, "leases are not renewed: trying again at the next heartbeat");
        }
        match reported {
            Ok(Ok(reply)) => ctx.set_admission(match (stalled.borrow().is_empty(), reply.drain) {
                (false, _) => Admission::Stalled,
                (true, true) => Admission::Draining,
                (true, false) => Admission::Open,
            }),
            Ok(Err(error)) => tracing::warn!(%error, "the heartbeat is not recorded"),
            Err(_) => tracing::warn!("the heartbeat is not recorded: postgres does not answer"),
        }
    }
}

/// Records that the worker lives, and registers it again where its row is gone.
async fn report_alive(
    store: &Store,
    registration: &NewWorker,
    (held, network): (u32, Option<f64>),
    ttl: Duration,
) -> limekiln_store::Result<HeartbeatReply> {
    let network = network.map(|share| share as f32);
    let reply = store.worker_beat(registration.id, held, network).await?;
    if !reply.known {
        store.worker_register(registration, ttl).await?;
    }
    Ok(reply)
}

/// Renews every lease but those of stalled runs, and stops the edits whose lease is gone.
async fn renew(ctx: &Context, stalled: &[RunId]) -> Result<(), String> {
    let leases = ctx.leases.renewable(stalled);
    for batch in leases.chunks(BATCH) {
        let sent_at = Instant::now();
        let writes = renew_batch(ctx, batch).await?;
        let mut renewed = 0;
        for (&(edit, epoch), write) in batch.iter().zip(writes) {
            if write.is_applied() {
                renewed += 1;
                ctx.leases.renewed((edit, epoch), sent_at);
            } else if ctx.leases.stop((edit, epoch)) {
                metrics::stale("renew");
                ctx.settings.signals.emit(Signal::Stale(edit, epoch));
                tracing::info!(%edit, %epoch, "the lease is gone: stopping");
            }
        }
        metrics::renewed(renewed);
    }
    Ok(())
}

/// Tries twice: the first try may have met a connection that is dead, and the second gets another one in time.
async fn renew_batch(ctx: &Context, batch: &[(EditId, Epoch)]) -> Result<Vec<Write>, String> {
    let ttl = ctx.settings.lease_ttl;
    let attempt = || timeout(ttl / 3, ctx.store.leases_renew(ctx.worker, batch, ttl));
    match attempt().await {
        Ok(Ok(writes)) => return Ok(writes),
        Ok(Err(error)) if !error.is_transient() => return Err(error.to_string()),
        Ok(Err(error)) => tracing::debug!(%error, "renewing once more"),
        Err(_) => tracing::debug!("renewing once more: no answer"),
    }
    match attempt().await {
        Ok(writes) => writes.map_err(|error| error.to_string()),
        Err(_) => Err("postgres does not answer".to_owned()),
    }
}

/// Measures how busy the network is.
struct BusyGauge {
    at: Instant,
    spent: Spent,
    /// The share of the time with edits since the last heartbeat; none where there were none.
    network: Option<f64>,
}

impl BusyGauge {
    fn new(ctx: &Context) -> Self {
        Self {
            at: Instant::now(),
            spent: ctx.engine.calls.engine.spent(),
            network: None,
        }
    }

    fn record(&mut self, ctx: &Context) {
        let (now, spent) = (Instant::now(), ctx.engine.calls.engine.spent());
        let elapsed = now.duration_since(self.at).as_secs_f64();
        if elapsed > 0.0 {
            let network = spent.network.saturating_sub(self.spent.network);
            metrics::busy_share((network.as_secs_f64() / elapsed).min(1.0));
        }
        let share = spent.network_share(self.spent);
        if let Some(share) = share {
            metrics::network_share(share);
        }
        metrics::slots(ctx.settings.slots, ctx.leases.count());
        metrics::memory(ctx.memory.bytes(), ctx.memory.free());
        *self = Self {
            at: now,
            spent,
            network: share,
        };
    }
}
