//! How an attempt ended, written to Postgres under its epoch.

use std::time::Instant;

use limekiln_jobs::{Failure, FailureClass};
use limekiln_store::{Claimed, Completion, Failed, Write};

use super::abort::Abort;
use super::events;
use crate::context::Context;
use crate::leases::Interrupt;
use crate::{Signal, metrics};

/// Writes how the attempt ended; returns whether the message may be acked. Where the write is refused because the lease
/// is gone, the message is of no more use either. `gpu_ms` is how long the attempt was on the device.
pub(super) async fn settle(
    ctx: &Context,
    claimed: &Claimed,
    gpu_ms: u64,
    outcome: Result<Completion, Abort>,
) -> bool {
    let (edit, epoch) = (claimed.edit, claimed.epoch);
    let signals = &ctx.settings.signals;
    let (name, signal, write) = match outcome {
        Ok(completion) => {
            let began = Instant::now();
            let write = ctx.ledger.edit_complete(completion).await;
            metrics::stage("complete", began.elapsed());
            ("completed", Signal::Completed(edit, epoch), write)
        }
        Err(Abort::Failed(failure)) => {
            tracing::warn!(class = ?failure.class, %failure, "the attempt failed");
            let failed = Failed {
                edit,
                epoch,
                failure,
                gpu_ms,
            };
            let write = ctx.ledger.edit_fail(failed).await;
            ("failed", Signal::Failed(edit, epoch), write)
        }
        Err(Abort::Interrupted(by @ (Interrupt::Hang | Interrupt::HangAmongOthers))) => {
            let after_s = ctx.settings.stall_after.as_secs_f64();
            let class = match by {
                Interrupt::Hang => FailureClass::Hang,
                _ => FailureClass::Suspect,
            };
            let failure = Failure::new(
                class,
                Failure::ENGINE_HUNG,
                format!(
                    "the engine showed no sign of life for {after_s} s, and its worker had to end"
                ),
            );
            let failed = Failed {
                edit,
                epoch,
                failure,
                gpu_ms,
            };
            let write = ctx.ledger.edit_fail(failed).await;
            ("hung", Signal::Failed(edit, epoch), write)
        }
        Err(Abort::Interrupted(Interrupt::HandBack)) => {
            let write = ctx.ledger.edit_hand_back(edit, epoch, gpu_ms).await;
            ("handed_back", Signal::HandedBack(edit, epoch), write)
        }
        Err(Abort::Aside(_) | Abort::Interrupted(Interrupt::Aside)) => {
            let write = ctx.ledger.edit_hand_back(edit, epoch, gpu_ms).await;
            ("stepped_aside", Signal::HandedBack(edit, epoch), write)
        }
        Err(Abort::Unable(needs)) => {
            tracing::error!(
                %needs,
                "the edit was made by a newer version, and waits for a worker that can do it: upgrade this one"
            );
            let write = ctx.ledger.edit_pass_on(edit, epoch, needs).await;
            ("passed_on", Signal::PassedOn(edit, epoch), write)
        }
        Err(Abort::Interrupted(Interrupt::Stop)) => {
            metrics::attempt("stopped");
            tracing::info!("stopped");
            // Where it was cancelled. An edit that another worker has is charged for that one's time.
            if gpu_ms > 0
                && let Err(error) = ctx.ledger.edit_charge(edit, epoch, gpu_ms).await
            {
                tracing::warn!(gpu_ms, %error, "device time is not charged");
            }
            signals.emit(Signal::Stopped(edit, epoch));
            return true;
        }
    };
    match write {
        Ok(Write::Applied { seq }) => {
            metrics::attempt(name);
            tracing::info!(outcome = name, seq, "the attempt has ended");
            match signal {
                Signal::Completed(..) => events::succeeded(ctx, claimed, seq),
                _ => events::stored(ctx, edit, seq).await,
            }
            if matches!(
                signal,
                Signal::Completed(..) | Signal::HandedBack(..) | Signal::PassedOn(..)
            ) {
                // The edit is queued again, or turns that build on it: a coordinator need not wait for its next round to
                // release them.
                ctx.broker.wake();
            }
            signals.emit(signal);
            true
        }
        Ok(Write::Stale | Write::Missing) => {
            metrics::stale(name);
            tracing::info!(outcome = name, "refused: the lease is gone");
            signals.emit(Signal::Stale(edit, epoch));
            true
        }
        Err(error) => {
            metrics::attempt("abandoned");
            tracing::error!(outcome = name, %error, "the outcome is not written: the lease runs out");
            false
        }
    }
}
