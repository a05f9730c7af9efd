//! What keeps edits moving: submits them, releases them in fair order, rescues and retries them, tells the outside.
//!
//! Every loop may run in any number of coordinators at once; Postgres decides which of them does a thing.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | `submit` | [`Submitter`]: submit, cancel, retry by hand |
//! | `run` | [`run`]: all loops below, until the shutdown |
//! | `settings` | [`Settings`], [`Retention`], [`Webhooks`] |
//! | `control_loop` | what every loop below runs in: pauses, backoff while a service is down, one line of log an outage |
//! | `release`, `reannounce` | queued edits to the broker, in fair order, a window ahead; and again, when their message got lost or they have waited for long |
//! | `aside` | bulk that gives its slot to interactive edits |
//! | `catalogs` | rows of catalogs become edits, a few at a time |
//! | `announcer`, `wakes` | the messages of both, and those that cut a pause short |
//! | `offers` | turns that the worker of their parent may have before all others |
//! | `upkeep` | dead leases, retries that came due, turns whose parents ended |
//! | `live` | events of what happened here, published to watchers |
//! | [`fetch`] | pictures of others, got under the same rules for addresses: for gateways |
//! | `webhooks` | deliveries as jobs: signed, in a line for each endpoint; [`url_check`], addresses of the public internet only |
//! | `retention` | pruning by age |
//! | `deletions` | blobs whose rows were deleted |
//! | `erase` | tenants that an operator had erased |
//! | `marker` | whose the bucket is: [`claim`], [`adopt`], [`restore_accept`]; and whether anything may be deleted |
//! | `sweep` | blobs that no row refers to |
//! | `gauges` | depth, ages and windows, for Prometheus |
//! | `error` | [`Error`] |
//!
//! # Metrics
//!
//! | name | kind | labels | what |
//! |---|---|---|---|
//! | `limekiln_submitted_total` | counter | `outcome` | submissions answered |
//! | `limekiln_submit_held_total` | counter | | submissions put off because somebody held their tenant's row; each try counts |
//! | `limekiln_submit_batch_edits` | histogram | | submissions written by one transaction |
//! | `limekiln_submit_seconds` | histogram | | a transaction of submissions |
//! | `limekiln_released_total` | counter | `model`, `class` | edits announced for the first time |
//! | `limekiln_offers_total` | counter | `outcome` | turns offered to the worker of their parent, and what came of it: `taken`, `passed` (announced to all a moment later) |
//! | `limekiln_announced_again_total` | counter | `model`, `class` | edits announced again: their message got lost |
//! | `limekiln_aged_total` | counter | `model` | bulk that waited for long and was announced with the interactive edits |
//! | `limekiln_asides_total` | counter | | bulk edits asked to give their slot to an interactive one |
//! | `limekiln_aside_oldest_seconds` | gauge | | how long the one that was asked first, and has not, has known, while an interactive edit waits; no more than 30 |
//! | `limekiln_announce_failed_total` | counter | | announcements the broker didn't confirm |
//! | `limekiln_release_seconds` | histogram | | one look at the queue, publishing included |
//! | `limekiln_catalogs_open` | gauge | | catalogs that have something to do |
//! | `limekiln_catalog_rows_started_total` | counter | | rows of catalogs that became edits |
//! | `limekiln_catalog_rows_ended_total` | counter | | rows of catalogs whose edits ended, or that could not become edits |
//! | `limekiln_reaped_total` | counter | `outcome` | leases that ran out |
//! | `limekiln_reaper_holding` | gauge | | 1 while no lease is taken, since an outage has just ended |
//! | `limekiln_retried_total` | counter | | retries that came due |
//! | `limekiln_unblocked_total` | counter | `outcome` | turns that could go on, or failed with their parent, and were not moved with it |
//! | `limekiln_intermediates_bytes` | gauge | | what edits have kept of their pictures for others, of all tenants, at this coordinator's last look |
//! | `limekiln_pruned_total` | counter | `what` | rows and blobs removed by age |
//! | `limekiln_deleted_blobs_total` | counter | | blobs removed because their rows were deleted |
//! | `limekiln_erased_total` | counter | `what` | rows of tenants that are being erased |
//! | `limekiln_swept_total` | counter | | blobs removed that no row referred to |
//! | `limekiln_sweep_held` | gauge | `reason` | 1 while no blob is deleted: the bucket is another fleet's (`foreign`) or has lost its marker (`unclaimed`), the database was `restored` from before, too many look like `orphans` |
//! | `limekiln_webhooks_total` | counter | `outcome` | deliveries tried: `delivered`, `failed`, `refused` (never tried again), `given_up` (the last attempt failed) |
//! | `limekiln_webhook_seconds` | histogram | | a delivery, lookup to answer |
//! | `limekiln_webhook_endpoints_down` | gauge | | endpoints that gave no answer again and again, of this coordinator |
//! | `limekiln_duty_failed_total` | counter | `duty` | rounds of a loop that failed |
//! | `limekiln_duty_up` | gauge | `duty` | 0 during an outage |
//! | `limekiln_queue_edits` | gauge | `model`, `class`, `state` | edits that have not ended: `waiting`, `queued` (not announced), `announced`, `running` |
//! | `limekiln_queue_oldest_seconds` | gauge | `model`, `class` | age of the oldest queued edit |
//! | `limekiln_lease_overdue_seconds` | gauge | `model`, `class` | longest time since a lease ran out without being taken |
//! | `limekiln_queue_unable_edits` | gauge | `model`, `class` | queued edits that no living worker can do |
//! | `limekiln_window_edits` | gauge | `model` | how many of each class may be announced and unclaimed |
//! | `limekiln_fleet_slots` | gauge | `model` | edits the living workers run at once |
//! | `limekiln_fleet_busy_slots` | gauge | | edits they say they run |
//! | `limekiln_fleet_workers` | gauge | `state` | workers: `alive`, `draining`, `dead` |
//! | `limekiln_fleet_paused` | gauge | | 1 while the release is stopped |
//! | `limekiln_deletions_oldest_seconds` | gauge | | how long blobs have waited to be deleted |
//! | `limekiln_webhooks_overdue_seconds` | gauge | | how long the delivery that is due for longest has been due |
//!
//! The last ten, and `limekiln_sweep_held`, are read from Postgres by every coordinator: take their maximum, not their sum.

mod announcer;
mod aside;
mod catalogs;
mod control_loop;
mod deletions;
mod erase;
mod error;
pub mod fetch;
mod gauges;
mod live;
mod marker;
mod offers;
mod reannounce;
mod release;
mod retention;
mod run;
mod settings;
mod submit;
mod sweep;
mod upkeep;
mod wakes;
mod webhooks;

pub use error::Error;
pub use marker::{Adopted, Marker, Standing, adopt, claim, restore_accept, standing};
pub use run::run;
pub use settings::{ORPHANS_MOST, Retention, Settings, Webhooks};
pub use submit::Submitter;
pub use webhooks::{Refused, is_public, url_check};
