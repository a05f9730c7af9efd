//! An S3 server: ours on a thread of its own, or an independent one as a process.
//!
//! | module | what is in it |
//! |---|---|
//! | `server` | connections |
//! | `store` | the S3 operations, by s3s on a folder of blobs |
//! | `checked` | bodies against their checksums |

mod checked;
mod server;
mod store;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use limekiln_blobs::{Blobs, Credentials, Fsync, Settings};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use url::Url;
use uuid::Uuid;

use crate::dir::dir_create;
use crate::port::port_free;
use crate::process::{Process, Signal, tied};
use crate::until::until_some;

/// The script that serves Swift's S3 API.
const SWIFT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/s3/serve.py");

/// An S3 server. Clones are the same server; it ends with the last one, or with this process.
#[derive(Clone, Debug)]
pub struct S3(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    endpoint: Url,
    credentials: Credentials,
    ours: Option<Ours>,
}

#[derive(Debug)]
struct Ours {
    kind: Kind,
    running: Mutex<Option<Running>>,
}

#[derive(Clone, Debug)]
enum Kind {
    /// s3s on a folder.
    Folder { dir: PathBuf, port: u16 },
    /// OpenStack Swift, by `tests/s3/serve.py`.
    Swift { dir: PathBuf, port: u16 },
}

/// Dropped, it ends.
#[derive(Debug)]
enum Running {
    Thread(Option<(oneshot::Sender<()>, JoinHandle<()>)>),
    #[expect(dead_code, reason = "held to be dropped")]
    Process(Process),
}

impl S3 {
    /// The one of this test process, started when first asked for, or the one that `LIMEKILN_TEST_S3` names (what
    /// [`S3::address`] gives). Never stop it: other tests use it.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<S3> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("LIMEKILN_TEST_S3") {
            Ok(address) if !address.is_empty() => Self::running(&address),
            _ => Self::start(),
        })
    }

    fn running(address: &str) -> Self {
        let mut endpoint = Url::parse(address).expect("LIMEKILN_TEST_S3 is no URL");
        let credentials = Credentials {
            access_key: endpoint.username().to_owned(),
            secret_key: endpoint.password().unwrap_or_default().to_owned(),
        };
        endpoint.set_username("").unwrap();
        endpoint.set_password(None).unwrap();
        Self(Arc::new(Inner {
            endpoint,
            credentials,
            ours: None,
        }))
    }

    /// Starts our server, on a thread of its own. What it keeps survives a stop.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    #[must_use]
    pub fn start() -> Self {
        let kind = Kind::Folder {
            dir: dir_create("s3"),
            port: port_free(),
        };
        let running = kind.run();
        Self::of(kind, running)
    }

    /// Starts the independent server: OpenStack Swift (Python), as a process. What it keeps survives a stop.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    #[must_use]
    pub fn independent() -> Self {
        let kind = Kind::Swift {
            dir: dir_create("swift"),
            port: port_free(),
        };
        let running = kind.run();
        Self::of(kind, running)
    }

    fn of(kind: Kind, running: Running) -> Self {
        let (Kind::Folder { port, .. } | Kind::Swift { port, .. }) = &kind;
        Self(Arc::new(Inner {
            endpoint: Url::parse(&format!("http://127.0.0.1:{port}")).unwrap(),
            credentials: Credentials {
                access_key: server::ACCESS_KEY.to_owned(),
                secret_key: server::SECRET_KEY.to_owned(),
            },
            ours: Some(Ours {
                kind,
                running: Mutex::new(Some(running)),
            }),
        }))
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> &Url {
        &self.0.endpoint
    }

    /// Who may ask it.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    /// The port it listens on, for a proxy in front of it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.endpoint.port().unwrap_or(80)
    }

    /// The name of a bucket that nobody else uses; `Blobs::bucket_ensure` makes it.
    #[must_use]
    pub fn bucket(&self) -> String {
        format!("test-{}", Uuid::now_v7().simple())
    }

    /// Settings of a client of it.
    #[must_use]
    pub fn settings(&self, bucket: &str) -> Settings {
        let mut settings = Settings::new(Some(self.0.endpoint.clone()), bucket);
        settings.region = Some("us-east-1".to_owned());
        settings.credentials = Some(self.0.credentials.clone());
        settings
    }

    /// What `LIMEKILN_TEST_S3` is to be, so that another process can use this server: the endpoint with the credentials.
    #[must_use]
    pub fn address(&self) -> String {
        let mut url = self.0.endpoint.clone();
        url.set_username(&self.0.credentials.access_key).unwrap();
        url.set_password(Some(&self.0.credentials.secret_key))
            .unwrap();
        url.into()
    }

    /// Stops it.
    pub async fn stop(&self) {
        let this = self.clone();
        tokio::task::spawn_blocking(move || drop(this.ours().running.lock().unwrap().take()))
            .await
            .unwrap();
    }

    /// Runs it again after a stop, on the same port, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub async fn run(&self) {
        let this = self.clone();
        tokio::task::spawn_blocking(move || {
            let ours = this.ours();
            let running = ours.kind.run();
            *ours.running.lock().unwrap() = Some(running);
        })
        .await
        .unwrap();
    }

    fn ours(&self) -> &Ours {
        self.0
            .ours
            .as_ref()
            .expect("only an S3 server of one's own may be stopped: S3::start()")
    }
}

impl Kind {
    fn run(&self) -> Running {
        match self {
            Self::Folder { dir, port } => Running::Thread(Some(folder_run(dir.clone(), *port))),
            Self::Swift { dir, port } => {
                let mut command = tied(swift_python(), Signal::Kill, None);
                command.arg(SWIFT).arg("--dir").arg(dir);
                command.args(["--port", &port.to_string()]);
                let process = Process::run("the Swift server", command, &dir.join("log"));
                process
                    .ready(Duration::from_secs(60), || {
                        std::net::TcpStream::connect(("127.0.0.1", *port)).is_ok()
                    })
                    .unwrap_or_else(|error| panic!("{error}"));
                Running::Process(process)
            }
        }
    }
}

fn folder_run(dir: PathBuf, port: u16) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (ready, is_ready) = mpsc::channel();
    let (stop, stopping) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name(format!("s3-{port}"))
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                // Whole after a kill is enough here: nothing of a test survives a loss of power.
                let blobs = Blobs::folder(&dir, "unused", Fsync::Never).await;
                let blobs = blobs.expect("the folder of the S3 server");
                // After a stop, a child that was just being started then may hold the old listener until it becomes
                // another program.
                let listener = until_some("its port", Duration::from_secs(10), async || {
                    TcpListener::bind(("127.0.0.1", port)).await.ok()
                })
                .await;
                ready.send(()).expect("who started the S3 server");
                server::serve(listener, blobs, stopping).await;
            });
        })
        .unwrap();
    is_ready.recv().expect("the S3 server did not start");
    (stop, thread)
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Thread(running) = self
            && let Some((stop, thread)) = running.take()
        {
            // Gone already, it has ended.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

/// Where `tests/install` puts the Python that has Swift: `LIMEKILN_TEST_TOOLS`, or the home's cache.
fn swift_python() -> PathBuf {
    let tools = std::env::var_os("LIMEKILN_TEST_TOOLS").map_or_else(
        || {
            PathBuf::from(std::env::var_os("HOME").unwrap_or_default())
                .join(".cache/limekiln-tests")
        },
        PathBuf::from,
    );
    let python = tools.join("s3/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run tests/install",
        python.display()
    );
    python
}
