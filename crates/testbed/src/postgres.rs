//! A Postgres server, and a database of its own for each test.

use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use url::Url;
use uuid::Uuid;

use crate::dir::dir_create;
use crate::port::port_free;
use crate::process::{Process, Signal, tied};

/// A Postgres server. Clones are the same server; it is killed with the last one, or with this process.
#[derive(Clone, Debug)]
pub struct Postgres(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Without a database.
    url: Url,
    ours: Option<Ours>,
}

#[derive(Debug)]
struct Ours {
    dir: PathBuf,
    port: u16,
    fsync: bool,
    bin: PathBuf,
    process: Mutex<Option<Process>>,
}

impl Postgres {
    /// The one of this test process, started when first asked for, or the one that `LIMEKILN_TEST_POSTGRES` names
    /// (`postgres://user@host:port`). Never stop it: other tests use it.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("LIMEKILN_TEST_POSTGRES") {
            Ok(url) if !url.is_empty() => Self(Arc::new(Inner {
                url: Url::parse(&url).expect("LIMEKILN_TEST_POSTGRES is no URL"),
                ours: None,
            })),
            _ => Self::start(),
        })
    }

    /// Starts one whose writes need not survive a power cut: quick, and all that a test can notice of it is that.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// Starts one as in production: synchronous commit and fsync are on.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    #[must_use]
    pub fn durable() -> Self {
        Self::start_with(true)
    }

    fn start_with(fsync: bool) -> Self {
        let bin = bin_find();
        let dir = dir_create("postgres");
        if let Some(account) = account() {
            chown_to(&dir, account);
        }
        let output = tied(bin.join("initdb"), Signal::Kill, account())
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
                "-D",
            ])
            .arg(dir.join("data"))
            .current_dir("/")
            .output()
            .unwrap_or_else(|error| {
                panic!("setpriv can't be started ({error}); run tests/install")
            });
        assert!(
            output.status.success(),
            "initdb failed; run tests/install\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut last = String::new();
        for _ in 0..5 {
            let port = port_free();
            let ours = Ours {
                dir: dir.clone(),
                port,
                fsync,
                bin: bin.clone(),
                process: Mutex::new(None),
            };
            match ours.run() {
                Ok(()) => {
                    let url = Url::parse(&format!("postgres://postgres@127.0.0.1:{port}")).unwrap();
                    return Self(Arc::new(Inner {
                        url,
                        ours: Some(ours),
                    }));
                }
                Err(error) => last = error,
            }
        }
        panic!("{last}");
    }

    /// Where a database is: `postgres://postgres@127.0.0.1:port/name`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let mut url = self.0.url.clone();
        url.set_path(database);
        url.into()
    }

    /// The port it listens on, for a proxy in front of it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.url.port().unwrap_or(5432)
    }

    /// A new, empty database: its URL.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn database(&self) -> String {
        self.database_like("template0").await
    }

    /// A new database, a copy of `template` (its name), which nobody may be connected to: its URL.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn database_like(&self, template: &str) -> String {
        let name = format!("test_{}", Uuid::now_v7().simple());
        self.execute(
            "postgres",
            &format!("create database {name} template {template}"),
        )
        .await;
        self.url(&name)
    }

    /// Runs statements in a database.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn execute(&self, database: &str, sql: &str) {
        let mut connection = PgConnection::connect(&self.url(database))
            .await
            .expect("connect to postgres");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection
            .close()
            .await
            .expect("close the connection to postgres");
    }

    /// Stops it as an operator would for a restart: connections are cut, everything is written.
    pub async fn stop(&self) {
        self.end(Signal::Int).await;
    }

    /// Kills every process of it at once; it recovers from its log when it runs again.
    pub async fn kill9(&self) {
        // Quit makes the postmaster kill its children without a checkpoint; killed itself, it would leave them to
        // finish what they do.
        self.end(Signal::Quit).await;
    }

    async fn end(&self, signal: Signal) {
        let this = self.clone();
        tokio::task::spawn_blocking(move || {
            if let Some(process) = this.ours().process.lock().unwrap().take() {
                process.signal(signal);
                process.wait(Duration::from_secs(20));
            }
        })
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
            this.ours().run().unwrap_or_else(|error| panic!("{error}"))
        })
        .await
        .unwrap();
    }

    /// Stops it and runs it again.
    pub async fn restart(&self) {
        self.stop().await;
        self.run().await;
    }

    fn ours(&self) -> &Ours {
        self.0
            .ours
            .as_ref()
            .expect("only a Postgres of one's own may be stopped: Postgres::start()")
    }
}

impl Ours {
    fn run(&self) -> Result<(), String> {
        let mut command = tied(self.bin.join("postgres"), Signal::Quit, account());
        command
            .arg("-D")
            .arg(self.dir.join("data"))
            .current_dir("/");
        let on = if self.fsync { "on" } else { "off" };
        for setting in [
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.dir.display()),
            format!("fsync={on}"),
            format!("full_page_writes={on}"),
            "listen_addresses=127.0.0.1".into(),
            "synchronous_commit=on".into(),
            "max_connections=300".into(),
            "shared_buffers=128MB".into(),
            "max_wal_size=1GB".into(),
            // Little to read again after a crash: others want the cores meanwhile.
            "checkpoint_timeout=30s".into(),
            "timezone=UTC".into(),
            "log_min_messages=warning".into(),
            // A process that is gone is noticed although nothing is written to it.
            "client_connection_check_interval=5s".into(),
        ] {
            command.args(["-c", &setting]);
        }
        let process = Process::run("postgres", command, &self.log());
        process.ready(Duration::from_secs(120), || self.is_ready())?;
        *self.process.lock().unwrap() = Some(process);
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.dir.with_extension("log")
    }

    /// The last line of the server's own file says `ready` once it accepts connections.
    fn is_ready(&self) -> bool {
        let status =
            std::fs::read_to_string(self.dir.join("data/postmaster.pid")).unwrap_or_default();
        status
            .lines()
            .nth(7)
            .is_some_and(|line| line.trim() == "ready")
            && TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if let Some(process) = self.process.lock().unwrap().take() {
            process.signal(Signal::Quit);
            let quick = process.ready(Duration::from_secs(5), || false).is_err()
                && process.ended().is_some();
            if !quick {
                process.kill9();
            }
        }
        // What is left, the sweeper takes.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Where `initdb` and `postgres` are: Debian keeps them out of the path. The newest version wins.
fn bin_find() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").exists().then_some((version, bin))
        })
        .collect();
    versions.sort();
    if let Some((_, bin)) = versions.pop() {
        return bin;
    }
    std::env::var_os("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .find(|dir| dir.join("initdb").exists())
        .unwrap_or_else(|| panic!("postgres is missing: run tests/install"))
}

/// Postgres refuses root: then it runs as Debian's `postgres`.
pub(crate) fn account() -> Option<&'static str> {
    static ROOT: OnceLock<bool> = OnceLock::new();
    ROOT.get_or_init(|| id(&["-u"]) == Some(0))
        .then_some("postgres")
}

pub(crate) fn chown_to(dir: &Path, account: &str) {
    let uid = id(&["-u", account])
        .unwrap_or_else(|| panic!("there is no user {account}: run tests/install"));
    chown(dir, Some(uid), None).unwrap();
}

fn id(args: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(args).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
