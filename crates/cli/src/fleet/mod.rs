//! The commands of the fleet.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `serve`, `coordinate`, `work` | the three kinds of process |
//! | `dev` | all of them in one, on services of its own or on those that its flags name |
//! | `keys` | API keys, and the tenants that they make |
//! | `tenants` | lists, shows and erases tenants |
//! | `drain` | makes the workers of a machine finish their edits and exit |
//! | `migrate` | the tables, and an operator's word on the bucket |
//! | `doctor`, `doctor_blobs` | checks of what a process depends on; rows against blobs |
//! | `batch` | whole catalogs through a gateway |
//! | `submit`, `client` | sends an edit to a gateway |
//! | `session`, `tree`, `session_files` | sessions at a gateway; their trees, drawn in text; their files |
//! | `segments` | segments of a picture, and regions that are named by them |
//! | `queue`, `fairness`, `tables`, `company` | the parts of `limekiln bench` of these names |
//! | `weights` | weights from a bucket |
//! | `services`, `signals`, `status`, `telemetry` | what the processes share |

mod batch;
mod client;
mod company;
mod coordinate;
#[cfg(feature = "embedded")]
mod dev;
mod doctor;
mod doctor_blobs;
mod drain;
mod fairness;
mod keys;
mod migrate;
mod queue;
mod segments;
mod serve;
mod services;
mod session;
mod session_files;
mod signals;
mod status;
mod submit;
mod tables;
mod telemetry;
mod tenants;
mod tree;
mod weights;
mod work;

use anyhow::Result;

use crate::args::{Bench, Command, TelemetryArgs};
#[cfg(feature = "embedded")]
use crate::environment;
use telemetry::Telemetry;
use tokio_util::sync::CancellationToken;

/// Runs a command of the fleet.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) fn run(command: &Command) -> Result<()> {
    // All TLS connections of the process use the implementation that is chosen here. A second choice would be refused.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match command {
        Command::Serve(args) => with("serve", &args.telemetry, async |telemetry, shutdown| {
            serve::run(args, telemetry, shutdown).await
        }),
        Command::Coordinate(args) => with(
            "coordinate",
            &args.telemetry,
            async |telemetry, shutdown| coordinate::run(args, telemetry, shutdown).await,
        ),
        Command::Work(args) => with("work", &args.telemetry, async |telemetry, shutdown| {
            work::run(args, telemetry, shutdown).await
        }),
        #[cfg(feature = "embedded")]
        Command::Dev(args) => with("dev", &args.telemetry, async |telemetry, shutdown| {
            dev::run(args, telemetry, shutdown).await
        }),
        Command::Drain(args) => with("drain", &args.telemetry, async |_, shutdown| {
            drain::run(args, shutdown).await
        }),
        Command::Migrate(args) => with("migrate", &args.telemetry, async |_, _| {
            migrate::run(args).await
        }),
        Command::Keys(args) => with("keys", args.command.telemetry(), async |_, _| {
            keys::run(&args.command).await
        }),
        Command::Tenants(args) => with("tenants", args.command.telemetry(), async |_, shutdown| {
            tenants::run(&args.command, &shutdown).await
        }),
        Command::Doctor(args) => with("doctor", &args.telemetry, async |_, _| {
            doctor::run(args).await
        }),
        Command::Submit(args) => as_client(submit::run(args)),
        Command::Session(args) => as_client(session::run(&args.command)),
        Command::Segments(args) => as_client(segments::run(args)),
        Command::Batch(args) => as_client(batch::run(&args.command)),
        Command::Bench(Bench::Queue(args)) => {
            with("bench", &args.telemetry, async |_, shutdown| {
                queue::run(args, shutdown).await
            })
        }
        Command::Bench(Bench::Fairness(args)) => {
            with("bench", &args.telemetry, async |_, shutdown| {
                fairness::run(args, shutdown).await
            })
        }
        Command::Bench(Bench::Tables(args)) => {
            with("bench", &args.telemetry, async |_, shutdown| {
                tables::run(args, shutdown).await
            })
        }
        Command::Bench(Bench::Company(args)) => {
            with("bench", &args.telemetry, async |_, shutdown| {
                company::run(args, shutdown).await
            })
        }
        Command::Bench(
            Bench::Unet(_)
            | Bench::Vae(_)
            | Bench::Text(_)
            | Bench::Edit(_)
            | Bench::Segment(_)
            | Bench::Finish(_)
            | Bench::Load(_),
        )
        | Command::Edit(_)
        | Command::Verify(_)
        | Command::Rooms(_)
        | Command::Demo(_)
        | Command::Eval(_) => Ok(()),
    }
}

/// What the environment must say before the command starts: the library of the embedded Postgres unpacks where it says.
///
/// # Errors
///
/// When the working folder is gone.
pub(crate) fn environment(command: &Command) -> Result<()> {
    #[cfg(feature = "embedded")]
    if let Command::Dev(args) = command {
        environment::cache_folder(dev::unpacked(args)?.folder());
    }
    let _ = command;
    Ok(())
}

/// Starts telemetry and a runtime, and runs `command` on it.
fn with(
    name: &'static str,
    args: &TelemetryArgs,
    command: impl AsyncFnOnce(&Telemetry, CancellationToken) -> Result<()>,
) -> Result<()> {
    let telemetry = telemetry::start(args, name)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let shutdown = signals::shutdown()?;
        command(&telemetry, shutdown).await
    });
    // A hung engine or a slow lookup must not keep the process.
    runtime.shutdown_background();
    outcome
}

/// A client needs neither logs nor threads.
fn as_client(command: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(command)
}
