//! A process killed in the middle of writing to a folder.

use std::{io::Write, path::Path, sync::Arc, time::Duration};

use limekiln_blobs::{Blobs, Fsync, Key, Prefix};
use limekiln_jobs::{Digest, TenantId};
use limekiln_testbed::{Process, until};

use crate::context::noise;

const DIR: &str = "LIMEKILN_BLOBS_DIR";
const ACKNOWLEDGED: &str = "LIMEKILN_BLOBS_ACKNOWLEDGED";
const SEED: &str = "LIMEKILN_BLOBS_SEED";

/// The process that the test below kills: puts blobs for ever, and writes down the keys of those that were acknowledged.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process, started by another test"]
async fn writer() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let dir = variable(DIR);
    let blobs = Blobs::folder(Path::new(&dir), "kiln", Fsync::Always);
    let blobs = blobs.await.unwrap();
    blobs.bucket_ensure().await.unwrap();
    let acknowledged = std::fs::File::options()
        .append(true)
        .create(true)
        .open(variable(ACKNOWLEDGED))
        .unwrap();
    let (acknowledged, tenant) = (Arc::new(acknowledged), TenantId::new());
    let seed: u64 = variable(SEED).parse().unwrap();
    let writers = (0..6).map(|writer: u64| {
        let (blobs, acknowledged) = (blobs.clone(), Arc::clone(&acknowledged));
        tokio::spawn(async move {
            for n in (seed + writer) * 1_000_000.. {
                // One of them writes long ones.
                let bytes = match writer {
                    0 => 9 << 20,
                    _ => 1 + (n as usize * 7_919) % 200_000,
                };
                let body = noise(n, bytes);
                let digest = Digest::of(&body);
                let key = Key::image(tenant, &digest);
                blobs
                    .put_digested(&key, body, digest, "text/plain")
                    .await
                    .unwrap();
                let mut file = &*acknowledged;
                file.write_all(format!("{key}\n").as_bytes()).unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_writing_every_blob_is_whole_or_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (data, list) = (dir.path().join("s3"), dir.path().join("acknowledged"));
    let acknowledged = || {
        let text = std::fs::read_to_string(&list).unwrap_or_default();
        let lines = text.lines().map(|key| key.parse::<Key>().unwrap());
        lines.collect::<Vec<_>>()
    };
    for round in 0..4 {
        let goal = acknowledged().len() + 60 + 37 * round;
        let writer = Process::start(
            std::env::current_exe().unwrap(),
            ["--ignored", "--exact", "kill::writer", "--nocapture"],
            [
                (DIR, data.as_os_str()),
                (ACKNOWLEDGED, list.as_os_str()),
                (SEED, (10 * (round + 1)).to_string().as_ref()),
            ],
            &dir.path().join("log"),
        );
        until(
            "enough blobs to be put",
            Duration::from_secs(60),
            async || acknowledged().len() >= goal,
        )
        .await;
        writer.kill9();

        let blobs = Blobs::folder(&data, "kiln", Fsync::Always).await.unwrap();
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = blobs
                .list(&Prefix::tenants(), after.as_deref(), 1_000)
                .await
                .unwrap();
            listed.extend(page.blobs.into_iter().map(|listed| listed.key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        for key in &listed {
            let digest: Digest = key.as_str().rsplit('/').next().unwrap().parse().unwrap();
            blobs.get(key, Some(&digest), 16 << 20).await.unwrap();
            let head = blobs.head(key).await.unwrap().unwrap();
            assert_eq!(head.media_type.as_deref(), Some("text/plain"));
        }
        for key in acknowledged() {
            assert!(
                listed.binary_search(&key).is_ok(),
                "{key} was acknowledged and is gone"
            );
        }
        let left = std::fs::read_dir(data.join("data"))
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with(".tmp.")
            })
            .count();
        assert_eq!(left, 0, "temporary files of the killed process");
    }
}
