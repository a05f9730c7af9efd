//! The edits in flight while something breaks, and how each is to end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::client::Client;
use crate::random::Random;
use crate::wait::wait;
use crate::watch::{Seen, follow};

/// Requests on their way at once.
const POSTERS: usize = 16;
/// How long a watcher follows.
const WATCH: Duration = Duration::from_secs(120);

/// How an edit is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a result.
    Succeeded,
    /// By the user's fault: no retry.
    Refused,
    /// By ours, after its attempts, or because it killed its workers.
    Failed,
    /// Because the engine hangs on it.
    Hung,
    /// Cancelled, or with a result when the cancel came too late.
    CancelledOrSucceeded,
    /// Cancelled: somebody was told so.
    Cancelled,
}

/// An edit before it is submitted.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its idempotency key.
    pub key: String,
    /// Its tenant, of those of the cluster.
    pub tenant: usize,
    /// Its request.
    pub body: Value,
    /// How it is to end.
    pub end: End,
    /// The planned edit whose result it changes, of the same load.
    pub parent: Option<usize>,
    /// When it is submitted, after the first.
    pub after: Duration,
    /// When it is cancelled, after its submission.
    pub cancel_after: Option<Duration>,
    /// Whether somebody follows its events.
    pub watched: bool,
    /// What its result is compared by: equal names give equal bytes.
    pub reference: Option<String>,
}

/// An edit that was accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its id.
    pub id: Uuid,
    /// What was asked for.
    pub planned: Planned,
    /// What its watcher saw.
    pub seen: Option<Seen>,
}

/// Edits of the null editor: `first` at once, `then` within the next two seconds.
#[must_use]
pub fn null(
    random: &mut Random,
    name: &str,
    images: &[Uuid],
    first: usize,
    then: usize,
) -> Vec<Planned> {
    let mut load = Vec::<Planned>::with_capacity(first + then);
    for number in 0..first + then {
        let tenant = random.index(images.len());
        let parent = random.index(first);
        let (steps, step_ms) = (random.of(30..60), random.of(20..50));
        let mut body = json!({
            "model": "null",
            "image": images[tenant],
            "instruction": format!("null: steps={steps} step_ms={step_ms}"),
            "seed": number,
        });
        let mut planned = Planned {
            key: format!("{name}-{number}"),
            tenant,
            body: Value::Null,
            end: End::Succeeded,
            parent: None,
            after: if number < first {
                Duration::ZERO
            } else {
                random.millis(0..2000)
            },
            cancel_after: None,
            watched: number % 25 == 0,
            reference: None,
        };
        match random.of(0..100) {
            0..8 => body["class"] = json!("bulk"),
            8..13 => {
                planned.end = End::CancelledOrSucceeded;
                planned.cancel_after = Some(random.millis(0..3000));
            }
            13..15 => {
                planned.end = End::Refused;
                body["instruction"] = json!("null: refuse");
            }
            15..17 => {
                planned.end = End::Failed;
                body["instruction"] = json!("null: fail");
                body["max_attempts"] = json!(2);
            }
            // The turn after one that will have a result; after another it might be refused at once.
            17..23 if number >= first && load[parent].end == End::Succeeded => {
                planned.parent = Some(parent);
                planned.tenant = load[parent].tenant;
            }
            _ => {}
        }
        planned.body = body;
        load.push(planned);
    }
    load
}

/// Of five edits, four are bulk.
pub fn mostly_bulk(load: &mut [Planned]) {
    for planned in load.iter_mut().enumerate().filter(|(at, _)| at % 5 > 0) {
        planned.1.body["class"] = json!("bulk");
    }
}

/// One edit of the null editor, by the first tenant and at once, which nobody watches.
#[must_use]
pub fn null_one(name: &str, image: Uuid, instruction: &str) -> Planned {
    Planned {
        key: name.to_owned(),
        tenant: 0,
        body: json!({
            "model": "null",
            "image": image,
            "instruction": instruction,
            "max_attempts": 10,
        }),
        end: End::Succeeded,
        parent: None,
        after: Duration::ZERO,
        cancel_after: None,
        watched: false,
        reference: None,
    }
}

/// Edits of the real engine, one of each drawn room.
#[must_use]
pub fn lime(name: &str, image: &[(Uuid, String)], count: usize) -> Vec<Planned> {
    (0..count)
        .map(|number| {
            let (image, instruction) = &image[number % image.len()];
            Planned {
                key: format!("{name}-{number}"),
                tenant: 0,
                body: json!({
                    "model": "rooms",
                    "image": image,
                    "instruction": instruction,
                            "seed": number,
                    // Some three seconds of a core.
                    "options": { "edit": { "steps": 30 } },
                }),
                end: End::Succeeded,
                parent: None,
                after: Duration::ZERO,
                cancel_after: None,
                watched: true,
                reference: Some(format!("{instruction} {number}")),
            }
        })
        .collect()
}

/// A load on its way.
#[derive(Debug)]
pub struct LoadRun {
    tasks: JoinSet<Result<Accepted>>,
    landed: Vec<Accepted>,
    accepted: Arc<AtomicU64>,
    first: u64,
}

impl LoadRun {
    /// Submits a load, each edit by the client of its tenant.
    #[must_use]
    pub fn start(load: Vec<Planned>, clients: &[Client]) -> Self {
        let first = load
            .iter()
            .filter(|planned| planned.after.is_zero())
            .count() as u64;
        let posters = Arc::new(Semaphore::new(POSTERS));
        let accepted = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let (ids, known): (HashMap<usize, _>, HashMap<usize, _>) = (0..load.len())
            .map(|number| {
                let (sender, receiver) = watch::channel(None::<Uuid>);
                ((number, sender), (number, receiver))
            })
            .unzip();
        let mut ids = ids;
        let mut tasks = JoinSet::new();
        for (number, planned) in load.into_iter().enumerate() {
            let client = clients[planned.tenant].clone();
            let parent = planned
                .parent
                .and_then(|parent| known.get(&parent).cloned());
            let id = ids.remove(&number);
            let (posters, accepted) = (Arc::clone(&posters), Arc::clone(&accepted));
            tasks.spawn(async move {
                sleep_until(start + planned.after).await;
                let mut planned = planned;
                if let Some(mut parent) = parent {
                    let known = parent
                        .wait_for(Option::is_some)
                        .await
                        .context("the parent was not accepted")?;
                    planned.body["parent"] = json!(*known);
                    planned
                        .body
                        .as_object_mut()
                        .map(|body| body.remove("image"));
                }
                let permit = posters.acquire().await?;
                let edit = client.submit(&planned.key, &planned.body).await;
                drop(permit);
                let edit = edit.with_context(|| planned.key.clone())?;
                accepted.fetch_add(1, Ordering::Relaxed);
                if let Some(id) = id {
                    id.send_replace(Some(edit));
                }
                if let Some(after) = planned.cancel_after {
                    tokio::time::sleep(after).await;
                    if client.cancel(edit).await? {
                        planned.end = End::Cancelled;
                    }
                }
                let seen = if planned.watched {
                    Some(follow(&client, edit, WATCH).await?)
                } else {
                    None
                };
                Ok(Accepted {
                    id: edit,
                    planned,
                    seen,
                })
            });
        }
        Self {
            tasks,
            landed: Vec::new(),
            accepted,
            first,
        }
    }

    /// Waits until the first part is accepted.
    ///
    /// # Errors
    ///
    /// When one of it is refused.
    pub async fn first_accepted(&mut self) -> Result<()> {
        let mut early = Vec::new();
        wait(
            "the first edits to be accepted",
            Duration::from_secs(60),
            async || {
                // Those of the second part may be done by now; one that failed will never be accepted.
                while let Some(one) = self.tasks.try_join_next() {
                    early.push(one??);
                }
                Ok(self.accepted.load(Ordering::Relaxed) >= self.first)
            },
        )
        .await?;
        self.landed.append(&mut early);
        Ok(())
    }

    /// Waits until all are accepted, cancels are answered, and watchers have seen their ends.
    ///
    /// # Errors
    ///
    /// The first that went wrong.
    pub async fn finish(mut self) -> Result<Vec<Accepted>> {
        let mut all = self.landed;
        while let Some(one) = self.tasks.join_next().await {
            all.push(one??);
        }
        Ok(all)
    }
}
