//! A thousand readers on one gateway: what they cost, and how long an event takes to reach them.

use std::time::{Duration, Instant};

use limekiln_fixture::PATIENCE;
use limekiln_jobs::{EditEvent, EditId, EventKind, Live};
use serde_json::json;

use crate::support::Gateway;
use crate::support::http::{self, Open};
use crate::support::worker::{self, ManualWorker};

const WATCHERS: usize = 1000;
const ROUNDS: u64 = 10;

/// Resident memory of this process, in KiB: the gateway's and, smaller, the readers'.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_watchers() {
    let gateway = Gateway::with(|settings| settings.limits.tenant_share = 1.0).await;
    let mut manual = ManualWorker::new(&gateway).await;
    let image = gateway.image().await;
    let mut edits: Vec<EditId> = Vec::new();
    for index in 0..WATCHERS {
        let body = json!({"image": image, "instruction": format!("edit {index}")});
        edits.push(
            gateway.post("/v1/edits", &body).await.json()["id"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap(),
        );
    }
    let mut claimed = Vec::new();
    while claimed.len() < WATCHERS {
        let more = manual.claim().await;
        assert!(!more.is_empty(), "{} of {WATCHERS} claimed", claimed.len());
        claimed.extend(more);
    }
    let before = resident_kib();
    let mut streams: Vec<Open> = Vec::new();
    for edit in &edits {
        let (head, mut stream) = http::open(
            gateway.address,
            gateway.request("GET", &format!("/v1/edits/{edit}/events")),
        )
        .await;
        assert_eq!(head.status, 200);
        for number in 1..=2 {
            let event = tokio::time::timeout(PATIENCE, stream.event())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(event.id, Some(number));
        }
        streams.push(stream);
    }
    let opened = resident_kib();

    // Every reader stamps each event as it comes.
    let readers: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            tokio::spawn(async move {
                let mut stamps = Vec::new();
                while let Some(event) = stream.event().await {
                    stamps.push((event.id.unwrap(), Instant::now()));
                }
                stamps
            })
        })
        .collect();
    let mut published = Vec::new();
    for round in 0..ROUNDS {
        let steps: Vec<_> = claimed
            .iter()
            .map(|edit| worker::progressed(edit, round as u32 + 1))
            .collect();
        let written = gateway.context.store.edits_progress(&steps).await.unwrap();
        assert!(written.iter().all(|write| write.is_applied()));
        let mut stamps = Vec::new();
        for edit in &edits {
            let event = EditEvent {
                edit: *edit,
                session: None,
                seq: round + 3,
                at: time::OffsetDateTime::now_utc(),
                kind: EventKind::Progress,
                data: json!({"stage": "apply", "step": round + 1, "steps": 4}),
            };
            stamps.push(Instant::now());
            gateway.context.broker.publish_live(&Live::Event(event));
            // As workers do: a thousand edits do not step in the same microsecond.
            tokio::task::yield_now().await;
        }
        published.push(stamps);
    }
    let watched = resident_kib();
    for edit in &claimed {
        let _ = gateway
            .context
            .store
            .edit_cancel(gateway.tenant, edit.edit)
            .await
            .unwrap();
        manual.tell(edit.edit).await;
    }
    let mut lags: Vec<Duration> = Vec::new();
    for (index, reader) in readers.into_iter().enumerate() {
        let stamps = tokio::time::timeout(PATIENCE * 3, reader)
            .await
            .expect("every stream ends")
            .unwrap();
        let numbers: Vec<u64> = stamps.iter().map(|(number, _)| *number).collect();
        assert_eq!(
            numbers,
            (3..=ROUNDS + 3).collect::<Vec<_>>(),
            "gapless, in order, once"
        );
        for (number, at) in stamps.iter().take(ROUNDS as usize) {
            lags.push(at.saturating_duration_since(published[*number as usize - 3][index]));
        }
    }
    lags.sort_unstable();
    let quantile =
        |share: f64| lags[((lags.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!(
        "{WATCHERS} watchers of as many edits: {:.1} KiB each ({} MiB for all, readers included; {} MiB after {} events); \
         lag from publish to receipt p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        (opened - before) as f64 / WATCHERS as f64,
        (opened - before) >> 10,
        watched.saturating_sub(before) >> 10,
        lags.len(),
        quantile(0.5),
        quantile(0.99),
        quantile(1.0),
    );
    assert!(
        (opened - before) / (WATCHERS as u64) < 200,
        "more than 200 KiB a watcher"
    );
    assert!(quantile(0.99) < 2000.0, "two seconds are no live progress");
}
