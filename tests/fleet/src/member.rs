//! One process of the fleet, which can be killed and started again.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use limekiln_testbed::port_free;
use limekiln_testbed::process::{Process, Signal};

use crate::binary::limekiln;
use crate::services::Namespace;
use crate::wait::{wait, wait_for};

/// How long a worker may be silent.
pub const LEASE: Duration = Duration::from_secs(2);
/// How long a step may take.
pub const STALL: Duration = Duration::from_secs(3);
/// How long a process may take to come up.
const READY: Duration = Duration::from_secs(60);

/// What the workers edit with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Editor {
    /// Everything but the pixels.
    Null,
    /// LIME on the built-in model.
    Lime,
}

impl Editor {
    /// The model that edits name.
    #[must_use]
    pub fn model(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Lime => "rooms",
        }
    }

    fn args(self) -> &'static [&'static str] {
        match self {
            Self::Null => &[
                "--editor",
                "null",
                "--as",
                "null",
                "--slots",
                "64",
                "--checkpoint-every",
                "700ms",
            ],
            Self::Lime => &["--editor", "lime", "--checkpoint-every", "300ms"],
        }
    }
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `limekiln serve`.
    Gateway,
    /// `limekiln coordinate`.
    Coordinator,
    /// `limekiln work`.
    Worker(Editor),
}

impl Role {
    /// The database's role that it has; all else about the services is the same for everybody.
    fn user(self) -> &'static str {
        match self {
            Self::Gateway => "limekiln_gateway",
            Self::Coordinator => "limekiln_coordinator",
            Self::Worker(_) => "limekiln_worker",
        }
    }
}

/// A process of the fleet, which can be started again.
#[derive(Debug)]
pub struct Member {
    /// What it does.
    pub role: Role,
    name: String,
    port: u16,
    log: PathBuf,
    env: Vec<(String, String)>,
    life: Mutex<Life>,
}

#[derive(Debug)]
struct Life {
    process: Process,
    /// Nobody killed it.
    wanted: bool,
    /// Since its start it was ready once.
    was_ready: bool,
    /// How often it ended by itself.
    crashes: u32,
}

impl Member {
    /// Starts one; it is up once [`Member::ready`] says so.
    ///
    /// # Errors
    ///
    /// When the command can't be built.
    pub fn start(role: Role, number: usize, namespace: &Namespace, dir: &Path) -> Result<Self> {
        let name = match role {
            Role::Gateway => format!("gateway-{number}"),
            Role::Coordinator => format!("coordinator-{number}"),
            Role::Worker(editor) => format!("worker-{}-{number}", editor.model()),
        };
        let log = dir.join(format!("{name}.log"));
        let cache = dir.join(format!("{name}-cache"));
        let own = [
            ("LIMEKILN_CACHE", cache.display().to_string()),
            ("LIMEKILN_LOG", "info".to_owned()),
            ("LIMEKILN_LEASE", format!("{}ms", LEASE.as_millis())),
            ("LIMEKILN_STALL_AFTER", format!("{}ms", STALL.as_millis())),
            ("NO_COLOR", "1".to_owned()),
        ];
        let mut env = namespace.env_of(role.user());
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let port = port_free();
        let process = run(role, port, &env, &log)?;
        let life = Mutex::new(Life {
            process,
            wanted: true,
            was_ready: false,
            crashes: 0,
        });
        Ok(Self {
            role,
            name,
            port,
            log,
            env,
            life,
        })
    }

    /// What its log calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Does something with the process.
    pub fn with<T>(&self, act: impl FnOnce(&Process) -> T) -> T {
        act(&self.life().process)
    }

    /// How its name in the table of workers ends: for as long as this process runs, no other's does.
    #[must_use]
    pub fn row_suffix(&self) -> String {
        format!("/{}", self.with(Process::pid))
    }

    fn life(&self) -> std::sync::MutexGuard<'_, Life> {
        self.life
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// SIGKILL.
    pub fn kill9(&self) {
        let mut life = self.life();
        life.wanted = false;
        tokio::task::block_in_place(|| life.process.kill9());
    }

    /// SIGTERM, and waits until it ends.
    ///
    /// # Errors
    ///
    /// When it does not end within `deadline`.
    pub async fn terminate(&self, deadline: Duration) -> Result<std::process::ExitStatus> {
        {
            let mut life = self.life();
            life.wanted = false;
            life.process.signal(Signal::Term);
        }
        let what = format!("{} to end after SIGTERM", self.name);
        wait_for(&what, deadline, async || Ok(self.with(Process::ended)))
            .await
            .with_context(|| self.with(Process::log_tail))
    }

    /// Starts it again after it was killed.
    ///
    /// # Errors
    ///
    /// When the command is gone.
    pub fn start_again(&self) -> Result<()> {
        let mut life = self.life();
        life.process = run(self.role, self.port, &self.env, &self.log)?;
        life.wanted = true;
        life.was_ready = false;
        Ok(())
    }

    /// Starts it again when it has ended by itself: whether it had.
    ///
    /// # Errors
    ///
    /// When it ended as if all were well, or the command is gone.
    pub fn restart_if_ended(&self) -> Result<bool> {
        {
            let mut life = self.life();
            let Some(status) = life.process.ended().filter(|_| life.wanted) else {
                return Ok(false);
            };
            ensure!(
                !status.success(),
                "{} ended by itself, as if all were well",
                self.name
            );
            life.crashes += 1;
        }
        self.start_again()?;
        Ok(true)
    }

    /// How often it ended by itself and was started again.
    #[must_use]
    pub fn crashes(&self) -> u32 {
        self.life().crashes
    }

    /// Starts it again when it ended before it was ready: what starts while a service is away gives up, and is started
    /// again by whatever started it. What was ready must not end.
    ///
    /// # Errors
    ///
    /// As [`Member::restart_if_ended`].
    pub async fn supervise(&self, http: &reqwest::Client) -> Result<()> {
        if self.life().was_ready {
            return Ok(());
        }
        if !self.restart_if_ended()? && self.answers(http).await {
            self.life().was_ready = true;
        }
        Ok(())
    }

    async fn answers(&self, http: &reqwest::Client) -> bool {
        let answer = http
            .get(format!("{}/readyz", self.url()))
            .timeout(Duration::from_secs(3))
            .send()
            .await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    ///
    /// What it wrote last, when it is not ready in time.
    pub async fn ready(&self, http: &reqwest::Client) -> Result<()> {
        wait(&format!("{} to get ready", self.name), READY, async || {
            self.supervise(http).await?;
            let was_ready = self.life().was_ready;
            Ok(was_ready && self.answers(http).await)
        })
        .await
        .with_context(|| self.with(Process::log_tail))
    }

    /// That it did not end by itself.
    pub fn is_whole(&self) -> Result<()> {
        let life = self.life();
        if let Some(status) = life.process.ended().filter(|_| life.wanted) {
            bail!(
                "{} ended by itself ({status}):\n{}",
                self.name,
                life.process.log_tail()
            );
        }
        Ok(())
    }

    /// [`counted`] by this member.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn counted(&self, http: &reqwest::Client, names: &[&str]) -> Result<f64> {
        counted(http, &self.url(), names).await
    }
}

/// The sum of the counters at this address whose lines start with one of `names`; 0 when none was ever counted.
///
/// # Errors
///
/// When it does not answer.
pub async fn counted(http: &reqwest::Client, url: &str, names: &[&str]) -> Result<f64> {
    let text = http
        .get(format!("{url}/metrics"))
        .timeout(Duration::from_secs(5))
        .send()
        .await?
        .error_for_status()?
        .text()
        .await?;
    Ok(text
        .lines()
        .filter(|line| names.iter().any(|name| line.starts_with(name)))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum())
}

fn run(role: Role, port: u16, env: &[(String, String)], log: &Path) -> Result<Process> {
    let address = format!("127.0.0.1:{port}");
    let (command, flag) = match role {
        Role::Gateway => ("serve", "--listen"),
        Role::Coordinator => ("coordinate", "--status"),
        Role::Worker(_) => ("work", "--status"),
    };
    let mut args = vec![command, flag, &address];
    match role {
        Role::Gateway => args.extend(["--models", "rooms,null", "--status", "127.0.0.1:0"]),
        Role::Worker(editor) => args.extend(editor.args()),
        Role::Coordinator => {}
    }
    let env = env.iter().map(|(name, value)| (name, value));
    Ok(Process::start(limekiln()?, args, env, log))
}
