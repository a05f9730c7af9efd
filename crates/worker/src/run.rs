//! A worker from its registration to its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use limekiln_blobs::{Blobs, Cache};
use limekiln_broker::{Broker, Consumer, Stops};
use limekiln_jobs::WorkerId;
use limekiln_jobs::retry::Policy;
use limekiln_store::{NewWorker, Store};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::intake::{Closed, Hold};
use crate::leases::Leases;
use crate::ledger::Ledger;
use crate::{Error, Factory, Result, Settings, Signal, heartbeat, intake};

/// Between two tries of what must work before the worker is ready.
const RETRY: Policy = Policy::new(Duration::from_millis(500), Duration::from_secs(1));
/// What is left of the grace for saying goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What every edit of a worker shares.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) worker: WorkerId,
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) blobs: Blobs,
    pub(crate) cache: Option<Cache>,
    pub(crate) ledger: Ledger,
    pub(crate) engine: Engine,
    pub(crate) leases: Leases,
    /// Edits that fit into the engine.
    pub(crate) slots: Arc<Semaphore>,
    /// The shutdown has begun.
    pub(crate) closing: CancellationToken,
    hold: watch::Sender<Hold>,
}

impl Context {
    /// Takes edits, or no more.
    pub(crate) fn hold(&self, hold: Hold) {
        self.hold.send_if_modified(|now| {
            let other = *now != hold;
            *now = hold;
            other
        });
    }

    /// Whether edits are taken, from now on.
    pub(crate) fn holds(&self) -> watch::Receiver<Hold> {
        self.hold.subscribe()
    }
}

/// Runs a worker until `shutdown`, or until it was drained. Then it takes no more, gives back what it has with a last
/// checkpoint, and returns within `settings.shutdown_grace`, even when the engine is in the middle of a long step: its
/// thread is left behind, so the process should end.
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
    // Boxed here, so that all of it is compiled once, with this crate, and not with everything that waits for it.
    Box::pin(work(settings, store, broker, blobs, factory, shutdown))
}

async fn work(
    settings: Settings,
    store: Store,
    broker: Broker,
    blobs: Blobs,
    factory: Factory,
    shutdown: CancellationToken,
) -> Result<()> {
    settings.check()?;
    let starting = start(settings, store, broker, blobs, factory);
    let (ctx, me, stops, consumers) = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        started = starting => started?,
    };
    let grace = ctx.settings.shutdown_grace;
    let _closing = ctx.closing.clone().drop_guard();

    let mut parts = JoinSet::new();
    let mut intakes = JoinSet::new();
    let room = Arc::new(Semaphore::new(ctx.settings.slots as usize + 1));
    for consumer in consumers {
        intakes.spawn(intake::take(Arc::clone(&ctx), consumer, Arc::clone(&room)));
    }
    parts.spawn(listen(ctx.leases.clone(), stops));
    let mut beating = tokio::spawn(heartbeat::beat(Arc::clone(&ctx), me.clone()));
    ctx.settings.ready.cancel();
    ctx.settings.signals.give(Signal::Ready(ctx.worker));
    tracing::info!(worker = %ctx.worker, slots = ctx.settings.slots, device = %ctx.engine.device, "the worker takes edits");

    let outcome = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        error = &mut beating => Err(error.unwrap_or(Error::EngineLost)),
        () = ctx.engine.lost().cancelled() => Err(Error::EngineLost),
        closed = all(&mut intakes) => match closed {
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
    if !matches!(outcome, Err(Error::EngineHung { .. })) {
        ctx.leases.close();
    }
    let rest = match &outcome {
        // What hangs is the reaper's; the others were given back when it was noticed.
        Err(Error::EngineHung { .. }) => Duration::ZERO,
        _ => grace.saturating_sub(GOODBYE),
    };
    if timeout(rest, all(&mut intakes)).await.is_err() && !rest.is_zero() {
        tracing::warn!(
            leases = ctx.leases.count(),
            "no time left: the leases run out"
        );
    }
    beating.abort();
    match timeout(GOODBYE / 2, ctx.store.worker_gone(ctx.worker)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the worker's end is not recorded"),
        Err(_) => tracing::warn!("the worker's end is not recorded: postgres does not answer"),
    }
    outcome
}

/// Loads the editor, and makes the worker known.
async fn start(
    settings: Settings,
    store: Store,
    broker: Broker,
    blobs: Blobs,
    factory: Factory,
) -> Result<(Arc<Context>, NewWorker, Stops, Vec<Consumer>)> {
    let worker = WorkerId::new();
    let cache = match settings.blobs {
        true => Some(Cache::open(&settings.cache_dir, settings.cache_bytes_max).await?),
        false => None,
    };
    let engine = Engine::start(factory, &settings).await?;
    let me = NewWorker {
        id: worker,
        name: settings.name.clone(),
        models: settings.models.clone(),
        slots: settings.slots,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        device: engine.device.clone(),
    };
    let mut backoff = RETRY.start();
    while let Err(error) = store.worker_register(&me, settings.lease_ttl).await {
        let Some(delay) = backoff.after(&error) else {
            return Err(error.into());
        };
        tracing::warn!(%error, "the worker can't register: trying again");
        sleep(delay).await;
    }
    let stops = broker.stops().await;
    let mut consumers = Vec::new();
    let prefetch = u16::try_from(settings.slots).unwrap_or(u16::MAX - 1);
    for model in &settings.models {
        consumers.push(consume(&broker, model, prefetch).await?);
    }
    let leases = Leases::default();
    let ledger = Ledger::new(&store, worker, settings.lease_ttl, &leases);
    let slots = Arc::new(Semaphore::new(settings.slots as usize));
    let ctx = Context {
        worker,
        store,
        broker,
        blobs,
        cache,
        ledger,
        engine,
        leases,
        slots,
        closing: CancellationToken::new(),
        hold: watch::Sender::new(Hold::No),
        settings,
    };
    Ok((Arc::new(ctx), me, stops, consumers))
}

async fn consume(
    broker: &Broker,
    model: &limekiln_jobs::ModelName,
    slots: u16,
) -> Result<Consumer> {
    let mut backoff = RETRY.start();
    loop {
        let error = match broker.consume(model, slots).await {
            Ok(consumer) => return Ok(consumer),
            Err(error) => error,
        };
        let Some(delay) = backoff.after(&error) else {
            return Err(error.into());
        };
        tracing::warn!(%model, %error, "the queues can't be opened: trying again");
        sleep(delay).await;
    }
}

/// Stops edits that were cancelled. A stop that is missed is found at the next renewal.
async fn listen(leases: Leases, mut stops: Stops) {
    while let Some(stop) = stops.next().await {
        if leases.stop((stop.edit, stop.epoch)) {
            tracing::info!(edit = %stop.edit, epoch = %stop.epoch, "cancelled: stopping");
        }
    }
}

/// Waits for all intakes; the last of their reasons that is not plain.
async fn all(intakes: &mut JoinSet<Closed>) -> Closed {
    let mut closed = Closed::Shutdown;
    while let Some(ended) = intakes.join_next().await {
        match ended {
            Ok(Closed::Shutdown) => {}
            Ok(other) => closed = other,
            Err(error) => tracing::error!(%error, "an intake died"),
        }
    }
    closed
}
