//! The hub's local cache, and downloads into it when there is a network.
//!
//! The cache has the layout of huggingface_hub: `models--owner--name/refs/main` names a commit, `snapshots/<commit>/` holds
//! its files. Files that are downloaded here lie in the snapshot themselves, which huggingface_hub accepts.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use super::folder::Folder;
use crate::Error;

/// How long a connection may take to open, and a server to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Most bytes of a repository's listing.
const LISTING_BYTES: u64 = 16 << 20;

/// Where checkpoints of the hub are kept and fetched from.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Path of the cache folder.
    pub cache: PathBuf,
    /// Address of the hub or of a mirror.
    pub endpoint: String,
    /// Whether the network is never used.
    pub offline: bool,
}

impl Hub {
    /// As huggingface_hub does: `HF_HUB_CACHE`, `HF_HOME/hub` or `~/.cache/huggingface/hub`; `HF_ENDPOINT`; `HF_HUB_OFFLINE`.
    pub fn from_env() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let home = || {
            let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
            cache
                .unwrap_or_else(|| PathBuf::from(set("HOME").unwrap_or_default()).join(".cache"))
                .join("huggingface")
        };
        let cache = set("HF_HUB_CACHE")
            .or_else(|| set("HUGGINGFACE_HUB_CACHE"))
            .map(PathBuf::from)
            .unwrap_or_else(|| set("HF_HOME").map_or_else(home, PathBuf::from).join("hub"));
        let endpoint = env::var("HF_ENDPOINT").ok().filter(|url| !url.is_empty());
        let offline = env::var("HF_HUB_OFFLINE")
            .is_ok_and(|v| ["1", "on", "true", "yes"].contains(&v.to_lowercase().as_str()));
        Self {
            cache,
            endpoint: endpoint.unwrap_or_else(|| "https://huggingface.co".into()),
            offline,
        }
    }

    /// The folder of a repository's main revision, holding at least the files that `needed` picks out of its listing.
    ///
    /// # Errors
    /// When the cache lacks them and they cannot be downloaded: what to download, and where to put it.
    pub(super) fn snapshot(
        &self,
        repo: &str,
        needed: impl Fn(&BTreeSet<String>) -> Result<Vec<String>, Error>,
    ) -> Result<PathBuf, Error> {
        check_name(repo)?;
        let home = self
            .cache
            .join(format!("models--{}", repo.replace('/', "--")));
        let cached = cached_snapshot(&home);
        let lacks = match &cached {
            Some(folder) => match Folder::disk(folder).and_then(|listed| needed(listed.names())) {
                Ok(_) => return Ok(folder.clone()),
                Err(e) => format!("incomplete in the hub's cache {} ({e})", folder.display()),
            },
            None => format!("not in the hub's cache {}", self.cache.display()),
        };
        let failed = |why: String| Error::Hub {
            repo: repo.into(),
            reason: format!(
                "{lacks}, and {why}; where there is a network run `hf download {repo}` and copy {} here, or download the files of \
                 {}/{repo} into one folder and name that folder instead",
                home.display(),
                self.endpoint
            ),
        };
        if self.offline {
            return Err(failed("HF_HUB_OFFLINE forbids downloading".into()));
        }
        self.download(repo, &home, needed)
            .map_err(|e| failed(format!("downloading failed: {e}")))
    }

    fn download(
        &self,
        repo: &str,
        home: &Path,
        needed: impl Fn(&BTreeSet<String>) -> Result<Vec<String>, Error>,
    ) -> Result<PathBuf, Problem> {
        let config = Agent::config_builder()
            .timeout_connect(Some(ANSWER_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .build();
        let agent = Agent::new_with_config(config);
        let url = format!(
            "{}/api/models/{repo}/revision/main",
            self.endpoint.trim_end_matches('/')
        );
        let mut listing = String::new();
        agent
            .get(&url)
            .call()?
            .body_mut()
            .as_reader()
            .take(LISTING_BYTES)
            .read_to_string(&mut listing)?;
        let listing: Value = serde_json::from_str(&listing).map_err(io::Error::from)?;
        let commit = listing["sha"]
            .as_str()
            .filter(|sha| !sha.is_empty() && sha.bytes().all(|b| b.is_ascii_hexdigit()));
        let commit = commit.ok_or_else(|| Problem(format!("{url} names no commit")))?;
        let files = listing["siblings"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|file| file["rfilename"].as_str());
        let names = needed(&files.map(str::to_owned).collect())?;
        let folder = home.join("snapshots").join(commit);
        for name in names {
            let target = folder.join(&name);
            if !target.exists() {
                let url = format!(
                    "{}/{repo}/resolve/{commit}/{name}",
                    self.endpoint.trim_end_matches('/')
                );
                tracing::info!(%url, "downloading");
                fetch(&agent, &url, &target)?;
            }
        }
        // Last, so that an interrupted download is never taken for a whole one.
        fs::create_dir_all(home.join("refs"))?;
        fs::write(home.join("refs/main"), commit)?;
        Ok(folder)
    }
}

/// Downloads beside the target and renames.
fn fetch(agent: &Agent, url: &str, target: &Path) -> Result<(), Problem> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut response = agent
        .get(url)
        .call()
        .map_err(|e| Problem(format!("{url}: {e}")))?;
    let wanted = response.body().content_length();
    let mut part = target.as_os_str().to_owned();
    part.push(format!(".{}.incomplete", std::process::id()));
    let mut file = fs::File::create(&part)?;
    let copied = io::copy(&mut response.body_mut().as_reader(), &mut file)
        .and_then(|n| file.flush().map(|()| n));
    match copied {
        Ok(n) if wanted.is_none_or(|wanted| wanted == n) => Ok(fs::rename(&part, target)?),
        outcome => {
            drop(fs::remove_file(&part));
            Err(Problem(match outcome {
                Ok(n) => format!("{url} ended after {n} bytes"),
                Err(e) => format!("{url}: {e}"),
            }))
        }
    }
}

/// `owner/name` in the hub's alphabet, so that it can be part of a path.
fn check_name(repo: &str) -> Result<(), Error> {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match repo.split('/').collect::<Vec<_>>()[..] {
        [owner, name] if part(owner) && part(name) => Ok(()),
        _ => Err(Error::Hub {
            repo: repo.into(),
            reason: "a repository is named owner/name".into(),
        }),
    }
}

fn cached_snapshot(home: &Path) -> Option<PathBuf> {
    let commit = fs::read_to_string(home.join("refs/main")).ok()?;
    let folder = home.join("snapshots").join(commit.trim());
    folder.is_dir().then_some(folder)
}

/// Why a download failed.
struct Problem(String);

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Problem {
    fn from(e: E) -> Self {
        Self(e.to_string())
    }
}
