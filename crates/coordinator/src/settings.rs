//! Settings of a coordinator. Every default suits a fleet of a few hundred slots.

use std::time::Duration;

use crate::Error;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The share of blobs that may look like orphans before it is the database that looks wrong.
pub const ORPHANS_MOST: f64 = 0.05;

/// Settings of [`run`](crate::run).
#[derive(Clone, Debug)]
pub struct Settings {
    /// The workers' lease time, where a worker does not say. Dead leases are looked for six times in the shortest, and left
    /// alone for one after an outage of Postgres.
    pub lease_ttl: Duration,
    /// Edits announced ahead per model when no worker is there, so that an empty pool can scale from zero.
    pub min_window: u32,
    /// The longest wait between two looks at the queue while there is work.
    pub release_tick: Duration,
    /// The same when nothing was released lately. A wake message cuts both short.
    pub release_idle: Duration,
    /// How long a turn is offered to its parent's worker alone, where that has a free slot, before it is announced to all.
    pub offers_stand: Duration,
    /// Pause between looks at retries that came due, turns that can go on, and announcements nobody claimed.
    pub upkeep_every: Duration,
    /// How long bulk waits before some of it goes with the interactive edits, however many of those there are.
    pub bulk_wait: Duration,
    /// How often a running bulk edit may be asked to give its slot to an interactive one; with 0 none ever is.
    pub asides_most: u16,
    /// Pause between two writes of the marker that says whose the bucket is.
    pub marker_every: Duration,
    /// Pause between two readings of the gauges.
    pub gauges_every: Duration,
    /// What is kept, and for how long.
    pub retention: Retention,
    /// Delivery of webhooks.
    pub webhooks: Webhooks,
}

/// Ages after which things are removed. Nothing a live edit or a live session needs goes, whatever its age.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Pause between two rounds of pruning.
    pub prune_every: Duration,
    /// Events of months that ended this long ago, and webhooks that were delivered or given up then.
    pub events: Duration,
    /// Checkpoints of edits that ended this long ago.
    pub checkpoints: Duration,
    /// Ended edits, with their results. `None` keeps them for ever.
    pub edits: Option<Duration>,
    /// Catalogs that ended, or whose rows were last decided on, this long ago. `None` keeps them for ever.
    pub catalogs: Option<Duration>,
    /// Sessions whose last turn came in this long ago, with all their turns. `None` keeps them for ever.
    pub sessions: Option<Duration>,
    /// Images that no edit has used for this long. `None` keeps them for ever.
    pub images: Option<Duration>,
    /// Bytes that each tenant may keep of what its edits computed of pictures on their way; beyond, what was not used for longest goes.
    /// What no edit used for as long as [`Retention::sessions`] goes as well.
    pub intermediate_bytes: u64,
    /// Pause between two looks at what was deleted and whose blobs have to go, and at tenants to erase.
    pub delete_every: Duration,
    /// Whether blobs that no row refers to are deleted.
    pub sweep: bool,
    /// Pause between two walks through the blobs, of all coordinators together.
    pub sweep_every: Duration,
    /// A blob that no row refers to goes when that was so on two walks this far apart: its row may be on the way.
    pub sweep_grace: Duration,
    /// When more than this share of all blobs looks like orphans, none is deleted.
    pub orphans_most: f64,
}

/// Delivery of webhooks.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// Deliver to loopback, private and other special addresses too.
    pub allow_private: bool,
    /// Limit of one delivery, from name lookup to the last byte read of the answer.
    pub timeout: Duration,
    /// Requests sent before a delivery is given up.
    pub attempts: u32,
    /// Deliveries on their way at once.
    pub concurrency: usize,
    /// Deliveries on their way at once to one host and port.
    pub per_endpoint: usize,
    /// Deliveries on their way at once for one tenant, to however many endpoints.
    pub per_tenant: usize,
    /// Wait after the first failure; each later one waits five times as long, a day at most, give or take a fifth.
    pub backoff: Duration,
    /// First pause between two tries of an endpoint that gave no answer again and again; each later one is twice as long,
    /// a minute at most.
    pub down: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(15),
            min_window: 4,
            release_tick: Duration::from_millis(250),
            release_idle: Duration::from_secs(1),
            // Several times what a worker takes to claim what it has a slot for.
            offers_stand: Duration::from_millis(100),
            upkeep_every: Duration::from_millis(500),
            bulk_wait: 10 * MINUTE,
            asides_most: 3,
            marker_every: MINUTE,
            gauges_every: Duration::from_secs(5),
            retention: Retention::default(),
            webhooks: Webhooks::default(),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            prune_every: 10 * MINUTE,
            events: 7 * DAY,
            checkpoints: HOUR,
            edits: Some(30 * DAY),
            catalogs: Some(30 * DAY),
            sessions: Some(30 * DAY),
            images: Some(30 * DAY),
            intermediate_bytes: 1 << 30,
            delete_every: Duration::from_secs(2),
            sweep: true,
            sweep_every: 6 * HOUR,
            sweep_grace: DAY,
            orphans_most: ORPHANS_MOST,
        }
    }
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            allow_private: false,
            timeout: Duration::from_secs(10),
            attempts: 10,
            concurrency: 64,
            per_endpoint: 4,
            per_tenant: 16,
            backoff: Duration::from_secs(5),
            down: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// Refuses settings under which the fleet would stand still or lose uploads.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |what| Err(Error::Settings(what));
        if self.lease_ttl < Duration::from_millis(300) {
            return refuse("lease_ttl must be at least 300 ms");
        }
        if self.min_window == 0 {
            return refuse("min_window must be at least 1, or an empty pool never starts");
        }
        let pauses = [
            self.release_tick,
            self.release_idle,
            self.upkeep_every,
            self.marker_every,
            self.gauges_every,
            self.retention.prune_every,
            self.retention.delete_every,
            self.retention.sweep_every,
        ];
        if pauses.iter().any(|pause| *pause < Duration::from_millis(1)) {
            return refuse("pauses must be at least 1 ms");
        }
        if self.retention.sweep_grace < MINUTE {
            return refuse("sweep_grace must be at least a minute, or uploads in flight are lost");
        }
        if !(0.0..=1.0).contains(&self.retention.orphans_most) {
            return refuse("orphans_most must be a share from 0 to 1");
        }
        let hooks = &self.webhooks;
        let at_once = [hooks.concurrency, hooks.per_endpoint, hooks.per_tenant];
        if hooks.attempts == 0 || at_once.contains(&0) {
            return refuse("webhooks need at least one attempt and one delivery at once");
        }
        if [hooks.timeout, hooks.backoff, hooks.down].contains(&Duration::ZERO) {
            return refuse("times of webhooks must be longer than nothing");
        }
        Ok(())
    }
}
