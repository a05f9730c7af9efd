//! Starts a RabbitMQ node, on which each test gets a virtual host of its own.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use url::Url;
use uuid::Uuid;

use crate::dir::dir_create;
use crate::port::port_free;
use crate::process::{Process, Signal, tied};

/// A RabbitMQ node. Clones are handles of the same node, which is killed with the last of them or with this process.
#[derive(Clone, Debug)]
pub struct RabbitMq(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The node's URL, without a virtual host.
    url: Url,
    control: Option<Control>,
    ours: Option<Ours>,
}

/// What evaluating Erlang on the node takes.
#[derive(Clone, Debug)]
struct Control {
    node: String,
    cookie: String,
    epmd_port: u16,
}

#[derive(Debug)]
struct Ours {
    dir: PathBuf,
    port: u16,
    dist_port: u16,
    control: Control,
    process: Mutex<Option<Process>>,
    /// Erlang's name server. Each node has one of its own, because a shared one would outlive the node that started it.
    _names: Process,
}

impl RabbitMq {
    /// The node that the tests of this process share, started at the first call. `LIMEKILN_TEST_RABBITMQ` can name one
    /// that runs already, by its [`RabbitMq::address`]. It must not be stopped, since other tests use it.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RabbitMq> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("LIMEKILN_TEST_RABBITMQ") {
            Ok(address) if !address.is_empty() => Self::running(&address),
            _ => Self::start(),
        })
    }

    fn running(address: &str) -> Self {
        let mut url = Url::parse(address).expect("LIMEKILN_TEST_RABBITMQ is no URL");
        let value = |name: &str| {
            url.query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        let control =
            value("node")
                .zip(value("cookie"))
                .zip(value("epmd"))
                .map(|((node, cookie), epmd)| Control {
                    node,
                    cookie,
                    epmd_port: epmd
                        .parse()
                        .expect("epmd in LIMEKILN_TEST_RABBITMQ is no port"),
                });
        url.set_query(None);
        Self(Arc::new(Inner {
            url,
            control,
            ours: None,
        }))
    }

    /// Starts a node for the caller alone.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    #[must_use]
    pub fn start() -> Self {
        let mut last = String::new();
        for _ in 0..5 {
            let ours = Ours::new();
            match ours.run() {
                Ok(()) => {
                    return Self(Arc::new(Inner {
                        url: Url::parse(&format!("amqp://guest:guest@127.0.0.1:{}", ours.port))
                            .unwrap(),
                        control: Some(ours.control.clone()),
                        ours: Some(ours),
                    }));
                }
                Err(error) => last = error,
            }
        }
        panic!("{last}");
    }

    /// The URL of the default virtual host: `amqp://guest:guest@127.0.0.1:port/%2f`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("/")
    }

    /// The URL of a virtual host.
    #[must_use]
    pub fn url_of(&self, vhost: &str) -> String {
        let mut url = self.0.url.clone();
        url.set_path(&format!("/{}", vhost.replace('/', "%2f")));
        url.into()
    }

    /// The value of `LIMEKILN_TEST_RABBITMQ` with which another process uses this node.
    #[must_use]
    pub fn address(&self) -> String {
        let mut url = self.0.url.clone();
        if let Some(control) = &self.0.control {
            url.query_pairs_mut()
                .append_pair("node", &control.node)
                .append_pair("cookie", &control.cookie)
                .append_pair("epmd", &control.epmd_port.to_string());
        }
        url.into()
    }

    /// The port on which the node listens, for a proxy in front of it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.url.port().unwrap_or(5672)
    }

    /// The folder of the node's logs.
    ///
    /// # Panics
    ///
    /// When the node was not started by this process.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.ours().dir.join("log")
    }

    /// Adds an empty virtual host and returns its URL. Virtual hosts share no queues and no exchanges.
    ///
    /// # Panics
    ///
    /// When the node refuses.
    pub async fn vhost(&self) -> String {
        let name = format!("test-{}", Uuid::now_v7().simple());
        self.eval(&format!(
            r#"rabbit_vhost:add(<<"{name}">>, <<"tests">>),
               rabbit_auth_backend_internal:set_permissions(
                   <<"guest">>, <<"{name}">>, <<".*">>, <<".*">>, <<".*">>, <<"tests">>)."#
        ))
        .await;
        self.url_of(&name)
    }

    /// Deletes the messages that are ready in every queue.
    ///
    /// # Panics
    ///
    /// When the node refuses.
    pub async fn purge(&self) {
        self.eval("[rabbit_amqqueue:purge(Q) || Q <- rabbit_amqqueue:list()].")
            .await;
    }

    /// Closes every client's connection from the server's side, as an operator or a full disk would.
    ///
    /// # Panics
    ///
    /// When the node refuses.
    pub async fn connections_close(&self) {
        self.eval(
            r#"rabbit_networking:close_connections(rabbit_networking:connections(), "testbed")."#,
        )
        .await;
    }

    /// Evaluates Erlang statements, which end with a full stop, on the node. Returns the value of the last one as text.
    ///
    /// # Panics
    ///
    /// When the node can't be reached or the evaluation fails.
    pub async fn eval(&self, erlang: &str) -> String {
        let control = self
            .0
            .control
            .clone()
            .expect("LIMEKILN_TEST_RABBITMQ names no node, cookie and epmd port");
        let erlang = erlang.to_owned();
        tokio::task::spawn_blocking(move || control.eval(&erlang))
            .await
            .unwrap()
    }

    /// Stops the node in order, as an operator would for a restart.
    pub async fn stop(&self) {
        let this = self.clone();
        tokio::task::spawn_blocking(move || {
            if let Some(process) = this.ours().process.lock().unwrap().take() {
                process.terminate(Duration::from_secs(30));
            }
        })
        .await
        .unwrap();
    }

    /// Kills the node with `SIGKILL`.
    pub async fn kill9(&self) {
        let this = self.clone();
        tokio::task::spawn_blocking(move || drop(this.ours().process.lock().unwrap().take()))
            .await
            .unwrap();
    }

    /// Runs the node again after a stop, on the same ports, and waits until it answers.
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

    /// Stops the node and runs it again.
    pub async fn restart(&self) {
        self.stop().await;
        self.run().await;
    }

    fn ours(&self) -> &Ours {
        self.0
            .ours
            .as_ref()
            .expect("only a RabbitMQ of one's own may be stopped: RabbitMq::start()")
    }
}

impl Control {
    fn eval(&self, erlang: &str) -> String {
        // The node refuses two callers of the same name, and `-r` gives all callers within one second the same name.
        let caller = format!("c{}", Uuid::now_v7().simple());
        let mut child = Command::new("erl_call")
            .args(["-h", &caller, "-name", &self.node, "-c", &self.cookie, "-e"])
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("erl_call can't be started ({error}); run tests/install")
            });
        writeln!(child.stdin.take().unwrap(), "{erlang}").unwrap();
        let output = child.wait_with_output().unwrap();
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && answer.starts_with("{ok,"),
            "{erlang}\n{answer}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        answer["{ok,".len()..]
            .trim_end_matches('}')
            .trim()
            .to_owned()
    }
}

impl Ours {
    fn new() -> Self {
        let dir = dir_create("rabbitmq");
        let (port, dist_port, epmd_port) = (port_free(), port_free(), port_free());
        // Each node has a name of its own, because a node refuses files that were written under another name.
        let control = Control {
            node: format!("testbed{port}@localhost"),
            cookie: Uuid::now_v7().simple().to_string(),
            epmd_port,
        };
        std::fs::write(
            dir.join("rabbitmq.conf"),
            format!("listeners.tcp.1 = 127.0.0.1:{port}\ndisk_free_limit.absolute = 50MB\n"),
        )
        .unwrap();
        std::fs::write(dir.join("enabled_plugins"), "[].\n").unwrap();
        let mut names = tied("epmd", Signal::Kill, None);
        names.args(["-address", "127.0.0.1", "-port", &epmd_port.to_string()]);
        let names = Process::run("epmd", names, &dir.join("epmd.log"));
        Self {
            dir,
            port,
            dist_port,
            control,
            process: Mutex::new(None),
            _names: names,
        }
    }

    fn run(&self) -> Result<(), String> {
        let mut command = tied(server_find(), Signal::Kill, None);
        command
            // Makes the script replace itself by the node, so that killing the process kills the node.
            .env("detached", "1")
            .env("HOME", &self.dir)
            .env("ERL_EPMD_PORT", self.control.epmd_port.to_string())
            .env("RABBITMQ_NODENAME", &self.control.node)
            .env("RABBITMQ_DIST_PORT", self.dist_port.to_string())
            .env("RABBITMQ_MNESIA_BASE", self.dir.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", self.dir.join("log"))
            .env("RABBITMQ_CONFIG_FILE", self.dir.join("rabbitmq.conf"))
            .env(
                "RABBITMQ_ENABLED_PLUGINS_FILE",
                self.dir.join("enabled_plugins"),
            )
            // Idle schedulers sleep instead of spinning, since the tests need the cores.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+sbwt none +sbwtdcpu none +sbwtdio none",
            )
            .env(
                "RABBITMQ_SERVER_START_ARGS",
                format!("-setcookie {}", self.control.cookie),
            );
        let process = Process::run("rabbitmq-server", command, &self.dir.join("startup.log"));
        process.ready(Duration::from_secs(120), || {
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        })?;
        *self.process.lock().unwrap() = Some(process);
        Ok(())
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        drop(self.process.lock().unwrap().take());
        // What can't be removed now is removed by the sweeper.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Finds the server's own script. The one in the path insists on Debian's user and directories.
fn server_find() -> PathBuf {
    [
        "/usr/lib/rabbitmq/bin/rabbitmq-server",
        "/opt/rabbitmq/sbin/rabbitmq-server",
    ]
    .iter()
    .map(Path::new)
    .find(|path| path.exists())
    .unwrap_or_else(|| panic!("rabbitmq-server is missing: run tests/install"))
    .to_owned()
}
