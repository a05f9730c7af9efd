//! The S3 server of `limekiln dev`: s3s and s3s-fs on the loopback interface.
//!
//! | module | what is in it |
//! |---|---|
//! | `store` | the S3 operations: s3s-fs, and what is done here instead |
//! | `objects`, `checked` | whole objects as files; bodies against their checksums |
//! | `list` | listings in the order of keys that read no more of the disk than they show |
//! | `uploads` | uploads in parts that have begun |

mod checked;
mod list;
mod objects;
mod store;
mod uploads;

use std::{
    fs::{File, TryLockError},
    io::Write,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use url::Url;

use crate::{Credentials, Error, Result, Settings};

/// How long requests in progress may take after [`Embedded::stop`].
const STOP_GRACE: Duration = Duration::from_secs(1);

/// The longest wait for a request's head on an open connection. Clients keep theirs for 90 s.
const IDLE: Duration = Duration::from_secs(120);

/// A running server; dropped, it stops.
#[derive(Debug)]
pub struct Embedded {
    endpoint: Url,
    credentials: Credentials,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Embedded {
    /// Serves `dir` (created) on `127.0.0.1:port`; port 0 takes a free one. Credentials are made once and kept in
    /// `dir`. One server at a time: `dir` is locked.
    pub async fn start(dir: &Path, port: u16) -> Result<Self> {
        let at = dir.to_owned();
        let (lock, credentials, store) = tokio::task::spawn_blocking(move || prepare(&at))
            .await
            .map_err(|error| Error::Other {
            operation: "start the embedded server",
            message: error.to_string(),
        })??;
        let unbound = |source| Error::Disk {
            operation: "listen on",
            path: format!("127.0.0.1:{port}"),
            source,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(unbound)?;
        let address = listener.local_addr().map_err(unbound)?;
        let endpoint = Url::parse(&format!("http://{address}"))
            .map_err(|error| Error::Settings(error.to_string()))?;

        let mut service = S3ServiceBuilder::new(store);
        service.set_auth(SimpleAuth::from_single(
            credentials.access_key.clone(),
            credentials.secret_key.clone(),
        ));
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, service.build(), stopping, lock));
        tracing::debug!(%endpoint, dir = %dir.display(), "embedded S3 server");
        Ok(Self {
            endpoint,
            credentials,
            stop,
            serving,
        })
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// Who may ask it.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Settings of a client of it.
    pub fn settings(&self, bucket: &str) -> Settings {
        let mut settings = Settings::new(Some(self.endpoint.clone()), bucket);
        settings.region = Some("us-east-1".to_owned());
        settings.credentials = Some(self.credentials.clone());
        settings
    }

    /// Stops taking connections, lets requests in progress finish for a second, and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.serving).await {
            tracing::warn!(%error, "the embedded S3 server ended badly");
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Its connections are in a set that ends with it.
        self.serving.abort();
    }
}

async fn serve(
    listener: TcpListener,
    service: s3s::service::S3Service,
    mut stopping: watch::Receiver<bool>,
    lock: File,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, as a rule: others have to close theirs first.
                tracing::warn!(%error, "the embedded S3 server can't accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "nodelay");
        }
        let service = service.clone();
        let mut stopping = stopping.clone();
        connections.spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                // Changed once, or the server was dropped.
                _ = stopping.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::trace!(%error, "a connection of the embedded S3 server ended");
            }
        });
    }
    drop(listener);
    let finished = tokio::time::timeout(STOP_GRACE, async {
        while connections.join_next().await.is_some() {}
    });
    if finished.await.is_err() {
        tracing::debug!(
            open = connections.len(),
            "connections of the embedded S3 server cut"
        );
    }
    connections.shutdown().await;
    // Held until nothing writes any more. Not by closing it alone: a child that another thread is just starting has a copy.
    if let Err(error) = lock.unlock() {
        tracing::warn!(%error, "the embedded S3 server's directory stays locked");
    }
}

/// The directory with its lock, credentials and store.
fn prepare(dir: &Path) -> Result<(File, Credentials, store::Store)> {
    let data = dir.join("data");
    std::fs::create_dir_all(&data).map_err(disk("create", &data))?;
    let lock = locked(&dir.join("lock"))?;
    let credentials = credentials(&dir.join("credentials"))?;
    let store = store::Store::open(&data).map_err(|error| Error::Other {
        operation: "open the embedded server's directory",
        message: format!("{error:?}"),
    })?;
    Ok((lock, credentials, store))
}

/// Two servers on one directory would write over each other's temporary files.
fn locked(path: &Path) -> Result<File> {
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(disk("open", path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::Settings(format!(
            "another process serves `{}`; stop it, or take another directory",
            path.parent().unwrap_or(path).display()
        ))),
        Err(TryLockError::Error(source)) => Err(disk("lock", path)(source)),
    }
}

/// Those of the file, which only we may read; made when it is not there.
fn credentials(path: &PathBuf) -> Result<Credentials> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let mut lines = text.lines();
            match (lines.next(), lines.next()) {
                (Some(access_key), Some(secret_key))
                    if !access_key.is_empty() && secret_key.len() >= 32 =>
                {
                    Ok(Credentials {
                        access_key: access_key.to_owned(),
                        secret_key: secret_key.to_owned(),
                    })
                }
                _ => Err(Error::Settings(format!(
                    "`{}` is damaged; delete it, and new credentials are made",
                    path.display()
                ))),
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut random = [0; 32];
            getrandom::fill(&mut random).map_err(|error| Error::Other {
                operation: "make credentials",
                message: error.to_string(),
            })?;
            let hex = blake3::Hash::from_bytes(random).to_hex().to_string();
            let made = Credentials {
                access_key: "limekiln".to_owned(),
                secret_key: hex,
            };
            let fresh = path.with_extension("new");
            let mut options = File::options();
            options.create(true).truncate(true).write(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&fresh).map_err(disk("create", &fresh))?;
            file.write_all(format!("{}\n{}\n", made.access_key, made.secret_key).as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(disk("write", &fresh))?;
            std::fs::rename(&fresh, path).map_err(disk("write", path))?;
            Ok(made)
        }
        Err(source) => Err(disk("read", path)(source)),
    }
}

fn disk<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Error + 'a {
    move |source| Error::Disk {
        operation,
        path: path.display().to_string(),
        source,
    }
}
