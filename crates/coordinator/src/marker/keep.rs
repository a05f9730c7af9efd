//! The loop that keeps the marker up to date, and says when nothing may be deleted.

use std::time::Duration;

use limekiln_blobs::Blobs;
use limekiln_store::Store;

use super::object::Marker;
use super::standing::{Standing, standing};
use crate::Error;
use crate::control_loop::{ControlLoop, Next};

/// Why nothing may be deleted; the labels of the metric.
const REASONS: [&str; 4] = ["foreign", "restored", "unclaimed", "orphans"];

/// The loop.
pub(crate) struct Keep {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) every: Duration,
    /// What was said last.
    pub(crate) said: Option<&'static str>,
}

impl Keep {
    fn say(&mut self, standing: Standing) -> Option<&'static str> {
        let trouble = standing.trouble(&self.blobs);
        let reason = trouble.as_ref().map(|(reason, _)| *reason);
        if reason != self.said {
            match trouble {
                Some((_, words)) => tracing::error!("{words}"),
                None => {
                    tracing::info!("blobs that the database does not know may be deleted again")
                }
            }
        }
        self.said = reason;
        reason
    }
}

impl ControlLoop for Keep {
    const NAME: &'static str = "marker";

    async fn round(&mut self) -> Result<Next, Error> {
        let standing = standing(&self.store, &self.blobs).await?;
        let reason = self.say(standing);
        if standing == Standing::Ours
            && let Some(marker) = Marker::of(self.store.mark_advance(None).await?)
        {
            marker.write(&self.blobs).await?;
        }
        let stopped = self.store.sweep_stopped().await?;
        for one in REASONS {
            let held = reason == Some(one) || (one == "orphans" && stopped);
            metrics::gauge!("limekiln_sweep_held", "reason" => one).set(if held {
                1.0
            } else {
                0.0
            });
        }
        Ok(Next::After(self.every))
    }
}
