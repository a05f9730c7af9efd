//! A worker that runs, and what it signals.

use std::time::{Duration, Instant};

use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_store::Component;
use limekiln_worker::{Error, Factory, Settings, Signal, Signals, run};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) struct Running {
    task: JoinHandle<Result<(), Error>>,
    shutdown: CancellationToken,
    signals: Receiver<Signal>,
}

/// Settings of a worker in this context, in a hurry.
pub(crate) fn settings(context: &TestContext) -> Settings {
    Settings {
        lease_ttl: Duration::from_secs(3),
        shutdown_grace: Duration::from_secs(4),
        ..Settings::new(
            "tested",
            vec![TestContext::model()],
            context.dir.path().join("cache"),
        )
    }
}

impl Running {
    /// Starts a worker, and waits until it takes edits.
    pub(crate) async fn start(context: &TestContext, settings: Settings, factory: Factory) -> Self {
        let mut running = Self::spawn(context, settings, factory);
        running
            .wait("the worker", |signal| matches!(signal, Signal::Ready(_)))
            .await;
        running
    }

    pub(crate) fn spawn(context: &TestContext, mut settings: Settings, factory: Factory) -> Self {
        let (signals, receiver) = Signals::channel();
        settings.signals = signals;
        let shutdown = CancellationToken::new();
        let (context, stopped) = (context.clone(), shutdown.clone());
        let task = tokio::spawn(async move {
            let context = context.in_role(Component::Worker).await;
            let (store, broker, blobs) = (context.store, context.broker, context.blobs);
            run(settings, store, broker, blobs, factory, stopped).await
        });
        Self {
            task,
            shutdown,
            signals: receiver,
        }
    }

    /// Waits for a signal, and gives it.
    pub(crate) async fn wait(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Signal) -> bool,
    ) -> Signal {
        let listening = async {
            loop {
                match self.signals.recv().await {
                    Ok(signal) if wanted(&signal) => return signal,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => panic!("signals were lost"),
                    Err(RecvError::Closed) => panic!("the worker ended before {what}"),
                }
            }
        };
        timeout(PATIENCE, listening)
            .await
            .unwrap_or_else(|_| panic!("waited for {what}"))
    }

    /// What it has signalled since.
    pub(crate) fn signalled(&mut self) -> Vec<Signal> {
        std::iter::from_fn(|| self.signals.try_recv().ok()).collect()
    }

    /// Holds that the engine has not been seen to hang since the last signal that was waited for.
    pub(crate) fn stalled_never(&mut self) {
        while let Ok(signal) = self.signals.try_recv() {
            assert_ne!(signal, Signal::Stalled);
        }
    }

    /// Asks it to end, and gives how, and how long that took.
    pub(crate) async fn stop(self) -> (Result<(), Error>, Duration) {
        let began = Instant::now();
        self.shutdown.cancel();
        (self.end().await, began.elapsed())
    }

    /// Waits for its end.
    pub(crate) async fn end(self) -> Result<(), Error> {
        timeout(PATIENCE, self.task)
            .await
            .expect("the worker's end")
            .unwrap()
    }

    /// Ends it as a power cut would: nothing is given back.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}
