//! Puts and gets a second of small blobs in a folder, and the CPU they cost:
//! `cargo run --release -p limekiln-blobs --example blobs_throughput [BLOBS [BYTES [AT_ONCE]]]`

use std::{
    error::Error,
    io::Write,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use limekiln_blobs::{Blobs, Fsync, Key};
use limekiln_jobs::{Digest, TenantId};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<usize>());
    let count = arguments.next().transpose()?.unwrap_or(3_000);
    let bytes = arguments.next().transpose()?.unwrap_or(30_000);
    let at_once = arguments.next().transpose()?.unwrap_or(32);

    let dir = tempfile::tempdir()?;
    let blobs = Blobs::folder(dir.path(), "throughput", Fsync::Always).await?;
    blobs.bucket_ensure().await?;
    let tenant = TenantId::new();
    let bodies: Vec<(Key, Digest, Bytes)> = (0..count)
        .map(|n| {
            let body: Bytes = (0..bytes)
                .map(|i| ((i * 31) ^ (n * 7) ^ (n >> 8)) as u8)
                .collect::<Vec<_>>()
                .into();
            let digest = Digest::of(&body);
            (Key::image(tenant, &digest), digest, body)
        })
        .collect();

    let mut out = std::io::stdout();
    let (began, cpu) = (Instant::now(), cpu_time()?);
    stream::iter(&bodies)
        .map(|(key, digest, body)| blobs.put_digested(key, body.clone(), *digest, "image/png"))
        .buffer_unordered(at_once)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    writeln!(
        out,
        "put: {}",
        rate(count, began.elapsed(), cpu_time()? - cpu)
    )?;
    let (began, cpu) = (Instant::now(), cpu_time()?);
    stream::iter(&bodies)
        .map(|(key, digest, _)| blobs.get(key, Some(digest), 1 << 20))
        .buffer_unordered(at_once)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    writeln!(
        out,
        "get: {}",
        rate(count, began.elapsed(), cpu_time()? - cpu)
    )?;
    Ok(())
}

fn rate(count: usize, wall: Duration, cpu: Duration) -> String {
    format!(
        "{:.0} a second, {:.0} us of CPU each",
        count as f64 / wall.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / count as f64
    )
}

/// User and system time of this process, in ticks of 10 ms.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}
