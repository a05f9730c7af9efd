//! The worker's metrics, for `/metrics`.
//!
//! | name | kind | what it is |
//! |---|---|---|
//! | `limekiln_worker_slots` | gauge | edits that fit into the engine |
//! | `limekiln_worker_slots_busy` | gauge | leases held |
//! | `limekiln_worker_memory_bytes{part}` | gauge | the memory that edits may hold: `held` by those under way, `free` |
//! | `limekiln_engine_busy_ratio` | gauge | share of the time since the last heartbeat that the network computed |
//! | `limekiln_engine_network_ratio` | gauge | the same, of the time in which the engine had an edit: less than nearly all of it where encoding, decoding or a lack of others leaves the network idle |
//! | `limekiln_engine_calls_total{shared}` | counter | calls of the network: for one edit (no), or for several (yes) |
//! | `limekiln_stage_seconds{stage}` | histogram | time of each part of an edit: fetch, memory (waiting for it), read, find_known (what earlier edits computed), start, step, beside (encoding, making segments, looking for an object, decoding), save, put_checkpoint, preview, finish, draw (of recolors: find, matte, paint), put, complete |
//! | `limekiln_recolors_total{outcome}` | counter | edits that could be recolored: sure, unsure (recolored with a warning), edited (by a preset that does so where it is not sure), not_found |
//! | `limekiln_details_total{way}` | counter | edits that the finish `detail` brought into the full-size picture: color (a change of color, carried over), enlarged (the model's picture, joined) |
//! | `limekiln_steps_total` | counter | denoising steps, over all edits |
//! | `limekiln_claims_total{outcome}` | counter | messages whose edit was claimed, or unclaimable |
//! | `limekiln_attempts_total{outcome}` | counter | attempts that ended: completed, failed, hung (the engine hung on the edit), stopped, handed_back, stepped_aside (an interactive edit has its slot), passed_on (the edit needs a newer version), abandoned (the outcome could not be written) |
//! | `limekiln_stale_total{write}` | counter | writes that were refused because the lease was gone |
//! | `limekiln_renewals_total` | counter | leases renewed |
//! | `limekiln_checkpoints_total` | counter | checkpoints that Postgres refers to |
//! | `limekiln_checkpoint_bytes` | histogram | sizes of these checkpoints |
//! | `limekiln_started_over_total` | counter | edits that started over because their checkpoint could not be used |
//! | `limekiln_previews_total` | counter | previews published |
//! | `limekiln_intermediates_total{kind, place}` | counter | what edits need of their pictures (latents, segments, region, decoded, matte) and where it was: memory, disk, s3, or none: it was computed |
//! | `limekiln_intermediates_read_bytes_total{kind, place}` | counter | bytes of those that were found |
//! | `limekiln_intermediates_kept_bytes_total{kind}` | counter | bytes kept for other edits |
//! | `limekiln_intermediates_failed_total{operation}` | counter | times that these could not be looked up (find), fetched (fetch), put (put) or kept (keep): the edit went on without |
//! | `limekiln_intermediates_memory_bytes` | gauge | bytes of them in memory |
//! | `limekiln_engine_panics_total` | counter | calls of the engine that panicked |
//! | `limekiln_engine_stalls_total` | counter | calls of the engine that were found to hang |
//! | `limekiln_ledger_batch_writes{write}` | histogram | edits that one statement wrote at once |
//! | `limekiln_ledger_retries_total{write}` | counter | statements that were sent again |
//!
//! The cache of inputs has metrics of its own (`limekiln_cache_...`, see the crate `blobs`).

use std::time::Duration;

pub(crate) fn stage(stage: &'static str, took: Duration) {
    ::metrics::histogram!("limekiln_stage_seconds", "stage" => stage).record(took);
}

pub(crate) fn detail(way: &'static str) {
    ::metrics::counter!("limekiln_details_total", "way" => way).increment(1);
}

pub(crate) fn recolor(outcome: &'static str) {
    ::metrics::counter!("limekiln_recolors_total", "outcome" => outcome).increment(1);
}

pub(crate) fn steps(count: usize, took: Duration) {
    ::metrics::counter!("limekiln_steps_total").increment(count as u64);
    let shared = if count > 1 { "yes" } else { "no" };
    ::metrics::counter!("limekiln_engine_calls_total", "shared" => shared).increment(1);
    stage("step", took);
}

pub(crate) fn claim(outcome: &'static str) {
    ::metrics::counter!("limekiln_claims_total", "outcome" => outcome).increment(1);
}

pub(crate) fn attempt(outcome: &'static str) {
    ::metrics::counter!("limekiln_attempts_total", "outcome" => outcome).increment(1);
}

pub(crate) fn stale(write: &'static str) {
    ::metrics::counter!("limekiln_stale_total", "write" => write).increment(1);
}

pub(crate) fn renewed(count: u64) {
    ::metrics::counter!("limekiln_renewals_total").increment(count);
}

pub(crate) fn checkpoint(bytes: u64) {
    ::metrics::counter!("limekiln_checkpoints_total").increment(1);
    ::metrics::histogram!("limekiln_checkpoint_bytes").record(bytes as f64);
}

pub(crate) fn started_over() {
    ::metrics::counter!("limekiln_started_over_total").increment(1);
}

pub(crate) fn preview() {
    ::metrics::counter!("limekiln_previews_total").increment(1);
}

pub(crate) fn reused(kind: &'static str, place: &'static str, bytes: usize) {
    ::metrics::counter!("limekiln_intermediates_total", "kind" => kind, "place" => place)
        .increment(1);
    if bytes > 0 {
        ::metrics::counter!("limekiln_intermediates_read_bytes_total", "kind" => kind, "place" => place)
            .increment(bytes as u64);
    }
}

pub(crate) fn kept(kind: &'static str, bytes: u64) {
    ::metrics::counter!("limekiln_intermediates_kept_bytes_total", "kind" => kind).increment(bytes);
}

pub(crate) fn reuse_failed(operation: &'static str) {
    ::metrics::counter!("limekiln_intermediates_failed_total", "operation" => operation)
        .increment(1);
}

pub(crate) fn reuse_memory(bytes: u64) {
    ::metrics::gauge!("limekiln_intermediates_memory_bytes").set(bytes as f64);
}

pub(crate) fn panicked() {
    ::metrics::counter!("limekiln_engine_panics_total").increment(1);
}

pub(crate) fn stalled() {
    ::metrics::counter!("limekiln_engine_stalls_total").increment(1);
}

pub(crate) fn batch(write: &'static str, count: usize) {
    ::metrics::histogram!("limekiln_ledger_batch_writes", "write" => write).record(count as f64);
}

pub(crate) fn retried(write: &'static str) {
    ::metrics::counter!("limekiln_ledger_retries_total", "write" => write).increment(1);
}

pub(crate) fn slots(slots: u32, busy: usize) {
    ::metrics::gauge!("limekiln_worker_slots").set(f64::from(slots));
    ::metrics::gauge!("limekiln_worker_slots_busy").set(busy as f64);
}

pub(crate) fn memory(whole: u64, free: u64) {
    let gauge = |part| ::metrics::gauge!("limekiln_worker_memory_bytes", "part" => part);
    gauge("held").set((whole - free.min(whole)) as f64);
    gauge("free").set(free as f64);
}

pub(crate) fn network_share(share: f64) {
    ::metrics::gauge!("limekiln_engine_network_ratio").set(share);
}

pub(crate) fn busy_share(share: f64) {
    ::metrics::gauge!("limekiln_engine_busy_ratio").set(share);
}
