//! Files of the hub, downloaded beside their place and moved there whole. What an interrupted download left is gone on with.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Client, Response, StatusCode};
use sha2::{Digest, Sha256};
use tokio::runtime;

use super::listing::{self, Listing, Sums};
use super::problem::{Problem, chain};
use super::repo::Repo;
use super::{Downloaded, Hub, proxy_of};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(20);
/// What the name of a file ends with that is not whole yet.
const PART: &str = "incomplete";

/// A conversation with the hub about one repository.
pub(super) struct Session<'a> {
    hub: &'a Hub,
    repo: &'a Repo<'a>,
    endpoint: &'a str,
    http: Client,
}

impl<'a> Session<'a> {
    pub(super) fn new(hub: &'a Hub, repo: &'a Repo<'a>) -> Result<Self, Problem> {
        // The command chooses it for all of the process where it has chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Proxies and certificates are those of the environment and of the system. A redirect to another host loses the token.
        let http = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(hub.silence)
            .build()?;
        Ok(Self {
            hub,
            repo,
            endpoint: hub.endpoint.trim_end_matches('/'),
            http,
        })
    }

    /// Asks what the revision holds.
    pub(super) fn listing(&self) -> Result<Listing, Problem> {
        let Repo { name, .. } = self.repo;
        let revision = self.repo.asked();
        let url = format!(
            "{}/api/models/{name}/revision/{revision}?blobs=true",
            self.endpoint
        );
        let json = self.run(async {
            let mut answer = self.get(&url, 0).await?;
            let mut json = Vec::new();
            while let Some(chunk) = self.chunk(&mut answer, &url).await? {
                json.extend_from_slice(&chunk);
                if json.len() > listing::BYTES_MAX {
                    return Err(Problem(format!("{url} does not end")));
                }
            }
            Ok(json)
        })?;
        Listing::read(&json, &url)
    }

    /// Fetches what is not there yet of `names`, and returns their folder.
    pub(super) fn files(
        &self,
        listing: &Listing,
        names: &[String],
        home: &Path,
    ) -> Result<PathBuf, Problem> {
        let folder = home.join("snapshots").join(&listing.commit);
        let total = listing.total(names);
        self.run(async {
            let mut before = 0;
            for name in names {
                let target = folder.join(name);
                if !target.exists() {
                    let url = format!(
                        "{}/{}/resolve/{}/{name}",
                        self.endpoint, self.repo.name, listing.commit
                    );
                    tracing::info!(%url, "downloading");
                    let tell = |bytes: u64| {
                        (self.hub.progress.0)(Downloaded {
                            file: name,
                            bytes: before + bytes,
                            total,
                        });
                    };
                    self.file(&url, &target, &listing.sums(name), &tell).await?;
                }
                before += target.metadata()?.len();
            }
            Ok(())
        })?;
        forget_parts(home);
        Ok(folder)
    }

    /// Downloads a file, from where an earlier attempt stopped.
    async fn file(
        &self,
        url: &str,
        target: &Path,
        sums: &Sums,
        tell: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Problem> {
        let part = part_of(target);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        let unwritten =
            |e: io::Error| Problem(format!("{}: can't be written: {e}", part.display()));
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&part)
            .map_err(unwritten)?;
        // Another process may be at it; what it leaves is gone on with, or whole.
        file.lock().map_err(unwritten)?;
        if target.exists() {
            drop(fs::remove_file(&part));
            return Ok(());
        }
        let (mut sum, mut there) = so_far(&mut file).map_err(unwritten)?;
        if sums.size.is_some_and(|size| there > size) {
            (sum, there) = anew(&mut file).map_err(unwritten)?;
        }
        if sums.size != Some(there) || there == 0 {
            let mut answer = self.get(url, there).await?;
            if there > 0 && !goes_on(&answer, there) {
                (sum, there) = anew(&mut file).map_err(unwritten)?;
                if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
                    answer = self.get(url, 0).await?;
                }
            }
            let length = answer.content_length().map(|rest| there + rest);
            while let Some(chunk) = self.chunk(&mut answer, url).await? {
                file.write_all(&chunk).map_err(unwritten)?;
                sum.update(&chunk);
                there += chunk.len() as u64;
                tell(there);
            }
            if let Some(wanted) = sums.size.or(length).filter(|wanted| *wanted != there) {
                return Err(Problem(format!(
                    "{url} ended after {there} of {wanted} bytes; the next attempt goes on from there"
                )));
            }
        }
        if let Some(wanted) = &sums.sha256 {
            let found: String = sum.finalize().iter().map(|b| format!("{b:02x}")).collect();
            if found != *wanted {
                drop(fs::remove_file(&part));
                return Err(Problem(format!(
                    "{url} came damaged (SHA-256 {found}, not {wanted}): try again"
                )));
            }
        }
        file.sync_all().map_err(unwritten)?;
        Ok(fs::rename(&part, target)?)
    }

    /// The answer to a request for what is at `url` after the first `from` bytes.
    async fn get(&self, url: &str, from: u64) -> Result<Response, Problem> {
        let mut request = self.http.get(url);
        if let Some(token) = &self.hub.token {
            let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| Problem("HF_TOKEN has characters that no token has".to_owned()))?;
            bearer.set_sensitive(true);
            request = request.header(reqwest::header::AUTHORIZATION, bearer);
        }
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let answer = request.send().await.map_err(|e| self.unreached(url, &e))?;
        let status = answer.status();
        let reason = match status {
            status if status.is_success() => return Ok(answer),
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => return Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => match self.hub.token {
                None => {
                    "it is private, gated or not there: accept its terms on the hub, and give a token with HF_TOKEN or `hf auth login`"
                }
                Some(_) => {
                    "it is private, gated or not there, and the token of HF_TOKEN or `hf auth login` does not open it"
                }
            },
            StatusCode::NOT_FOUND => "there is no such repository, revision or file",
            _ => "the hub can't serve it now",
        };
        Err(Problem(format!(
            "{url}{} answered {status}: {reason}",
            through(url)
        )))
    }

    async fn chunk(
        &self,
        answer: &mut Response,
        url: &str,
    ) -> Result<Option<bytes::Bytes>, Problem> {
        answer.chunk().await.map_err(|e| self.unreached(url, &e))
    }

    fn unreached(&self, url: &str, error: &reqwest::Error) -> Problem {
        if error.is_timeout() && !error.is_connect() {
            let seconds = self.hub.silence.as_secs_f64();
            return Problem(format!(
                "{url} sent nothing for {seconds} s; the next attempt goes on from there"
            ));
        }
        Problem(format!("{url}{}: {}", through(url), chain(error)))
    }

    /// Runs it on a thread of its own: the caller's may be a runtime's, in which no other may be run.
    fn run<T: Send>(
        &self,
        work: impl Future<Output = Result<T, Problem>> + Send,
    ) -> Result<T, Problem> {
        thread::scope(|scope| {
            let done = scope.spawn(|| {
                let runtime = runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(work)
            });
            done.join()
                .unwrap_or_else(|_| Err(Problem("the download panicked".to_owned())))
        })
    }
}

fn through(url: &str) -> String {
    proxy_of(url).map_or(String::new(), |proxy| {
        format!(" (through the proxy {proxy})")
    })
}

fn part_of(target: &Path) -> PathBuf {
    let mut part = target.as_os_str().to_owned();
    part.push(".");
    part.push(PART);
    part.into()
}

/// The sum of what is in the file, and how much that is; to be written on.
fn so_far(file: &mut File) -> io::Result<(Sha256, u64)> {
    let (mut sum, mut there) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((sum, there)),
            n => {
                sum.update(&buffer[..n]);
                there += n as u64;
            }
        }
    }
}

fn anew(file: &mut File) -> io::Result<(Sha256, u64)> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    Ok((Sha256::new(), 0))
}

/// Whether the answer starts where the file ends.
fn goes_on(answer: &Response, there: u64) -> bool {
    let range = answer.headers().get(CONTENT_RANGE);
    answer.status() == StatusCode::PARTIAL_CONTENT
        && range
            .and_then(|range| range.to_str().ok())
            .is_some_and(|range| range.starts_with(&format!("bytes {there}-")))
}

/// Removes what interrupted downloads of other revisions left, and nobody downloads now.
fn forget_parts(folder: &Path) {
    for path in folder
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
    {
        if path.is_dir() && !path.is_symlink() {
            forget_parts(&path);
        } else if path.extension().is_some_and(|extension| extension == PART)
            && File::open(&path).is_ok_and(|file| file.try_lock().is_ok())
        {
            drop(fs::remove_file(&path));
        }
    }
}
