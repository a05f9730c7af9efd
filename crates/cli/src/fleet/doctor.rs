//! `limekiln doctor`: checks one by one what a process depends on.

use std::time::Instant;

use anyhow::{Result, bail};
use serde::Serialize;

use super::{doctor_blobs, services};
use crate::args::DoctorArgs;
use crate::models::Choice;
use crate::output::print;
use crate::told::told;

/// Side of the picture that the model is tried on, in pixels: a network of any kind edits it in seconds.
const PROBE_SIDE_PX: u32 = 64;
const PROBE_STEPS: usize = 2;

/// A network that computes less than this share of the time with edits is worth a word.
const NETWORK_LEAST: f32 = 0.5;

/// The result of one check.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was checked: `postgres`, `workers`, `rabbitmq`, `s3`, `model`, `cpu` or `gpu`.
    service: &'static str,
    level: Level,
    subject: String,
    /// What was found, and what to do about it unless all is well.
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Fine,
    Warning,
    Broken,
}

/// The results so far, in the order of the checks.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, service: &'static str, level: Level, subject: &str, message: impl ToString) {
        self.0.push(Finding {
            service,
            level,
            subject: subject.to_owned(),
            message: message.to_string(),
        });
    }
}

/// Checks the services that are named, and the model.
///
/// # Errors
///
/// When something is broken. The findings are printed before that.
pub(crate) async fn run(args: &DoctorArgs) -> Result<()> {
    if args.blobs {
        return doctor_blobs::run(args).await;
    }
    let mut findings = Findings::default();
    if args.services.database.database.is_some() {
        postgres(args, &mut findings).await;
        workers(args, &mut findings).await;
    }
    if args.services.amqp.is_some() {
        rabbitmq(args, &mut findings).await;
    }
    if args.services.s3.s3_endpoint.is_some() {
        s3(args, &mut findings).await;
        if args.services.database.database.is_some() {
            marker(args, &mut findings).await;
        }
    }
    if !args.no_model {
        tokio::task::block_in_place(|| model(args, &mut findings));
    }
    let broken = findings
        .0
        .iter()
        .filter(|finding| finding.level == Level::Broken)
        .count();
    if args.json {
        print(&serde_json::to_string_pretty(&findings.0)?);
    } else {
        for finding in &findings.0 {
            let mark = match finding.level {
                Level::Fine => "ok     ",
                Level::Warning => "warning",
                Level::Broken => "BROKEN ",
            };
            print(&format!(
                "{mark}  {:8}  {}: {}",
                finding.service, finding.subject, finding.message
            ));
        }
    }
    match broken {
        0 => Ok(()),
        1 => bail!("one thing is broken"),
        n => bail!("{n} things are broken"),
    }
}

async fn postgres(args: &DoctorArgs, findings: &mut Findings) {
    const NAME: &str = "postgres";
    let server = match services::store(&args.services.database).await {
        Err(error) => return findings.add(NAME, Level::Broken, "reach", told(&error)),
        Ok(store) => store.server().await,
    };
    let server = match server {
        Err(error) => return findings.add(NAME, Level::Broken, "read", error),
        Ok(server) => server,
    };
    findings.add(NAME, Level::Fine, "version", &server.version);
    if server.schema < server.schema_needed {
        let advice = format!(
            "at version {}, {} is needed: run `limekiln migrate`",
            server.schema, server.schema_needed
        );
        findings.add(NAME, Level::Broken, "tables", advice);
    } else {
        findings.add(
            NAME,
            Level::Fine,
            "tables",
            format!("version {}", server.schema),
        );
    }
    if !server.may_migrate {
        let advice = "this role may not create tables: run `limekiln migrate` as one that may";
        findings.add(NAME, Level::Warning, "rights", advice);
    }
    if server.synchronous_commit == "off" {
        let advice =
            "synchronous_commit is off: a crash of the server loses accepted edits; set it to on";
        findings.add(NAME, Level::Warning, "durability", advice);
    }
    if server.max_connections < 2 * args.services.database.database_connections {
        let advice = format!(
            "max_connections is {} and every process takes up to {}: raise it, or lower --database-connections",
            server.max_connections, args.services.database.database_connections
        );
        findings.add(NAME, Level::Warning, "connections", advice);
    }
}

/// How busy the networks of living workers are while these have edits.
async fn workers(args: &DoctorArgs, findings: &mut Findings) {
    const NAME: &str = "workers";
    // What is wrong with Postgres or its tables is said elsewhere.
    let Ok(store) = services::store(&args.services.database).await else {
        return;
    };
    if store.schema_check().await.is_err() {
        return;
    }
    let workers = match store.worker_list().await {
        Err(error) => return findings.add(NAME, Level::Broken, "list", error),
        Ok(workers) => workers,
    };
    for worker in workers.iter().filter(|worker| worker.alive) {
        let (slots, busy) = (worker.slots, worker.busy);
        let (level, message) = match worker.network {
            None => (
                Level::Fine,
                format!("{busy} of {slots} slots busy; it has had no edit yet"),
            ),
            Some(share) => {
                let percent = 100.0 * share;
                let found = format!(
                    "{busy} of {slots} slots busy; with edits, its network computes {percent:.0} % of the time"
                );
                match share < NETWORK_LEAST {
                    true => (
                        Level::Warning,
                        format!(
                            "{found}: with more --slots, others compute while one is encoded and decoded"
                        ),
                    ),
                    false => (Level::Fine, found),
                }
            }
        };
        findings.add(NAME, level, &worker.name, message);
    }
}

async fn rabbitmq(args: &DoctorArgs, findings: &mut Findings) {
    const NAME: &str = "rabbitmq";
    let broker = match services::broker(&args.services, "doctor").await {
        Err(error) => return findings.add(NAME, Level::Broken, "reach", told(&error)),
        Ok(broker) => broker,
    };
    let report = broker.check(&[]).await;
    findings.add(NAME, Level::Fine, "version", &report.server);
    for finding in &report.findings {
        let level = match finding.level {
            limekiln_broker::Level::Fine => Level::Fine,
            limekiln_broker::Level::Warning => Level::Warning,
            limekiln_broker::Level::Broken => Level::Broken,
        };
        findings.add(NAME, level, finding.subject, &finding.message);
    }
    broker.close().await;
}

async fn s3(args: &DoctorArgs, findings: &mut Findings) {
    const NAME: &str = "s3";
    let blobs = match services::blobs(&args.services.s3).await {
        Err(error) => return findings.add(NAME, Level::Broken, "settings", told(&error)),
        Ok(blobs) => blobs,
    };
    let report = blobs.check().await;
    for check in report.checks {
        match check.problem {
            None => findings.add(NAME, Level::Fine, check.name, &report.target),
            Some(problem) => findings.add(NAME, Level::Broken, check.name, problem),
        }
    }
}

/// Whether the bucket is the database's.
async fn marker(args: &DoctorArgs, findings: &mut Findings) {
    const NAME: &str = "s3";
    const SUBJECT: &str = "marker";
    let compared = async {
        let store = services::store(&args.services.database).await?;
        // What is wrong with the tables is said elsewhere.
        if store.schema_check().await.is_err() {
            return Ok(None);
        }
        let blobs = services::blobs(&args.services.s3).await?;
        let standing = limekiln_coordinator::standing(&store, &blobs).await?;
        anyhow::Ok(Some((standing.trouble(&blobs), blobs.target())))
    };
    match compared.await {
        Err(error) => findings.add(NAME, Level::Broken, SUBJECT, told(&error)),
        Ok(None) => {}
        Ok(Some((None, target))) => {
            findings.add(
                NAME,
                Level::Fine,
                SUBJECT,
                format!("{target} is this database's"),
            );
        }
        Ok(Some((Some(("unclaimed", words)), _))) => {
            findings.add(NAME, Level::Warning, SUBJECT, words);
        }
        Ok(Some((Some((_, words)), _))) => findings.add(NAME, Level::Broken, SUBJECT, words),
    }
}

/// Opens the model and runs one short edit with it.
fn model(args: &DoctorArgs, findings: &mut Findings) {
    const NAME: &str = "model";
    let began = Instant::now();
    let choice = match Choice::new(&args.model) {
        Err(error) => return findings.add(NAME, Level::Broken, "arguments", error),
        Ok(choice) => choice,
    };
    let model = match choice.open() {
        Err(error) => return findings.add(NAME, Level::Broken, "open", told(&error)),
        Ok(model) => model,
    };
    let gpu = if model.device.is_cuda() {
        (Level::Fine, "the model is on it")
    } else if cfg!(feature = "cuda") {
        (
            Level::Warning,
            "this build can use one and found none: see that the driver and CUDA_VISIBLE_DEVICES are right",
        )
    } else {
        (Level::Fine, "not used: this build is for the processor")
    };
    findings.add("gpu", gpu.0, "CUDA", gpu.1);
    findings.add("cpu", Level::Fine, "paths", processor());
    findings.add(NAME, Level::Fine, "path", model.path());
    let opened = format!("{} in {:.1} s", model.name, began.elapsed().as_secs_f64());
    findings.add(NAME, Level::Fine, "open", opened);
    let began = Instant::now();
    match limekiln_lime::probe(&model, PROBE_SIDE_PX, PROBE_STEPS) {
        Ok(()) => {
            let took = format!(
                "a {PROBE_STEPS}-step edit took {:.1} s",
                began.elapsed().as_secs_f64()
            );
            findings.add(NAME, Level::Fine, "edit", took);
        }
        Err(error) => findings.add(NAME, Level::Broken, "edit", error),
    }
}

/// Which ways of computing this processor has, beside those that all have.
fn processor() -> String {
    let mut all = vec!["f32".to_owned(), "f16".to_owned()];
    match limekiln_diffusion::device::paths() {
        Err(error) => return error.to_string(),
        Ok(paths) if !paths.iter().any(|(_, used)| *used) => {
            all.push("bf16 (computed as f32)".into())
        }
        Ok(paths) => all.extend(paths.into_iter().map(|(name, used)| match used {
            true => name.to_owned(),
            false => format!("{name} (switched off)"),
        })),
    }
    all.join(", ")
}
