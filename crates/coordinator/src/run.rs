//! All loops of a coordinator, until the shutdown.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures_util::future::BoxFuture;
use limekiln_blobs::Blobs;
use limekiln_broker::Broker;
use limekiln_store::Store;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::announcer::Announcer;
use crate::aside::Aside;
use crate::catalogs::Catalogs;
use crate::control_loop::{self, ControlLoop};
use crate::deletions::Deletions;
use crate::erase::Erase;
use crate::gauges::Gauges;
use crate::marker::Keep;
use crate::reannounce::Reannounce;
use crate::release::Release;
use crate::retention::Prune;
use crate::sweep::{Phase, Sweep};
use crate::upkeep::{Reap, Retries, Turns};
use crate::wakes::WakeListener;
use crate::webhooks::{Client, Deliveries};
use crate::{Error, Settings};

/// How long rounds under way may take to end after the shutdown.
const SHUTDOWN: Duration = Duration::from_secs(8);

/// Runs every loop until `shutdown`, through outages of Postgres, RabbitMQ and S3. Any number of coordinators may run at
/// once. Ends within 8 s of the shutdown.
///
/// # Errors
/// Settings that can't work, and the death of a task (a bug): the process should end and be started again.
pub fn run(
    settings: Settings,
    store: Store,
    broker: Broker,
    blobs: Blobs,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<(), Error>> {
    // Boxed here, so that all of it is compiled once, with this crate, and not with every caller.
    Box::pin(coordinate(settings, store, broker, blobs, shutdown))
}

async fn coordinate(
    settings: Settings,
    store: Store,
    broker: Broker,
    blobs: Blobs,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    settings.validate()?;
    let client = Client::new(&settings.webhooks)?;
    let mut loops = Loops {
        tasks: JoinSet::new(),
        names: HashMap::new(),
        shutdown: shutdown.child_token(),
    };
    let (every, retention) = (settings.upkeep_every, &settings.retention);
    let announcer = Announcer::new(broker.clone());

    let wakes = WakeListener::new(broker.wakes().await);
    loops.start(Release::new(
        store.clone(),
        announcer.clone(),
        wakes,
        &settings,
    ));
    loops.start(Reannounce {
        store: store.clone(),
        announcer,
        every,
        bulk_wait: settings.bulk_wait,
    });
    let wakes = WakeListener::new(broker.wakes().await);
    loops.start(Aside::new(
        store.clone(),
        broker.clone(),
        wakes,
        every,
        settings.asides_most,
    ));
    let wakes = WakeListener::new(broker.wakes().await);
    loops.start(Catalogs::new(store.clone(), broker.clone(), wakes, every));
    loops.start(Reap {
        store: store.clone(),
        broker: broker.clone(),
        lease: settings.lease_ttl,
        holding: false,
    });
    loops.start(Retries {
        store: store.clone(),
        broker: broker.clone(),
        every,
    });
    loops.start(Turns::new(store.clone(), broker.clone()));
    loops.start(Deliveries::new(
        store.clone(),
        client,
        settings.webhooks.clone(),
        every,
    ));
    loops.start(Prune::new(store.clone(), retention.clone()));
    loops.start(Erase {
        store: store.clone(),
        broker: broker.clone(),
        every: retention.delete_every,
    });
    loops.start(Deletions {
        store: store.clone(),
        blobs: blobs.clone(),
        every: retention.delete_every,
    });
    loops.start(Keep {
        store: store.clone(),
        blobs: blobs.clone(),
        every: settings.marker_every,
        said: None,
    });
    if retention.sweep {
        loops.start(Sweep {
            store: store.clone(),
            blobs,
            every: retention.sweep_every,
            grace: retention.sweep_grace,
            orphans_most: retention.orphans_most,
            phase: Phase::Started,
        });
    }
    loops.start(Gauges {
        store,
        every: settings.gauges_every,
        min_window: settings.min_window,
        queues: BTreeSet::new(),
        models: BTreeSet::new(),
    });
    loops.supervise().await
}

struct Loops {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    /// Cancelled by the caller, and when one of the tasks died.
    shutdown: CancellationToken,
}

impl Loops {
    fn start<L: ControlLoop + 'static>(&mut self, control_loop: L) {
        let handle = self
            .tasks
            .spawn(control_loop::run(control_loop, self.shutdown.clone()));
        self.names.insert(handle.id(), L::NAME);
    }

    /// Waits for the shutdown or for the death of a task, then for the others to end.
    async fn supervise(mut self) -> Result<(), Error> {
        let died = tokio::select! {
            () = self.shutdown.cancelled() => Ok(()),
            Some(Err(error)) = self.tasks.join_next() => Err(self.died(&error)),
        };
        self.shutdown.cancel();
        let ended = timeout(SHUTDOWN, self.join()).await;
        match (died, ended) {
            (Err(error), _) | (Ok(()), Ok(Err(error))) => Err(error),
            (Ok(()), Ok(Ok(()))) => Ok(()),
            (Ok(()), Err(_)) => {
                // Whatever a round left half done, another coordinator finds in Postgres.
                tracing::warn!(
                    duties = self.tasks.len(),
                    "rounds under way did not end in time"
                );
                Ok(())
            }
        }
    }

    async fn join(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|error| self.died(&error))?;
        }
        Ok(())
    }

    fn died(&self, error: &JoinError) -> Error {
        let task = self
            .names
            .get(&error.id())
            .copied()
            .unwrap_or("unknown")
            .to_owned();
        Error::Died {
            task,
            reason: error.to_string(),
        }
    }
}
