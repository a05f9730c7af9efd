//! Whether Postgres, the broker and the blob store can be used.

use std::time::Duration;

use limekiln_blobs::{Blobs, Key};
use limekiln_broker::Broker;
use limekiln_jobs::api::Check;
use limekiln_store::Store;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How old an answer may be. Anybody may ask, so asking often must cost little.
const AGE_MAX: Duration = Duration::from_millis(500);
/// A key that no blob has. Whether asking for it succeeds shows whether the store answers.
const PROBE: &str = "probe/readyz";

/// Checks the dependencies and remembers the outcome for a moment.
pub(crate) struct ReadinessProbe {
    store: Store,
    broker: Broker,
    blobs: Blobs,
    timeout: Duration,
    last: Mutex<Option<(Instant, Vec<Check>)>>,
}

impl ReadinessProbe {
    /// Gives each dependency `timeout` to answer.
    pub(crate) fn new(store: Store, broker: Broker, blobs: Blobs, timeout: Duration) -> Self {
        Self {
            store,
            broker,
            blobs,
            timeout,
            last: Mutex::default(),
        }
    }

    pub(crate) async fn checks(&self) -> Vec<Check> {
        let mut last = self.last.lock().await;
        if let Some((at, checks)) = &*last
            && at.elapsed() < AGE_MAX
        {
            return checks.clone();
        }
        let (postgres, blobs) = tokio::join!(self.postgres(), self.blobs());
        let checks = vec![
            Check::new("postgres", postgres.err()),
            Check::new("broker", self.broker().err()),
            Check::new("blobs", blobs.err()),
        ];
        *last = Some((Instant::now(), checks.clone()));
        checks
    }

    async fn postgres(&self) -> Result<(), String> {
        let answer = timeout(self.timeout, self.store.schema_check()).await;
        answer
            .map_err(|_| self.late())?
            .map_err(|error| error.to_string())
    }

    fn broker(&self) -> Result<(), String> {
        if self.broker.is_connected() {
            Ok(())
        } else {
            Err("no connection to RabbitMQ now; it is being restored".to_owned())
        }
    }

    async fn blobs(&self) -> Result<(), String> {
        let probe: Key = PROBE
            .parse()
            .map_err(|error: limekiln_blobs::Error| error.to_string())?;
        let answer = timeout(self.timeout, self.blobs.head(&probe)).await;
        let head = answer.map_err(|_| self.late())?;
        head.map(drop).map_err(|error| error.to_string())
    }

    fn late(&self) -> String {
        format!("no answer within {} s", self.timeout.as_secs_f32())
    }
}
