//! The `limekiln` command.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `args` | the command line as typed |
//! | `settings`, `models`, `download` | arguments checked and made into a preset and a model |
//! | `environment` | empty variables are as if unset; where the embedded Postgres unpacks |
//! | `input`, `output` | pictures read and files written, whole or not at all; pipes |
//! | `target` | where a result goes |
//! | `edit` | `limekiln edit` |
//! | `verify` | `limekiln verify` |
//! | `rooms`, `demo` | drawn rooms; one of them edited, every stage on one sheet |
//! | `eval` | `limekiln eval rooms` |
//! | `tokenizers` | those that a gateway knows |
//! | `fleet` | `limekiln dev`, `serve`, `coordinate`, `work` and what goes with them |
//! | `told` | errors in one line, each cause once |
//! | `progress`, `sheet` | how far an edit is; pictures side by side |

mod args;
mod bench;
mod color;
mod demo;
mod download;
mod edit;
mod environment;
mod eval;
mod fleet;
mod input;
mod models;
mod output;
mod progress;
mod rooms;
mod settings;
mod sheet;
mod target;
mod tokenizers;
mod told;
mod verify;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Bench, Cli, Command, Eval};

/// candle allocates and frees large buffers at every operation. mimalloc keeps them for the next one, while the system
/// allocator returns them to the kernel each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Gives back what mimalloc keeps: it looks for what has been free for a while only when it is asked for more.
fn give_back() {
    #[expect(
        unsafe_code,
        reason = "a function of mimalloc that its crate has no safe call for; it may be called at any time"
    )]
    unsafe extern "C" {
        safe fn mi_collect(force: bool);
    }
    mi_collect(true);
}

fn main() -> ExitCode {
    environment::forget_empty();
    limekiln_memory::give_back_by(give_back);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // clap reports --help and --version as errors; their text belongs on stdout.
        Err(error) if !error.use_stderr() => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        // Without a command, the help shows which there are.
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return ExitCode::from(args::USAGE);
        }
        Err(error) => return fail(&args::one_line(&error), args::USAGE),
    };
    let done = match &cli.command {
        Command::Edit(args) => edit::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Rooms(args) => rooms::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Eval(Eval::Rooms(args)) => eval::run(args),
        Command::Bench(
            part @ (Bench::Unet(_)
            | Bench::Vae(_)
            | Bench::Text(_)
            | Bench::Edit(_)
            | Bench::Segment(_)
            | Bench::Finish(_)
            | Bench::Load(_)),
        ) => bench::run(part),
        command => fleet::environment(command).and_then(|()| fleet::run(command)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let status = if error.is::<settings::Usage>() {
                args::USAGE
            } else {
                1
            };
            fail(&format!("error: {}", told::told(&error)), status)
        }
    }
}

/// Prints the message on stderr as one line, for scripts that read it.
fn fail(message: &str, status: u8) -> ExitCode {
    eprintln!(
        "{}",
        message.split_whitespace().collect::<Vec<_>>().join(" ")
    );
    ExitCode::from(status)
}
