//! The hub's cache, and downloads from a hub of our own.

mod served;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use limekiln_diffusion::checkpoint::{
    Checkpoint, Hub, OpenOptions, Progress, Source, Token, needed_files,
};

use self::served::{COMMIT, Cut, Manner, Served, Sums, open};
use super::reference;

#[test]
fn downloads_what_is_needed_and_then_needs_no_network() {
    let (cache, root) = (
        tempfile::tempdir().unwrap(),
        reference("checkpoints/sd1-sharded"),
    );
    let served = Served::folder(&root, Manner::default());
    let checkpoint = served.open(cache.path(), false).unwrap();
    assert_eq!(checkpoint.name, "owner/name");
    let asked = served.names();
    served.asked.lock().unwrap().clear();
    let names: Vec<_> = asked.iter().map(String::as_str).collect();
    let mut needed = needed_files(
        names.iter().copied().chain(["README.md", "unet/x.bin"]),
        None,
    )
    .unwrap();
    needed.sort();
    assert_eq!(
        asked, needed,
        "it fetches the needed files, each once, and no other"
    );
    assert_eq!(
        asked
            .iter()
            .filter(|name| name.contains("-of-00003"))
            .count(),
        3
    );

    let shard = "unet/diffusion_pytorch_model-00002-of-00003.safetensors";
    let lost = needed_files(names.iter().copied().filter(|name| *name != shard), None);
    assert!(lost.unwrap_err().to_string().contains("a shard of"));

    let again = served.open(cache.path(), true).unwrap();
    assert_eq!(again.fingerprint(), checkpoint.fingerprint());
    assert!(served.asked.lock().unwrap().is_empty());
    let local = Checkpoint::open(&Source::Path(root), &OpenOptions::default()).unwrap();
    assert_eq!(local.fingerprint(), checkpoint.fingerprint());
}

/// Files below the folder, and how long they are.
fn files(folder: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((name, path.metadata().unwrap().len()));
        }
    }
    found.sort();
    found
}

#[test]
fn an_interrupted_download_is_not_a_checkpoint_and_goes_on() {
    for (cut, says) in [
        (Cut::Closes, "goes on from there"),
        (Cut::Stalls, "sent nothing for 0.3 s"),
    ] {
        let (cache, root) = (tempfile::tempdir().unwrap(), reference("checkpoints/sd1"));
        let manner = Manner {
            cut: Some(cut),
            ..Manner::default()
        };
        let line = Served::folder(&root, manner)
            .open(cache.path(), false)
            .map(|c| c.name)
            .unwrap_err()
            .to_string();
        assert!(
            line.contains("downloading failed") && !line.contains('\n'),
            "{line}"
        );
        assert!(cut == Cut::Closes || line.contains(says), "{line}");
        let left = files(cache.path());
        let [(part, bytes)] = &left[..] else {
            panic!("one half of a file: {left:?}");
        };
        assert!(part.ends_with(".incomplete") && *bytes > 0, "{left:?}");
        // The next attempt goes on where the first stopped, and leaves nothing but whole files.
        let served = Served::folder(&root, Manner::default());
        let checkpoint = served.open(cache.path(), false).unwrap();
        let went_on: Vec<_> = served
            .asked
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, from)| *from > 0)
            .cloned()
            .collect();
        assert_eq!(went_on.len(), 1, "{went_on:?}");
        assert_eq!(went_on[0].1 as u64, *bytes);
        let local = Checkpoint::open(&Source::Path(root), &OpenOptions::default()).unwrap();
        assert_eq!(checkpoint.fingerprint(), local.fingerprint());
        assert!(
            files(cache.path())
                .iter()
                .all(|(name, _)| !name.ends_with(".incomplete"))
        );
    }
}

#[test]
fn what_came_damaged_or_can_not_go_on_comes_anew() {
    let root = reference("checkpoints/sd1");
    let cache = tempfile::tempdir().unwrap();
    let wrong = Manner {
        sums: Some(Sums::Wrong),
        ..Manner::default()
    };
    let line = Served::folder(&root, wrong)
        .open(cache.path(), false)
        .map(|c| c.name)
        .unwrap_err()
        .to_string();
    assert!(line.contains("came damaged"), "{line}");
    assert!(files(cache.path()).is_empty(), "a damaged file stays");
    // A hub that knows no ranges, over what an interrupted download and another program left.
    let folder = cache
        .path()
        .join("models--owner--name/snapshots")
        .join(COMMIT)
        .join("unet");
    fs::create_dir_all(&folder).unwrap();
    let weights = "diffusion_pytorch_model.safetensors";
    fs::write(folder.join(format!("{weights}.incomplete")), "other bytes").unwrap();
    fs::write(folder.join("stale.incomplete"), "x").unwrap();
    let whole = Manner {
        sums: Some(Sums::Right),
        whole: true,
        ..Manner::default()
    };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    let hub = Hub {
        progress: Progress(Arc::new(move |now| {
            told.lock().unwrap().push((now.bytes, now.total))
        })),
        ..Served::folder(&root, whole).hub(cache.path())
    };
    let checkpoint = open(hub, "hf:owner/name").unwrap();
    let local = Checkpoint::open(&Source::Path(root), &OpenOptions::default()).unwrap();
    assert_eq!(checkpoint.fingerprint(), local.fingerprint());
    assert!(
        files(cache.path())
            .iter()
            .all(|(name, _)| !name.ends_with(".incomplete"))
    );
    let seen = seen.lock().unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    let (bytes, total) = *seen.last().unwrap();
    assert_eq!(Some(bytes), total, "it ends at all of it");
}

#[test]
fn the_token_goes_to_the_hub_and_to_no_other_host() {
    let root = reference("checkpoints/sd1");
    let files = Served::folder(&root, Manner::default());
    let gated = Manner {
        token: Some("hf_secret"),
        elsewhere: Some(files.endpoint.clone()),
        ..Manner::default()
    };
    let hub = Served::folder(&root, gated);
    let cache = tempfile::tempdir().unwrap();
    let line = hub
        .open(cache.path(), false)
        .map(|c| c.name)
        .unwrap_err()
        .to_string();
    assert!(line.contains("401") && line.contains("HF_TOKEN"), "{line}");
    let with = |token: &str| Hub {
        token: Token::new(token),
        ..hub.hub(cache.path())
    };
    let line = open(with("hf_other"), "hf:owner/name")
        .map(|c| c.name)
        .unwrap_err()
        .to_string();
    assert!(
        line.contains("does not open it") && !line.contains("hf_other"),
        "{line}"
    );
    hub.keys.lock().unwrap().clear();
    open(with(" hf_secret\n"), "hf:owner/name").unwrap();
    let sent = hub.keys.lock().unwrap();
    assert!(
        sent.iter()
            .all(|key| key.as_deref() == Some("Bearer hf_secret")),
        "{sent:?}"
    );
    let elsewhere = files.keys.lock().unwrap();
    assert!(
        !elsewhere.is_empty() && elsewhere.iter().all(Option::is_none),
        "{elsewhere:?}"
    );
}

#[test]
fn a_revision_is_a_checkpoint_of_its_own() {
    let root = reference("checkpoints/sd1");
    let served = Served::folder(&root, Manner::default());
    let cache = tempfile::tempdir().unwrap();
    let refs = cache.path().join("models--owner--name/refs");
    for (revision, kept) in [("refs/pr/3", true), ("v1.0", true), (COMMIT, false)] {
        let source = format!("hf:owner/name@{revision}");
        let checkpoint = open(served.hub(cache.path()), &source).unwrap();
        assert_eq!(checkpoint.name, format!("owner/name@{revision}"));
        assert_eq!(refs.join(revision).is_file(), kept, "{revision}");
        let offline = Hub {
            offline: true,
            ..served.hub(cache.path())
        };
        open(offline, &source).unwrap();
    }
    assert!(!refs.join("main").exists());
    let line = open(served.hub(cache.path()), "hf:owner/name@v2")
        .map(|c| c.name)
        .unwrap_err()
        .to_string();
    assert!(
        line.contains("404") && line.contains("owner/name@v2"),
        "{line}"
    );
    for wrong in ["@", "@a/../b", "@.x", "@a b"] {
        let source = format!("hf:owner/name{wrong}");
        let line = open(served.hub(cache.path()), &source)
            .map(|c| c.name)
            .unwrap_err()
            .to_string();
        assert!(line.contains("owner/name@revision"), "{source}: {line}");
    }
}

#[test]
fn a_snapshot_without_a_ref_is_used() {
    let cache = tempfile::tempdir().unwrap();
    let snapshot = cache
        .path()
        .join("models--owner--name/snapshots")
        .join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    super::copy_into(&reference("checkpoints/sd1"), &snapshot);
    let hub = Hub {
        cache: cache.path().into(),
        offline: true,
        ..Hub::default()
    };
    open(hub, "hf:owner/name").unwrap();
}

#[test]
fn a_cache_that_python_filled_is_used() {
    let cache = tempfile::tempdir().unwrap();
    let home = cache.path().join("models--owner--name");
    let snapshot = home.join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(home.join("refs")).unwrap();
    fs::write(home.join("refs/main"), COMMIT).unwrap();
    super::copy_into(&reference("checkpoints/sd1"), &snapshot);
    let hub = Hub {
        cache: cache.path().into(),
        endpoint: "http://127.0.0.1:9".into(),
        ..Hub::default()
    };
    let options = OpenOptions {
        hub: Some(hub),
        ..OpenOptions::default()
    };
    let source = Source::Hub {
        repo: "owner/name".into(),
    };
    Checkpoint::open(&source, &options).unwrap();
    fs::remove_file(snapshot.join("unet/diffusion_pytorch_model.safetensors")).unwrap();
    let line = Checkpoint::open(&source, &options)
        .map(|c| c.name)
        .unwrap_err()
        .to_string();
    for part in [
        "hf:owner/name",
        "unet/*.safetensors is missing",
        "hf download owner/name",
        "models--owner--name",
    ] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn offline_says_what_to_do() {
    let hub = Hub {
        cache: "/nonexistent/hub".into(),
        endpoint: "https://example.org".into(),
        offline: true,
        ..Hub::default()
    };
    let options = OpenOptions {
        hub: Some(hub),
        ..OpenOptions::default()
    };
    let refused = |repo: &str| {
        let source = Source::Hub { repo: repo.into() };
        Checkpoint::open(&source, &options)
            .map(|c| c.name)
            .unwrap_err()
            .to_string()
    };
    let line = refused("timbrooks/instruct-pix2pix");
    for part in [
        "/nonexistent/hub",
        "HF_HUB_OFFLINE",
        "hf download timbrooks/instruct-pix2pix",
        "https://example.org/timbrooks/instruct-pix2pix",
    ] {
        assert!(line.contains(part), "{line}");
    }
    for name in ["justaname", "../../etc", "a/b/c", "a/..", "a/b?c", ""] {
        assert!(refused(name).contains("owner/name"));
    }
}

#[test]
fn needed_files_are_one_set_of_weights() {
    let names = [
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.bin",
        "text_encoder/config.json",
        "text_encoder/pytorch_model.bin",
        "text_encoder/model.fp16.safetensors",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "scheduler/scheduler_config.json",
        "safety_checker/model.safetensors",
        "v1-5-pruned.ckpt",
    ];
    let weights = |variant: Option<&str>| -> Vec<String> {
        let needed = needed_files(names, variant).unwrap();
        needed
            .into_iter()
            .filter(|name| name.contains("model."))
            .collect()
    };
    assert_eq!(
        weights(None),
        [
            "unet/diffusion_pytorch_model.safetensors",
            "vae/diffusion_pytorch_model.bin",
            "text_encoder/pytorch_model.bin"
        ]
    );
    assert_eq!(
        weights(Some("fp16")),
        [
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "vae/diffusion_pytorch_model.bin",
            "text_encoder/model.fp16.safetensors"
        ]
    );
    assert!(
        needed_files(names, Some("non_ema"))
            .unwrap_err()
            .to_string()
            .contains("non_ema")
    );
    assert!(
        needed_files(
            names.into_iter().filter(|n| !n.starts_with("scheduler")),
            None
        )
        .unwrap_err()
        .to_string()
        .contains("scheduler/")
    );
}
