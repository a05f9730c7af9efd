//! Leases renewed while steps advance, and the worker's own sign of life.

use std::sync::Arc;
use std::time::{Duration, Instant};

use limekiln_jobs::{EditId, Epoch, Retryable};
use limekiln_store::{HeartbeatReply, NewWorker, Store};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::intake::Hold;
use crate::run::Context;
use crate::{Error, Signal, Ticket, metrics};

/// Leases renewed by one statement.
const BATCH: usize = 512;

/// Beats until the engine hangs for longer than its leases last.
pub(crate) async fn beat(ctx: Arc<Context>, me: NewWorker) -> Error {
    let ttl = ctx.settings.lease_ttl;
    let mut ticks = interval(ttl / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stall = Stall::default();
    let mut busy = Busy::new(&ctx);
    loop {
        ticks.tick().await;
        let stalled = stall.look(&ctx);
        if ctx.leases.lost(&stalled, ttl) && !stalled.is_empty() {
            return Error::EngineHung {
                after: ctx.settings.stall_after,
            };
        }
        if let Err(error) = renew(&ctx, &stalled).await {
            tracing::warn!(%error, "leases are not renewed: trying again at the next beat");
        }
        let held = u32::try_from(ctx.leases.count()).unwrap_or(u32::MAX);
        match timeout(ttl, sign(&ctx.store, &me, held, ttl)).await {
            Ok(Ok(orders)) => {
                let hold = match (stalled.is_empty(), orders.drain) {
                    (false, _) => Hold::Stalled,
                    (true, true) => Hold::Drain,
                    (true, false) => Hold::No,
                };
                ctx.hold(hold);
            }
            Ok(Err(error)) => tracing::warn!(%error, "the worker's sign of life is not heard"),
            Err(_) => tracing::warn!("the worker's sign of life is not answered"),
        }
        busy.tell(&ctx);
    }
}

/// Says that the worker lives, and registers it anew where nobody knows it.
async fn sign(
    store: &Store,
    me: &NewWorker,
    held: u32,
    ttl: Duration,
) -> limekiln_store::Result<HeartbeatReply> {
    let orders = store.worker_beat(me.id, held).await?;
    if !orders.known {
        store.worker_register(me, ttl).await?;
    }
    Ok(orders)
}

/// Renews what may be renewed, and stops what can't be.
async fn renew(ctx: &Context, stalled: &[Ticket]) -> Result<(), String> {
    let leases = ctx.leases.renewable(stalled);
    for batch in leases.chunks(BATCH) {
        let sent_at = Instant::now();
        let answers = renew_batch(ctx, batch).await?;
        let mut renewed = 0;
        for (&(edit, epoch), write) in batch.iter().zip(answers) {
            if write.is_applied() {
                renewed += 1;
                ctx.leases.renewed((edit, epoch), sent_at);
            } else if ctx.leases.stop((edit, epoch)) {
                metrics::stale("renew");
                ctx.settings.signals.give(Signal::Stale(edit, epoch));
                tracing::info!(%edit, %epoch, "the lease is gone: stopping");
            }
        }
        metrics::renewed(renewed);
    }
    Ok(())
}

/// Says it twice, for the second time may find a connection that works.
async fn renew_batch(
    ctx: &Context,
    batch: &[(EditId, Epoch)],
) -> Result<Vec<limekiln_store::Write>, String> {
    let ttl = ctx.settings.lease_ttl;
    let say = || timeout(ttl / 3, ctx.store.leases_renew(ctx.worker, batch, ttl));
    match say().await {
        Ok(Ok(answers)) => return Ok(answers),
        Ok(Err(error)) if !error.is_transient() => return Err(error.to_string()),
        Ok(Err(error)) => tracing::debug!(%error, "renewing once more"),
        Err(_) => tracing::debug!("renewing once more: no answer"),
    }
    match say().await {
        Ok(answers) => answers.map_err(|error| error.to_string()),
        Err(_) => Err("postgres does not answer".to_owned()),
    }
}

/// Calls of the engine that take too long. Only what was so at two beats counts: a process that was frozen finds all its
/// calls old when it wakes.
#[derive(Default)]
struct Stall {
    suspects: Vec<Ticket>,
    told: bool,
}

impl Stall {
    /// The edits of a call that has stalled.
    fn look(&mut self, ctx: &Context) -> Vec<Ticket> {
        let now = ctx
            .engine
            .pulse
            .stalled(ctx.settings.stall_after)
            .unwrap_or_default();
        let confirmed = !now.is_empty() && now == self.suspects;
        self.suspects = now;
        if !confirmed {
            if self.told && self.suspects.is_empty() {
                tracing::warn!("the engine goes on");
                self.told = false;
            }
            return Vec::new();
        }
        if !self.told {
            self.told = true;
            metrics::stalled();
            let after_s = ctx.settings.stall_after.as_secs_f64();
            tracing::error!(
                after_s,
                edits = self.suspects.len(),
                "the engine hangs: its leases are no longer renewed"
            );
            ctx.settings.signals.give(Signal::Stalled);
        }
        ctx.hold(Hold::Stalled);
        ctx.leases.hand_back_behind(&self.suspects);
        self.suspects.clone()
    }
}

/// How much of its time the engine works.
struct Busy {
    at: Instant,
    busy: Duration,
}

impl Busy {
    fn new(ctx: &Context) -> Self {
        Self {
            at: Instant::now(),
            busy: ctx.engine.pulse.busy(),
        }
    }

    fn tell(&mut self, ctx: &Context) {
        let (now, busy) = (Instant::now(), ctx.engine.pulse.busy());
        let span = now.duration_since(self.at).as_secs_f64();
        if span > 0.0 {
            let share = busy.saturating_sub(self.busy).as_secs_f64() / span;
            metrics::busy_share(share.min(1.0));
        }
        metrics::slots(ctx.settings.slots, ctx.leases.count());
        *self = Self { at: now, busy };
    }
}
