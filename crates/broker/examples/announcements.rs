//! Measures how many edits a second are announced, confirmed, consumed and acked, with and without live messages:
//! `cargo run --release -p limekiln-broker --example announcements [edits]`. It uses the RabbitMQ that `AMQP_URL` names, or starts one.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement, run by hand"
)]

use std::time::{Duration, Instant};

use limekiln_broker::{Broker, Hint, Settings};
use limekiln_jobs::{Class, EditId, Epoch, Live, TenantId};
use limekiln_testbed::RabbitMq;

const BATCH: usize = 256;
const LIVE_PER_EDIT: usize = 4;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let edits: usize = std::env::args()
        .nth(1)
        .map_or(30_000, |edits| edits.parse().unwrap());
    let url = match std::env::var("AMQP_URL") {
        Ok(url) => url,
        Err(_) => RabbitMq::shared().vhost().await,
    };
    // Each handle has its own connections, as two processes have.
    let (ours, theirs) = (
        Broker::connect(&Settings::new(&url)).await.unwrap(),
        Broker::connect(&Settings::new(&url)).await.unwrap(),
    );
    for live in [false, true] {
        let took = run(&ours, &theirs, edits, live).await;
        let rate = edits as f64 / took.as_secs_f64();
        let with = if live {
            format!(", {LIVE_PER_EDIT} live messages each")
        } else {
            String::new()
        };
        println!(
            "{edits} edits announced, confirmed, taken and acked in {took:.2?}: {rate:.0} a second{with}"
        );
    }
    ours.close().await;
    theirs.close().await;
}

async fn run(ours: &Broker, theirs: &Broker, edits: usize, live: bool) -> Duration {
    let model = "bench".parse().unwrap();
    let hints: Vec<_> = (0..edits)
        .map(|_| Hint {
            edit: EditId::new(),
            tenant: TenantId::new(),
            model: "bench".parse().unwrap(),
            class: Class::Bulk,
            cohort: None,
            announcement: 1,
            trace: None,
        })
        .collect();
    let mut consumer = theirs
        .consume(std::slice::from_ref(&model), None, 128)
        .await
        .unwrap();
    let start = Instant::now();
    let announcing = async {
        for batch in hints.chunks(BATCH) {
            for result in ours.announce(batch).await {
                result.unwrap();
            }
        }
        println!("  all confirmed after {:.2?}", start.elapsed());
    };
    let taking = async {
        for _ in 0..edits {
            let delivery = consumer.next().await.unwrap();
            if live {
                for step in 0..LIVE_PER_EDIT {
                    theirs.publish_live(&Live::Preview {
                        edit: delivery.hint.edit,
                        session: None,
                        epoch: Epoch::new(1),
                        step: step as u32,
                        jpeg: String::new(),
                    });
                }
            }
            delivery.ack();
        }
        consumer.flush().await;
    };
    tokio::join!(announcing, taking);
    start.elapsed()
}
