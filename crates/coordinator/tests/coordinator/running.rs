//! The coordinator under test.

use std::time::Duration;

use limekiln_coordinator::{Error, Retention, Settings, Submitter, Webhooks, run};
use limekiln_fixture::{NEVER, PATIENCE, TestContext};
use limekiln_store::Component;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A coordinator in this process. Dropped, it dies in the middle of whatever it does.
pub(crate) struct Coordinator {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Coordinator {
    pub(crate) fn start(context: &TestContext, settings: Settings) -> Self {
        // Webhooks are sent over TLS, whose implementation is chosen once for a process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shutdown = CancellationToken::new();
        let (context, stopped) = (context.clone(), shutdown.clone());
        let task = async move {
            let context = context.in_role(Component::Coordinator).await;
            run(
                settings,
                context.store,
                context.broker,
                context.blobs,
                stopped,
            )
            .await
        };
        Self {
            shutdown,
            task: tokio::spawn(task),
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Stops it as a deploy would.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, &mut self.task)
            .await
            .expect("an end")
            .unwrap()
            .unwrap();
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Settings under which nothing happens by itself but what the test asks for.
pub(crate) fn settings() -> Settings {
    Settings {
        offers_stand: Duration::from_millis(100),
        bulk_wait: NEVER,
        asides_most: 3,
        lease_ttl: Duration::from_millis(300),
        min_window: 4,
        release_tick: Duration::from_millis(50),
        release_idle: Duration::from_millis(100),
        upkeep_every: Duration::from_millis(50),
        marker_every: Duration::from_millis(50),
        gauges_every: Duration::from_millis(100),
        retention: Retention {
            prune_every: NEVER,
            sweep_every: NEVER,
            ..Retention::default()
        },
        webhooks: Webhooks {
            backoff: Duration::from_millis(10),
            down: Duration::from_millis(100),
            allow_private: true,
            ..Webhooks::default()
        },
    }
}

pub(crate) fn submitter(context: &TestContext) -> Submitter {
    Submitter::new(context.store.clone(), context.broker.clone())
}
