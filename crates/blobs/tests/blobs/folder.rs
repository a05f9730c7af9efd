//! The folder's own promises.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use limekiln_blobs::{Blobs, Fsync, Key, Prefix};
use limekiln_jobs::{Digest, ErrorKind, Retryable};
use limekiln_testbed::until;
use time::OffsetDateTime;

use crate::context::{TestContext, noise};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn opened(dir: &Path) -> Blobs {
    Blobs::folder(dir, "kiln", Fsync::Always).await.unwrap()
}

fn keys<const N: usize>(names: [&str; N]) -> Vec<Key> {
    names.map(|name| name.parse().unwrap()).to_vec()
}

#[tokio::test]
async fn a_restart_keeps_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = opened(dir.path()).await;
    blobs.bucket_ensure().await.unwrap();
    let key = "t/x/images/y".parse().unwrap();
    let stored = blobs
        .put(&key, noise(1, 9_000), "text/plain")
        .await
        .unwrap();
    drop(blobs);

    let blobs = opened(dir.path()).await;
    assert_eq!(
        blobs
            .get(&key, Some(&stored.digest), 1 << 20)
            .await
            .unwrap(),
        noise(1, 9_000)
    );
    let head = blobs.head(&key).await.unwrap().unwrap();
    assert_eq!(head.media_type.as_deref(), Some("text/plain"));
    assert!(
        blobs
            .presign(&key, Duration::from_secs(9), None)
            .await
            .unwrap()
            .is_none()
    );
}

/// `tests/data/dev` is what `limekiln dev` of the first version left in `s3`, by its S3 server: an upload, and what one
/// edit made of it. What that server kept beside a blob put in parts, and of an upload that was never finished, is added.
#[tokio::test]
async fn a_folder_of_the_first_version_opens() {
    let dir = tempfile::tempdir().unwrap();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dev");
    copy(&old, dir.path());
    let data = dir.path().join("data");
    std::fs::write(data.join("limekiln/large"), noise(1, 10_000)).unwrap();
    let large = ".bucket-bGltZWtpbG4.object-bGFyZ2U";
    for (name, text) in [
        (
            format!("{large}.metadata.json"),
            r#"{"content_type":"application/x-safetensors"}"#,
        ),
        (
            format!("{large}.internal.json"),
            r#"{"e_tag":"0f3d014eead934bbdbacb62a01dc4831-2"}"#,
        ),
        (".upload-0198.json".to_owned(), "\"limekiln\""),
        (".upload_id-0198.part-1".to_owned(), "half"),
        (".tmp.whole-3.internal.part".to_owned(), "half"),
        (format!("{large}.upload-0198.metadata.json"), "{}"),
    ] {
        std::fs::write(data.join(name), text).unwrap();
    }

    let blobs = Blobs::folder(dir.path(), "limekiln", Fsync::Always);
    let blobs = blobs.await.unwrap();
    let page = blobs.list(&Prefix::all(), None, 100).await.unwrap();
    let types = async |end: &str| {
        let listed = page
            .blobs
            .iter()
            .find(|one| one.key.as_str().ends_with(end));
        let key = &listed.unwrap_or_else(|| panic!("{end} is not listed")).key;
        let head = blobs.head(key).await.unwrap().unwrap();
        let body = blobs.get(key, None, 1 << 20).await.unwrap();
        assert_eq!(body.len() as u64, head.bytes);
        head.media_type.unwrap()
    };
    for (end, media_type) in [
        ("result.png", "image/png"),
        ("report.json", "application/json"),
        ("large", "application/x-safetensors"),
    ] {
        assert_eq!(types(end).await, media_type);
    }
    let images = page.blobs.iter().filter(|one| {
        let name = one.key.as_str().rsplit('/').next().unwrap();
        name.parse::<Digest>().is_ok()
    });
    let mut count = 0;
    for image in images {
        let name = image.key.as_str().rsplit('/').next().unwrap();
        let digest: Digest = name.parse().unwrap();
        blobs.get(&image.key, Some(&digest), 1 << 20).await.unwrap();
        count += 1;
    }
    assert!(count > 0, "no upload in the old folder");

    let all: Vec<Key> = page.blobs.into_iter().map(|one| one.key).collect();
    blobs.delete(&all).await.unwrap();
    assert_eq!(names(&data), ["limekiln"]);
    assert!(names(&data.join("limekiln")).is_empty());
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

#[tokio::test]
async fn one_process_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let first = opened(dir.path()).await;
    let refused = Blobs::folder(dir.path(), "kiln", Fsync::Always)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("another process uses"),
        "{refused}"
    );
    drop(first);
    opened(dir.path()).await;
}

#[tokio::test]
async fn deletions_leave_nothing_on_disk() {
    let context = TestContext::folder_half().await;
    let doomed = keys(["t/a/b/c", "t/a/b/d", "t/e", "t/large"]);
    for key in &doomed {
        let bytes = if key.as_str() == "t/large" {
            9 << 20
        } else {
            10
        };
        context
            .blobs
            .put(key, noise(1, bytes), "text/plain")
            .await
            .unwrap();
    }
    context.blobs.delete(&doomed[..1]).await.unwrap();
    assert_eq!(
        context.blobs.get(&doomed[1], None, 99).await.unwrap(),
        noise(1, 10)
    );
    context.blobs.delete(&doomed).await.unwrap();
    assert_eq!(names(&context.dir().join("data")), ["kiln"]);
    assert!(names(&context.dir().join("data/kiln")).is_empty());
}

#[tokio::test]
async fn a_put_given_up_leaves_nothing() {
    let context = TestContext::folder_half().await;
    let data = context.dir().join("data");
    let temporary = || {
        names(&data)
            .iter()
            .filter(|name| name.starts_with(".tmp."))
            .count()
    };
    let (blobs, key) = (context.blobs.clone(), context.key("given-up"));
    let body = noise(1, 256 << 20);
    let put = tokio::spawn(async move {
        let digest = Digest::of(b"unchecked");
        blobs.put_digested(&key, body, digest, "image/png").await
    });
    until("the put to begin", Duration::from_secs(30), async || {
        temporary() == 1
    })
    .await;
    put.abort();
    assert!(put.await.unwrap_err().is_cancelled());
    until("its file to go", Duration::from_secs(30), async || {
        temporary() == 0
    })
    .await;
    assert!(
        !context
            .blobs
            .exists(&context.key("given-up"))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn what_a_dead_process_left_is_swept_when_old_enough() {
    let context = TestContext::folder_half().await;
    let data = context.dir().join("data");
    std::fs::write(data.join(".tmp.dead"), "half").unwrap();
    let hour = Duration::from_secs(3_600);
    let old = async || {
        let (all, before) = (Prefix::all(), OffsetDateTime::now_utc() - hour);
        let aborted = context.blobs.uploads_abort(&all, before, 100).await;
        aborted.unwrap()
    };
    assert_eq!(old().await, 0);
    let file = std::fs::File::options()
        .write(true)
        .open(data.join(".tmp.dead"))
        .unwrap();
    file.set_modified(SystemTime::now() - 2 * hour).unwrap();
    assert_eq!(old().await, 1);
    assert_eq!(names(&data), ["kiln"]);
}

#[tokio::test]
async fn a_directory_is_no_blob_and_a_blob_no_directory() {
    let context = TestContext::folder_half().await;
    let [blob, above, below] = <[Key; 3]>::try_from(keys(["t/x", "t", "t/x/y"])).unwrap();
    context
        .blobs
        .put(&blob, noise(1, 10), "text/plain")
        .await
        .unwrap();
    for other in [&above, &below] {
        let missing = context.blobs.get(other, None, 99).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let refused = context.blobs.put(other, noise(2, 10), "text/plain").await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Internal);
    }
    context.blobs.delete(&[above, below]).await.unwrap();
    assert_eq!(
        context.blobs.get(&blob, None, 99).await.unwrap(),
        noise(1, 10)
    );
    assert_eq!(
        names(&context.dir().join("data")),
        [".bucket-a2lsbg.object-dC94.metadata.json", "kiln"]
    );
}

#[tokio::test]
async fn keys_that_differ_in_case_alone_are_two() {
    let context = TestContext::folder_half().await;
    let both = keys(["models/SD/unet", "models/sd/unet"]);
    for (seed, key) in (1..).zip(&both) {
        context
            .blobs
            .put(key, noise(seed, 10), "text/plain")
            .await
            .unwrap();
    }
    std::fs::write(context.dir().join("data/kiln/README"), "not ours").unwrap();
    for (seed, key) in (1..).zip(&both) {
        let body = context.blobs.get(key, None, 99).await.unwrap();
        assert_eq!(body, noise(seed, 10));
    }
    let page = context.blobs.list(&Prefix::all(), None, 9).await.unwrap();
    let listed: Vec<Key> = page.blobs.into_iter().map(|one| one.key).collect();
    assert_eq!(listed, both);
    assert_eq!(
        names(&context.dir().join("data/kiln/models")),
        ["+s+d", "sd"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_writers_and_deleters_see_whole_blobs() {
    let context = TestContext::folder_half().await;
    let keys: Vec<Key> = (0..3).map(|n| context.key(&format!("d/{n}/x"))).collect();
    let tasks = (0..12_u64).map(|task| {
        let (blobs, keys) = (context.blobs.clone(), keys.clone());
        tokio::spawn(async move {
            for round in 0..20_u64 {
                let key = &keys[(task + round) as usize % keys.len()];
                match task % 3 {
                    0 => {
                        let body = noise(task + 1, 2 << 20);
                        blobs.put(key, body, "text/plain").await.unwrap();
                    }
                    1 => match blobs.get(key, None, 4 << 20).await {
                        Ok(body) => {
                            assert!([0, 3, 6, 9].iter().any(|t| body == noise(t + 1, 2 << 20)))
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
                    },
                    _ => blobs.delete(std::slice::from_ref(key)).await.unwrap(),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}
