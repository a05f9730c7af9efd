//! A worker from its registration to its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use limekiln_blobs::{Blobs, Cache};
use limekiln_broker::{Broker, Consumer, Offers, Stop, Stops};
use limekiln_jobs::WorkerId;
use limekiln_jobs::retry::Policy;
use limekiln_store::{NewWorker, Store};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::consume::{Closed, consume};
use crate::context::Context;
use crate::engine::Engine;
use crate::leases::Leases;
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::reuse::Memory;
use crate::{Error, Factory, Result, Settings, Signal, ahead, heartbeat, memory};

/// How that is tried again which must work before the worker is ready.
const RETRY: Policy = Policy::new(Duration::from_millis(500), Duration::from_secs(1));
/// The last part of the grace, kept for the worker's own row.
const DEREGISTER: Duration = Duration::from_secs(1);

/// Runs a worker until `shutdown`, or until it was drained. Then it takes no more edits, hands back those that it has
/// with a last checkpoint, and returns within `settings.shutdown_grace`, even in the middle of a long step: the engine's
/// thread is left behind then, so the process should end.
///
/// # Errors
///
/// When the worker can't start (model, Postgres or broker refuse it) or can't go on (the engine hangs or died).
pub fn run(
    settings: Settings,
    store: Store,
    broker: Broker,
    blobs: Blobs,
    factory: Factory,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<()>> {
    // Boxed, so that the future is compiled once, with this crate, and not again in every crate that awaits it.
    Box::pin(async move {
        settings.check()?;
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            started = start(settings, store, broker, blobs, factory) => {
                serve(started?, shutdown).await
            }
        }
    })
}

/// A worker that is registered, with its consumer open and nothing taken yet.
struct Started {
    ctx: Arc<Context>,
    registration: NewWorker,
    stops: Stops,
    offers: Offers,
    consumer: Consumer,
}

/// Loads the editor, registers the worker and opens its consumer.
async fn start(
    mut settings: Settings,
    store: Store,
    broker: Broker,
    blobs: Blobs,
    factory: Factory,
) -> Result<Started> {
    let worker = WorkerId::new();
    let cache = match settings.blobs {
        true => Some(Cache::open(&settings.cache_dir, settings.cache_bytes_max).await?),
        false => None,
    };
    let engine = Engine::start(factory, &settings).await?;
    let memory = memory::budget(&engine, &settings)?;
    settings.slots = memory::slots(&engine, &memory, &settings);
    let limits = Limits::new(&engine, &memory, &settings);
    let registration = NewWorker {
        id: worker,
        name: settings.name.clone(),
        models: settings.models.clone(),
        slots: settings.slots,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        device: engine.device.clone(),
        can: settings.can.clone(),
        limits: limits.by_model(),
    };
    let mut backoff = RETRY.start();
    while let Err(error) = store
        .worker_register(&registration, settings.lease_ttl)
        .await
    {
        let Some(delay) = backoff.after(&error) else {
            return Err(error.into());
        };
        tracing::warn!(%error, "the worker can't register: trying again");
        sleep(delay).await;
    }
    // Before the first claim, so that no cancel of an edit that is claimed here goes unheard.
    let stops = broker.stops().await;
    let offers = broker.offers(worker).await;
    let consumer = open_consumer(&broker, &settings).await?;
    let leases = Leases::default();
    let ledger = Ledger::new(&store, worker, settings.lease_ttl, &leases);
    let ctx = Context {
        worker,
        store,
        broker,
        blobs,
        cache,
        reuse: Memory::new(settings.reuse_bytes()),
        memory,
        limits,
        ledger,
        engine,
        leases,
        closing: CancellationToken::new(),
        admission: watch::Sender::new(Admission::Open),
        claimed: Notify::new(),
        settings,
    };
    Ok(Started {
        ctx: Arc::new(ctx),
        registration,
        stops,
        offers,
        consumer,
    })
}

async fn open_consumer(broker: &Broker, settings: &Settings) -> Result<Consumer> {
    let cohort = settings.can.cohort();
    let mut backoff = RETRY.start();
    loop {
        let error = match broker
            .consume(&settings.models, Some(&cohort), settings.slots)
            .await
        {
            Ok(consumer) => return Ok(consumer),
            Err(error) => error,
        };
        let Some(delay) = backoff.after(&error) else {
            return Err(error.into());
        };
        tracing::warn!(%error, "the queues can't be opened: trying again");
        sleep(delay).await;
    }
}

/// Takes edits until the shutdown, the drain or a fault; then hands back what is left, within the grace.
async fn serve(started: Started, shutdown: CancellationToken) -> Result<()> {
    let Started {
        ctx,
        registration,
        stops,
        offers,
        consumer,
    } = started;
    let mut consuming = JoinSet::new();
    consuming.spawn(consume(Arc::clone(&ctx), consumer, offers));
    let mut listeners = JoinSet::new();
    listeners.spawn(obey_stops(ctx.leases.clone(), stops));
    let looking_ahead = ahead::run(Arc::clone(&ctx));
    listeners.spawn(async { match looking_ahead.await {} });
    let mut heartbeat = tokio::spawn(heartbeat::run(Arc::clone(&ctx), registration));
    ctx.settings.ready.cancel();
    ctx.settings.signals.emit(Signal::Ready(ctx.worker));
    tracing::info!(worker = %ctx.worker, slots = ctx.settings.slots, device = %ctx.engine.device, "the worker takes edits");

    let outcome = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        error = &mut heartbeat => Err(error.unwrap_or(Error::EngineLost)),
        () = ctx.engine.lost().cancelled() => Err(Error::EngineLost),
        closed = all_closed(&mut consuming) => match closed {
            Closed::Shutdown | Closed::Drained => Ok(()),
            Closed::Broker => Err(Error::BrokerClosed),
        },
    };
    match &outcome {
        Ok(()) => {
            tracing::info!(worker = %ctx.worker, leases = ctx.leases.count(), "the worker ends")
        }
        Err(error) => tracing::error!(worker = %ctx.worker, %error, "the worker can't go on"),
    }

    ctx.closing.cancel();
    // All leases were given up when the stall was noticed; what could not be written is the reaper's.
    let hung = matches!(outcome, Err(Error::EngineHung { .. }));
    if !hung {
        ctx.leases.close();
        let grace = ctx.settings.shutdown_grace.saturating_sub(DEREGISTER);
        if timeout(grace, all_closed(&mut consuming)).await.is_err() {
            let leases = ctx.leases.count();
            tracing::warn!(leases, "no time left: the leases run out");
        }
    }
    heartbeat.abort();
    match timeout(DEREGISTER / 2, ctx.store.worker_gone(ctx.worker)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the worker's end is not recorded"),
        Err(_) => tracing::warn!("the worker's end is not recorded: postgres does not answer"),
    }
    outcome
}

/// Stops edits that were cancelled, and asks others to step aside. A broadcast that is missed costs little: the next renewal
/// finds the edit cancelled, and who was asked to step aside is asked again.
async fn obey_stops(leases: Leases, mut stops: Stops) {
    while let Some(stop) = stops.next().await {
        match stop {
            Stop::End(run) => {
                if leases.stop((run.edit, run.epoch)) {
                    tracing::info!(edit = %run.edit, epoch = %run.epoch, "cancelled: stopping");
                }
            }
            Stop::Aside { step_aside: run } => {
                if leases.step_aside((run.edit, run.epoch)) {
                    tracing::info!(edit = %run.edit, epoch = %run.epoch, "stepping aside for an interactive edit");
                }
            }
        }
    }
}

/// Waits until the consumer has closed, and says why.
async fn all_closed(consuming: &mut JoinSet<Closed>) -> Closed {
    let mut reason = Closed::Shutdown;
    while let Some(closed) = consuming.join_next().await {
        match closed {
            Ok(Closed::Shutdown) => {}
            Ok(other) => reason = other,
            Err(error) => tracing::error!(%error, "a consumer panicked"),
        }
    }
    reason
}
