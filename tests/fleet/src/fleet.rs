//! The processes: two gateways, two coordinators, two workers, and a supervisor that starts again what ended.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use limekiln_testbed::{Process, port_free};
use serde_json::Value;

use crate::binary::limekiln;
use crate::services::Place;
use crate::wait::wait;

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

/// A process of the fleet, which can be started again.
#[derive(Debug)]
pub struct Member {
    /// What it does.
    pub role: Role,
    name: String,
    port: u16,
    log: PathBuf,
    env: Vec<(String, String)>,
    process: Mutex<Process>,
}

impl Member {
    /// Starts one; it is up once [`Member::ready`] says so.
    ///
    /// # Errors
    ///
    /// When the command can't be built.
    pub fn start(role: Role, number: usize, place: &Place, dir: &Path) -> Result<Self> {
        let name = match role {
            Role::Gateway => format!("gateway-{number}"),
            Role::Coordinator => format!("coordinator-{number}"),
            Role::Worker(editor) => format!("worker-{}-{number}", editor.model()),
        };
        let log = dir.join(format!("{name}.log"));
        let mut env = place.env.clone();
        env.push((
            "LIMEKILN_CACHE".into(),
            dir.join(format!("{name}-cache")).display().to_string(),
        ));
        env.push(("LIMEKILN_LOG".into(), "info".into()));
        env.push(("LIMEKILN_LEASE".into(), format!("{}ms", LEASE.as_millis())));
        env.push((
            "LIMEKILN_STALL_AFTER".into(),
            format!("{}ms", STALL.as_millis()),
        ));
        env.push(("NO_COLOR".into(), "1".into()));
        let port = port_free();
        let process = Mutex::new(run(role, port, &env, &log)?);
        Ok(Self {
            role,
            name,
            port,
            log,
            env,
            process,
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
        act(&self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Process> {
        self.process
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.with(Process::ended).is_none()
    }

    /// Starts it again after its end.
    ///
    /// # Errors
    ///
    /// When the command is gone.
    pub fn start_again(&self) -> Result<()> {
        *self.lock() = run(self.role, self.port, &self.env, &self.log)?;
        Ok(())
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    ///
    /// What it wrote last, when it ends or is not ready in time.
    pub async fn ready(&self, http: &reqwest::Client) -> Result<()> {
        wait(&format!("{} to get ready", self.name), READY, async || {
            ensure!(self.is_up(), "it ended:\n{}", self.with(Process::log_tail));
            let answer = http
                .get(format!("{}/readyz", self.url()))
                .timeout(Duration::from_secs(5))
                .send()
                .await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()))
        })
        .await
    }

    /// The sum of the counters whose lines start with one of `names`; 0 when none was ever counted.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn counted(&self, http: &reqwest::Client, names: &[&str]) -> Result<f64> {
        let text = http
            .get(format!("{}/metrics", self.url()))
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
        Role::Gateway => args.extend(["--models", "rooms,null"]),
        Role::Worker(editor) => args.extend(editor.args()),
        Role::Coordinator => {}
    }
    let env = env.iter().map(|(name, value)| (name, value));
    Ok(Process::start(limekiln()?, args, env, log))
}

/// A fleet on one place.
#[derive(Debug)]
pub struct Fleet {
    /// Two.
    pub gateways: Vec<Member>,
    /// Two.
    pub coordinators: Vec<Member>,
    /// Two.
    pub workers: Vec<Member>,
    http: reqwest::Client,
}

impl Fleet {
    /// Makes the tables and starts two of each; all are ready.
    ///
    /// # Errors
    ///
    /// What the first that failed wrote.
    pub async fn start(
        editor: Editor,
        place: &Place,
        dir: &Path,
        http: &reqwest::Client,
    ) -> Result<Self> {
        command(place, &["migrate"]).await?;
        let two = |role: Role| {
            (1..=2)
                .map(|number| Member::start(role, number, place, dir))
                .collect::<Result<Vec<_>>>()
        };
        let fleet = Self {
            gateways: two(Role::Gateway)?,
            coordinators: two(Role::Coordinator)?,
            workers: two(Role::Worker(editor))?,
            http: http.clone(),
        };
        fleet.ready().await?;
        Ok(fleet)
    }

    /// Every process.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.gateways
            .iter()
            .chain(&self.coordinators)
            .chain(&self.workers)
    }

    /// Waits until all are ready.
    ///
    /// # Errors
    ///
    /// What the first that failed wrote.
    pub async fn ready(&self) -> Result<()> {
        for member in self.members() {
            member.ready(&self.http).await?;
        }
        Ok(())
    }

    /// That nothing ended that nobody killed.
    ///
    /// # Errors
    ///
    /// What the first that ended wrote.
    pub fn is_whole(&self) -> Result<()> {
        for member in self.members() {
            ensure!(
                member.is_up(),
                "{} ended by itself ({:?}):\n{}",
                member.name(),
                member.with(Process::ended),
                member.with(Process::log_tail)
            );
        }
        Ok(())
    }
}

/// Runs a command to its end: what it wrote to stdout.
///
/// # Errors
///
/// What it wrote to stderr, when it fails.
pub async fn command(place: &Place, args: &[&str]) -> Result<String> {
    let output = tokio::process::Command::new(limekiln()?)
        .args(args)
        .envs(place.env.iter().map(|(name, value)| (name, value)))
        .kill_on_drop(true)
        .output()
        .await
        .context("limekiln")?;
    ensure!(
        output.status.success(),
        "limekiln {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Makes a key of a tenant that no limit holds back.
///
/// # Errors
///
/// What the command says.
pub async fn key_create(place: &Place, tenant: &str) -> Result<String> {
    let limits = [
        "--rate",
        "100000",
        "--burst",
        "1000000",
        "--in-flight",
        "1000000",
    ];
    let args = [
        &["keys", "create", "--json", "--tenant", tenant],
        limits.as_slice(),
    ]
    .concat();
    let answer: Value = serde_json::from_str(&command(place, &args).await?)?;
    Ok(answer["key"].as_str().context("no key")?.to_owned())
}
