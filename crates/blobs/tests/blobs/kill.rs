//! The embedded server killed in the middle of writing.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use limekiln_blobs::{Blobs, Key, Prefix, embedded::Embedded};
use limekiln_jobs::{Digest, Retryable, TenantId};
use limekiln_testbed::{Process, port_free, until};

use crate::home::noise;

const DIR: &str = "LIMEKILN_BLOBS_DIR";
const PORT: &str = "LIMEKILN_BLOBS_PORT";

/// The server that the test below kills, run by it as a process of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a server, started by another test"]
async fn server() {
    let port = std::env::var(PORT).unwrap().parse().unwrap();
    let _server = Embedded::start(Path::new(&std::env::var(DIR).unwrap()), port)
        .await
        .unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_writing_every_blob_is_whole_or_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let port = port_free();
    let log = dir.path().join("log");
    let data = dir.path().join("s3");
    // Made before the first start, so that the client knows the credentials.
    let settings = {
        let server = Embedded::start(&data, port).await.unwrap();
        let settings = server.settings("kiln");
        Blobs::connect(&settings)
            .await
            .unwrap()
            .bucket_ensure()
            .await
            .unwrap();
        server.stop().await;
        settings
    };
    let blobs = Blobs::connect(&settings).await.unwrap();
    let tenant = TenantId::new();
    let acknowledged = Arc::new(Mutex::new(Vec::<Key>::new()));
    let seed = AtomicU64::new(1);

    for round in 0..4 {
        let server = Process::start(
            std::env::current_exe().unwrap(),
            ["--ignored", "--exact", "kill::server", "--nocapture"],
            [(DIR, data.as_os_str()), (PORT, port.to_string().as_ref())],
            &log,
        );
        until(
            "the server to answer",
            Duration::from_secs(30),
            async || {
                tokio::net::TcpStream::connect(("127.0.0.1", port))
                    .await
                    .is_ok()
            },
        )
        .await;
        let goal = acknowledged.lock().unwrap().len() + 60 + 37 * round;
        let killed = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for writer in 0..6 {
            let (blobs, killed, acknowledged) = (
                blobs.clone(),
                Arc::clone(&killed),
                Arc::clone(&acknowledged),
            );
            let first = seed.fetch_add(1_000_000, Ordering::Relaxed);
            writers.push(tokio::spawn(async move {
                for n in first.. {
                    // One of them in parts.
                    let bytes = if writer == 0 {
                        9 << 20
                    } else {
                        1 + (n as usize * 7_919) % 200_000
                    };
                    let body = noise(n, bytes);
                    let digest = Digest::of(&body);
                    let key = Key::image(tenant, &digest);
                    match blobs.put_digested(&key, body, digest, "text/plain").await {
                        Ok(_) => acknowledged.lock().unwrap().push(key),
                        Err(error) => {
                            assert!(
                                killed.load(Ordering::SeqCst) && error.is_transient(),
                                "{error}"
                            );
                            return;
                        }
                    }
                }
            }));
        }
        until(
            "enough blobs to be put",
            Duration::from_secs(60),
            async || acknowledged.lock().unwrap().len() >= goal,
        )
        .await;
        killed.store(true, Ordering::SeqCst);
        server.kill9();
        for writer in writers {
            writer.await.unwrap();
        }

        let server = Embedded::start(&data, port).await.unwrap();
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = blobs
                .list(&Prefix::tenant(tenant), after.as_deref(), 1_000)
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
        }
        for key in acknowledged.lock().unwrap().iter() {
            assert!(
                listed.binary_search(key).is_ok(),
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
        assert_eq!(left, 0, "temporary files of the killed server");
        server.stop().await;
    }
}
