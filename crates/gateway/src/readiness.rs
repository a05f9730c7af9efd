//! Whether a process can work: Postgres answers. Without RabbitMQ or S3 it goes on with what does not need them, so they are
//! looked at beside it.

use std::time::Duration;

use limekiln_blobs::{Blobs, Key};
use limekiln_broker::Broker;
use limekiln_jobs::api::Check;
use limekiln_store::Store;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How old an answer may be. Anybody may ask, so asking often must cost little.
const AGE_MAX: Duration = Duration::from_millis(500);
/// A key that no blob has, under the prefix that every component may read. Whether asking for it succeeds shows whether the
/// store answers.
const PROBE: &str = "t/probe/readyz";

/// Checks the services and remembers the outcome for a moment.
pub(crate) struct ReadinessProbe {
    store: Store,
    broker: Broker,
    blobs: Blobs,
    timeout: Duration,
    postgres: Recent,
    rest: Recent,
}

/// The outcome of checks, and when they were made.
type Recent = Mutex<Option<(Instant, Vec<Check>)>>;

impl ReadinessProbe {
    /// Gives each service `timeout` to answer.
    pub(crate) fn new(store: Store, broker: Broker, blobs: Blobs, timeout: Duration) -> Self {
        Self {
            store,
            broker,
            blobs,
            timeout,
            postgres: Recent::default(),
            rest: Recent::default(),
        }
    }

    /// The one check that everything depends on.
    pub(crate) async fn required(&self) -> Vec<Check> {
        recent(&self.postgres, async || {
            vec![Check::required("postgres", self.postgres().await.err())]
        })
        .await
    }

    /// The checks of all three services, Postgres first.
    pub(crate) async fn all(&self) -> Vec<Check> {
        let rest = recent(&self.rest, async || {
            let blobs = Check::optional("blobs", self.blobs().await.err());
            vec![Check::optional("broker", self.broker().err()), blobs]
        });
        let (mut checks, rest) = tokio::join!(self.required(), rest);
        checks.extend(rest);
        checks
    }

    async fn postgres(&self) -> Result<(), String> {
        let answer = timeout(self.timeout, self.store.schema_check()).await;
        answer
            .map_err(|_| self.late())?
            .map_err(|error| error.to_string())
    }

    fn broker(&self) -> Result<(), String> {
        if !self.broker.is_connected() {
            return Err("no connection to RabbitMQ now; it is being restored, and edits are announced when it is back".to_owned());
        }
        match self.broker.blocked() {
            Some(why) => Err(format!("RabbitMQ takes no messages: {why}; give it room")),
            None => Ok(()),
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

/// The checks as they were a moment ago, or made now. Whoever asks meanwhile waits for the same ones.
async fn recent(cell: &Recent, check: impl AsyncFnOnce() -> Vec<Check>) -> Vec<Check> {
    let mut last = cell.lock().await;
    if let Some((at, checks)) = &*last
        && at.elapsed() < AGE_MAX
    {
        return checks.clone();
    }
    let checks = check().await;
    for check in &checks {
        let up = if check.ok { 1.0 } else { 0.0 };
        metrics::gauge!("limekiln_service_up", "service" => check.name.clone()).set(up);
    }
    *last = Some((Instant::now(), checks.clone()));
    checks
}
