//! The hub's cache, and downloads from a hub of our own.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use limekiln_diffusion::Error;
use limekiln_diffusion::checkpoint::{Checkpoint, Hub, OpenOptions, Source, needed_files};

use super::reference;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Serves a folder as `owner/name`; what else it lists is never to be asked for.
struct Served {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Served {
    fn folder(root: &Path, cut: bool) -> Self {
        let mut files = HashMap::new();
        for part in ["", "unet", "vae", "text_encoder", "tokenizer", "scheduler"] {
            for path in root
                .join(part)
                .read_dir()
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|p| p.is_file())
            {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
        for extra in [
            "README.md",
            "safety_checker/pytorch_model.bin",
            "unet/diffusion_pytorch_model.onnx",
        ] {
            files.insert(extra.into(), b"not needed".to_vec());
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &files, cut, &log);
            }
        });
        Self { endpoint, asked }
    }

    fn open(&self, cache: &Path, offline: bool) -> Result<Checkpoint, Error> {
        let hub = Hub {
            cache: cache.into(),
            endpoint: self.endpoint.clone(),
            offline,
        };
        let options = OpenOptions {
            hub: Some(hub),
            ..OpenOptions::default()
        };
        Checkpoint::open(&Checkpoint::parse_source("hf:owner/name"), &options)
    }
}

/// One request per connection; `cut` stops halfway through every file.
fn answer(
    mut stream: TcpStream,
    files: &HashMap<String, Vec<u8>>,
    cut: bool,
    log: &Mutex<Vec<String>>,
) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let head: Vec<_> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else {
        return;
    };
    let body = if path == "/api/models/owner/name/revision/main" {
        let siblings: Vec<_> = files
            .keys()
            .map(|name| serde_json::json!({"rfilename": name}))
            .collect();
        Some(
            serde_json::json!({"sha": COMMIT, "siblings": siblings})
                .to_string()
                .into_bytes(),
        )
    } else {
        let name = path
            .strip_prefix(&format!("/owner/name/resolve/{COMMIT}/"))
            .unwrap_or("");
        log.lock().unwrap().push(name.to_owned());
        files.get(name).cloned()
    };
    let Some(body) = body else {
        write!(
            stream,
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        return;
    };
    let sent = if cut && !path.starts_with("/api/") {
        body.len() / 2
    } else {
        body.len()
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .unwrap();
    stream.write_all(&body[..sent]).unwrap();
}

#[test]
fn downloads_what_is_needed_and_then_needs_no_network() {
    let (cache, root) = (
        tempfile::tempdir().unwrap(),
        reference("checkpoints/sd1-sharded"),
    );
    let served = Served::folder(&root, false);
    let checkpoint = served.open(cache.path(), false).unwrap();
    assert_eq!(checkpoint.name, "owner/name");
    let mut asked = std::mem::take(&mut *served.asked.lock().unwrap());
    asked.sort();
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

#[test]
fn an_interrupted_download_is_not_a_checkpoint() {
    let (cache, root) = (tempfile::tempdir().unwrap(), reference("checkpoints/sd1"));
    let line = Served::folder(&root, true)
        .open(cache.path(), false)
        .map(|c| c.name)
        .unwrap_err()
        .to_string();
    assert!(
        line.contains("downloading failed") && !line.contains('\n'),
        "{line}"
    );
    let left: Vec<_> = fs::read_dir(
        cache
            .path()
            .join("models--owner--name/snapshots")
            .join(COMMIT),
    )
    .unwrap()
    .flat_map(|part| fs::read_dir(part.unwrap().path()).unwrap())
    .collect();
    assert!(left.is_empty(), "half a file stays: {left:?}");
    // The next attempt succeeds.
    Served::folder(&root, false)
        .open(cache.path(), false)
        .unwrap();
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
        offline: false,
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
