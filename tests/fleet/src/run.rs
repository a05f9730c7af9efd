//! Every fault so many rounds, a line each, a table at the end.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::binary::target;
use crate::check::Counts;
use crate::cluster::Cluster;
use crate::fault::Fault;
use crate::member::Editor;
use crate::random::Random;
use crate::report::{Outcome, causes, say, table};
use crate::round;
use crate::services::Services;

/// What the environment asks for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `LIMEKILN_FAULT_SEED`; the clock's without it.
    pub seed: u64,
    /// `LIMEKILN_FAULT_ROUNDS`; 1 without it.
    pub rounds: u32,
    /// Only faults whose `name::editor` contains one of these.
    pub only: Vec<String>,
}

impl Settings {
    /// From the environment and the arguments.
    ///
    /// # Errors
    ///
    /// When a number is none.
    pub fn read() -> Result<Self> {
        let number = |name: &str| match std::env::var(name) {
            Ok(text) => text
                .parse::<u64>()
                .map(Some)
                .with_context(|| format!("{name}={text}")),
            Err(_) => Ok(None),
        };
        let clock = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_secs();
        Ok(Self {
            seed: number("LIMEKILN_FAULT_SEED")?.unwrap_or(clock),
            rounds: u32::try_from(number("LIMEKILN_FAULT_ROUNDS")?.unwrap_or(1))?,
            only: std::env::args()
                .skip(1)
                .filter(|arg| !arg.starts_with('-'))
                .collect(),
        })
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.contains(only.as_str()))
    }
}

/// Runs them all; whether all held. Written as cargo's own tests write, so that whoever counts those counts these.
///
/// Most of a round is waiting, so two fleets go side by side, each with services and threads of its own.
///
/// # Errors
///
/// When the services can't be started.
pub fn run(settings: &Settings) -> Result<bool> {
    let dir = target()?
        .join("fleet-tests")
        .join(std::process::id().to_string());
    std::fs::create_dir_all(&dir)?;
    say(&format!(
        "\nfaults: {} rounds each; LIMEKILN_FAULT_SEED={} repeats them\n",
        settings.rounds, settings.seed
    ));
    let plan = Plan::new(settings);
    let (folder, plan) = (dir.as_path(), &plan);
    let ended: Vec<_> = std::thread::scope(|scope| {
        let started = [Editor::Null, Editor::Lime]
            .map(|first| scope.spawn(move || editors_run(settings, plan, first, folder)));
        started.into_iter().map(|thread| thread.join()).collect()
    });
    let mut outcomes = Vec::new();
    for outcome in ended {
        outcomes.extend(outcome.map_err(|_| anyhow::anyhow!("a fleet's thread died"))??);
    }
    table(&outcomes);
    let failed = outcomes.iter().filter(|outcome| outcome.failed > 0).count();
    let passed = outcomes.len() - failed;
    let word = if failed == 0 { "ok" } else { "FAILED" };
    say(&format!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
    ));
    if failed == 0 {
        std::fs::remove_dir_all(&dir).context("logs")?;
    } else {
        say(&format!("logs: {}", dir.display()));
    }
    Ok(failed == 0)
}

/// The faults that are left.
struct Plan(Mutex<VecDeque<(Editor, Fault, String)>>);

impl Plan {
    fn new(settings: &Settings) -> Self {
        let mut left = VecDeque::new();
        for editor in [Editor::Null, Editor::Lime] {
            for fault in Fault::ALL
                .into_iter()
                .filter(|fault| fault.concerns(editor))
            {
                let name = format!("{}::{}", fault.name(), editor.model());
                if settings.wants(&name) {
                    left.push_back((editor, fault, name));
                }
            }
        }
        Self(Mutex::new(left))
    }

    /// The next one of this editor.
    fn next(&self, editor: Editor) -> Option<(Fault, String)> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = left.iter().position(|(of, ..)| *of == editor)?;
        left.remove(at).map(|(_, fault, name)| (fault, name))
    }
}

/// The faults of one editor, one after the other, and then those of the other editor that nobody has begun.
fn editors_run(
    settings: &Settings,
    plan: &Plan,
    first: Editor,
    dir: &Path,
) -> Result<Vec<Outcome>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()?;
    let second = match first {
        Editor::Null => Editor::Lime,
        Editor::Lime => Editor::Null,
    };
    let mut outcomes = Vec::new();
    for editor in [first, second] {
        outcomes.extend(runtime.block_on(editor_run(settings, plan, editor, dir))?);
    }
    Ok(outcomes)
}

async fn editor_run(
    settings: &Settings,
    plan: &Plan,
    editor: Editor,
    dir: &Path,
) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    let (mut services, mut cluster) = (None, None);
    while let Some((fault, name)) = plan.next(editor) {
        let outcome = rounds(
            settings,
            fault,
            editor,
            name,
            &mut cluster,
            &mut services,
            dir,
        );
        outcomes.push(outcome.await?);
    }
    if let Some(last) = cluster {
        outcomes.push(queues(last, editor).await);
    }
    Ok(outcomes)
}

/// The rounds of one fault. After one that failed, the next has a new namespace: what is stuck stays in the old one.
async fn rounds(
    settings: &Settings,
    fault: Fault,
    editor: Editor,
    name: String,
    cluster: &mut Option<Cluster>,
    services: &mut Option<Services>,
    dir: &Path,
) -> Result<Outcome> {
    let start = Instant::now();
    let mut outcome = Outcome {
        name,
        passed: 0,
        failed: 0,
        counts: Counts::default(),
        took: Duration::ZERO,
    };
    for round in 0..settings.rounds {
        let at = match cluster.take() {
            Some(cluster) => cluster,
            None => Cluster::start(editor, services.take(), dir).await?,
        };
        let random = Random::new(settings.seed, &format!("{}/{round}", outcome.name));
        match round::run(&at, fault, random).await {
            Ok(counts) => {
                outcome.passed += 1;
                outcome.counts += counts;
                *cluster = Some(at);
            }
            Err(error) => {
                outcome.failed += 1;
                say(&format!(
                    "---- {} round {round}, seed {}; logs in {}\n{}\n",
                    outcome.name,
                    settings.seed,
                    at.dir().display(),
                    causes(&error)
                ));
                logs_keep(&at.services, at.dir());
                *services = repaired(at.services);
            }
        }
    }
    outcome.took = start.elapsed();
    let word = if outcome.failed == 0 { "ok" } else { "FAILED" };
    say(&format!(
        "test {} ... {word} ({} rounds, {} edits, {:.1} s)",
        outcome.name,
        settings.rounds,
        outcome.counts.edits,
        outcome.took.as_secs_f64()
    ));
    Ok(outcome)
}

/// Puts RabbitMQ's logs beside those of the fleet: they go with the node.
fn logs_keep(services: &Services, dir: &Path) {
    let Ok(logs) = std::fs::read_dir(services.rabbitmq.log_dir()) else {
        return;
    };
    for log in logs.flatten() {
        // For whoever looks into the failure; without it they have the rest.
        let _ = std::fs::copy(log.path(), dir.join(log.file_name()));
    }
}

/// A fault that failed may have left a service down: then all three are started anew.
fn repaired(services: Services) -> Option<Services> {
    for proxy in services.proxies.all() {
        proxy.resume();
        proxy.cut();
    }
    let up = [
        services.postgres.port(),
        services.rabbitmq.port(),
        services.s3.port(),
    ]
    .into_iter()
    .all(|port| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    up.then_some(services)
}

/// After the last round: no message is left over.
async fn queues(cluster: Cluster, editor: Editor) -> Outcome {
    let start = Instant::now();
    let name = format!("queues_empty::{}", editor.model());
    let held = cluster.queues_empty().await;
    let failed = u32::from(held.is_err());
    match held {
        Ok(()) => say(&format!("test {name} ... ok")),
        Err(error) => say(&format!("test {name} ... FAILED\n{}", causes(&error))),
    }
    Outcome {
        name,
        passed: 1 - failed,
        failed,
        counts: Counts::default(),
        took: start.elapsed(),
    }
}
