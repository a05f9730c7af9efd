//! The hub's local cache, and downloads into it when there is a network.
//!
//! The cache has the layout of huggingface_hub: `models--owner--name/refs/main` names a commit, `snapshots/<commit>/` holds
//! its files. Files that are downloaded here lie in the snapshot themselves, which huggingface_hub accepts.
//!
//! | module | holds |
//! |---|---|
//! | `repo` | `owner/name@revision`, and what the cache has of it |
//! | `token` | who we are for the hub |
//! | `listing` | what the hub says a revision holds |
//! | `download` | files, whole or resumed |
//! | `proxy` | through whom requests go |
//! | `problem` | why something did not come |

mod download;
mod listing;
mod problem;
mod proxy;
mod repo;
mod token;

use std::collections::BTreeSet;
use std::env;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::folder::Folder;
use crate::Error;
use download::Session;
use repo::Repo;

pub use proxy::proxy_of;
pub use token::Token;

/// How long the hub may send nothing before it counts as gone.
const SILENCE: Duration = Duration::from_secs(30);

/// Where checkpoints of the hub are kept and fetched from.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Path of the cache folder.
    pub cache: PathBuf,
    /// Address of the hub or of a mirror.
    pub endpoint: String,
    /// Whether the network is never used.
    pub offline: bool,
    /// Sent to the endpoint, and to no other host.
    pub token: Option<Token>,
    /// How long the hub may send nothing.
    pub silence: Duration,
    /// Is told how far a download is.
    pub progress: Progress,
}

impl Default for Hub {
    /// The public hub without a token, and the cache where the process runs.
    fn default() -> Self {
        Self {
            cache: PathBuf::from("hub"),
            endpoint: "https://huggingface.co".into(),
            offline: false,
            token: None,
            silence: SILENCE,
            progress: Progress::default(),
        }
    }
}

/// How far the download of a repository is.
#[derive(Clone, Copy, Debug)]
pub struct Downloaded<'a> {
    /// Name of the file that comes in, below the repository's root.
    pub file: &'a str,
    /// Bytes of all files that are there, those of an earlier attempt included.
    pub bytes: u64,
    /// Bytes of all files that are needed. None where the hub does not say it.
    pub total: Option<u64>,
}

/// Who is told how far a download is; by default nobody.
#[derive(Clone)]
pub struct Progress(pub Arc<dyn Fn(Downloaded<'_>) + Send + Sync>);

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(|_| {}))
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// A variable that is set to something.
fn set(name: &str) -> Option<std::ffi::OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether a variable says yes, in one of huggingface_hub's words.
fn is_on(name: &str) -> bool {
    env::var(name).is_ok_and(|v| ["1", "on", "true", "yes"].contains(&v.to_lowercase().as_str()))
}

/// The folder of everything of the hub: `HF_HOME`, else `huggingface` in the cache folder.
fn home() -> PathBuf {
    let cache = || {
        set("XDG_CACHE_HOME").map_or_else(
            || PathBuf::from(set("HOME").unwrap_or_default()).join(".cache"),
            PathBuf::from,
        )
    };
    set("HF_HOME").map_or_else(|| cache().join("huggingface"), PathBuf::from)
}

impl Hub {
    /// As huggingface_hub does: `HF_HUB_CACHE`, `HF_HOME/hub` or `~/.cache/huggingface/hub`; `HF_ENDPOINT`; `HF_HUB_OFFLINE`;
    /// `HF_HUB_DOWNLOAD_TIMEOUT`; the token as [`Token::from_env`] finds it.
    pub fn from_env() -> Self {
        let cache = set("HF_HUB_CACHE").or_else(|| set("HUGGINGFACE_HUB_CACHE"));
        let endpoint = set("HF_ENDPOINT").and_then(|url| url.into_string().ok());
        let silence = set("HF_HUB_DOWNLOAD_TIMEOUT")
            .and_then(|seconds| seconds.into_string().ok()?.parse().ok())
            .filter(|seconds| *seconds > 0);
        let default = Self::default();
        Self {
            cache: cache.map_or_else(|| home().join("hub"), PathBuf::from),
            endpoint: endpoint.unwrap_or(default.endpoint),
            offline: is_on("HF_HUB_OFFLINE"),
            token: Token::from_env(&home()),
            silence: silence.map_or(SILENCE, Duration::from_secs),
            progress: default.progress,
        }
    }

    /// The folder of a repository's revision (`owner/name`, or `owner/name@revision`), holding at least the files that `needed`
    /// picks out of its listing.
    ///
    /// # Errors
    /// When the cache lacks them and they cannot be downloaded: what to download, and where to put it.
    pub(super) fn snapshot(
        &self,
        repo: &str,
        needed: impl Fn(&BTreeSet<String>) -> Result<Vec<String>, Error>,
    ) -> Result<PathBuf, Error> {
        let repo = Repo::parse(repo)?;
        let home = repo.home(&self.cache);
        let mut lacks = None;
        for folder in repo.cached(&home) {
            match Folder::disk(&folder).and_then(|listed| needed(listed.names())) {
                Ok(_) => return Ok(folder),
                Err(e) => lacks = lacks.or(Some((folder, e))),
            }
        }
        let lacks = match lacks {
            Some((folder, e)) => {
                format!("incomplete in the hub's cache {} ({e})", folder.display())
            }
            None => format!("not in the hub's cache {}", self.cache.display()),
        };
        let failed = |why: String| Error::Hub {
            repo: repo.to_string(),
            reason: format!(
                "{lacks}, and {why}; where there is a network run `hf download {name}{revision}` and copy {home} here, or download \
                 the files of {endpoint}/{name} into one folder and name that folder instead",
                name = repo.name,
                revision = repo
                    .revision
                    .map_or(String::new(), |revision| format!(" --revision {revision}")),
                home = home.display(),
                endpoint = self.endpoint
            ),
        };
        if self.offline {
            return Err(failed("HF_HUB_OFFLINE forbids downloading".into()));
        }
        let downloaded = || {
            let session = Session::new(self, &repo)?;
            let listing = session.listing()?;
            let names = needed(&listing.names())?;
            let folder = session.files(&listing, &names, &home)?;
            // Last, so that an interrupted download is never taken for a whole one.
            repo.remember(&home, &listing.commit)?;
            Ok(folder)
        };
        downloaded().map_err(|e: problem::Problem| failed(format!("downloading failed: {e}")))
    }
}
