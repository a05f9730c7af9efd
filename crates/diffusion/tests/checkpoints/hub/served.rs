//! A hub of our own: a folder that is served as a repository, with the faults of real ones.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use limekiln_diffusion::Error;
use limekiln_diffusion::checkpoint::{Checkpoint, Hub, OpenOptions};
use serde_json::json;
use sha2::{Digest, Sha256};

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How a hub of our own behaves.
#[derive(Clone, Default)]
pub(super) struct Manner {
    /// It stops halfway through every file: closes the connection, or says nothing more.
    pub(super) cut: Option<Cut>,
    /// It asks for this token.
    pub(super) token: Option<&'static str>,
    /// Files are at this address, on another port.
    pub(super) elsewhere: Option<String>,
    /// It lists sizes and sums; the second is that one byte of each file is another.
    pub(super) sums: Option<Sums>,
    /// It ignores `Range`.
    pub(super) whole: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Cut {
    Closes,
    Stalls,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Sums {
    Right,
    Wrong,
}

/// Serves a folder as `owner/name`; what else it lists is never to be asked for.
pub(super) struct Served {
    pub(super) endpoint: String,
    /// Names of the files that were asked for, from which byte on.
    pub(super) asked: Arc<Mutex<Vec<(String, usize)>>>,
    /// `Authorization` of every request.
    pub(super) keys: Arc<Mutex<Vec<Option<String>>>>,
}

impl Served {
    pub(super) fn folder(root: &Path, manner: Manner) -> Self {
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
        let served = Self {
            endpoint,
            asked: Arc::default(),
            keys: Arc::default(),
        };
        let (asked, keys) = (served.asked.clone(), served.keys.clone());
        let files = Arc::new(files);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (files, asked, keys) = (files.clone(), asked.clone(), keys.clone());
                let manner = manner.clone();
                std::thread::spawn(move || {
                    drop(answer(stream.unwrap(), &files, &manner, &asked, &keys));
                });
            }
        });
        served
    }

    pub(super) fn hub(&self, cache: &Path) -> Hub {
        Hub {
            cache: cache.into(),
            endpoint: self.endpoint.clone(),
            silence: Duration::from_millis(300),
            ..Hub::default()
        }
    }

    pub(super) fn open(&self, cache: &Path, offline: bool) -> Result<Checkpoint, Error> {
        open(
            Hub {
                offline,
                ..self.hub(cache)
            },
            "hf:owner/name",
        )
    }

    pub(super) fn names(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let mut names: Vec<_> = asked.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }
}

pub(super) fn open(hub: Hub, source: &str) -> Result<Checkpoint, Error> {
    let options = OpenOptions {
        hub: Some(hub),
        ..OpenOptions::default()
    };
    Checkpoint::open(&Checkpoint::parse_source(source), &options)
}

/// One request per connection.
fn answer(
    mut stream: TcpStream,
    files: &HashMap<String, Vec<u8>>,
    manner: &Manner,
    asked: &Mutex<Vec<(String, usize)>>,
    keys: &Mutex<Vec<Option<String>>>,
) -> std::io::Result<()> {
    let lines = BufReader::new(stream.try_clone()?).lines();
    let head: Vec<_> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else {
        return Ok(());
    };
    let header = |name: &str| {
        head.iter()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    let key = header("authorization");
    keys.lock().unwrap().push(key.clone());
    let mut say = |head: &str, body: &[u8]| -> std::io::Result<()> {
        write!(stream, "HTTP/1.1 {head}\r\nconnection: close\r\n\r\n")?;
        stream.write_all(body)
    };
    if manner
        .token
        .is_some_and(|token| key != Some(format!("Bearer {token}")))
    {
        return say("401 Unauthorized\r\ncontent-length: 0", b"");
    }
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    if let Some(revision) = path.strip_prefix("/api/models/owner/name/revision/") {
        if !["main", "refs%2Fpr%2F3", "v1.0", COMMIT].contains(&revision) {
            return say("404 Not Found\r\ncontent-length: 0", b"");
        }
        let sibling = |(name, bytes): (&String, &Vec<u8>)| match manner.sums {
            None => json!({"rfilename": name}),
            Some(sums) => {
                let mut bytes = bytes.clone();
                if sums == Sums::Wrong {
                    bytes[0] ^= 1;
                }
                let sum: String = Sha256::digest(&bytes)
                    .iter()
                    .map(|b| format!("{b:02x}"))
                    .collect();
                json!({"rfilename": name, "size": bytes.len(), "lfs": {"sha256": sum, "size": bytes.len()}})
            }
        };
        let siblings: Vec<_> = files.iter().map(sibling).collect();
        let body = json!({"sha": COMMIT, "siblings": siblings}).to_string();
        return say(
            &format!("200 OK\r\ncontent-length: {}", body.len()),
            body.as_bytes(),
        );
    }
    if let Some(elsewhere) = &manner.elsewhere {
        return say(
            &format!("302 Found\r\nlocation: {elsewhere}{path}\r\ncontent-length: 0"),
            b"",
        );
    }
    let name = path
        .strip_prefix(&format!("/owner/name/resolve/{COMMIT}/"))
        .unwrap_or("");
    let from: usize = header("range")
        .filter(|_| !manner.whole)
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    asked.lock().unwrap().push((name.to_owned(), from));
    let Some(file) = files.get(name) else {
        return say("404 Not Found\r\ncontent-length: 0", b"");
    };
    let body = &file[from.min(file.len())..];
    let status = match from {
        0 => "200 OK".to_owned(),
        from => format!(
            "206 Partial Content\r\ncontent-range: bytes {from}-{}/{}",
            file.len() - 1,
            file.len()
        ),
    };
    let sent = match manner.cut {
        Some(_) => &body[..body.len() / 2],
        None => body,
    };
    say(&format!("{status}\r\ncontent-length: {}", body.len()), sent)?;
    if manner.cut == Some(Cut::Stalls) {
        // The client hangs up.
        drop(stream.read(&mut [0]));
    }
    Ok(())
}
