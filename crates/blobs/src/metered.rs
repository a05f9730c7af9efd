//! The deadline and the metrics of one operation.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use crate::{Error, Result};

/// Runs an operation for at most `after`, and counts it by its outcome.
pub(crate) async fn metered<T>(
    operation: &'static str,
    after: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let began = Instant::now();
    let done = match tokio::time::timeout(after, work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Timeout { operation, after }),
    };
    let outcome = match &done {
        Ok(_) => "ok",
        Err(error) => error.outcome(),
    };
    if outcome == "disk_full" {
        metrics::counter!("limekiln_disk_full_total", "service" => "blobs").increment(1);
    }
    metrics::counter!("limekiln_blob_requests_total", "operation" => operation, "outcome" => outcome)
        .increment(1);
    metrics::histogram!("limekiln_blob_request_seconds", "operation" => operation)
        .record(began.elapsed());
    done
}
