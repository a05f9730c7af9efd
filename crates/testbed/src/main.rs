//! Starts the three services and says where they are, or runs a command on them.
//!
//! ```text
//! limekiln-testbed                 prints LIMEKILN_TEST_... lines, and keeps the services until its input ends
//! limekiln-testbed COMMAND...      runs the command with DATABASE_URL, AMQP_URL, S3_... set, Postgres with fsync
//! ```

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::{Command, ExitCode};

use limekiln_testbed::{Postgres, RabbitMq, S3};

fn main() -> std::io::Result<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let command = args.next();
    let postgres = match command {
        Some(_) => Postgres::durable,
        None => Postgres::start,
    };
    let rabbitmq = std::thread::spawn(RabbitMq::start);
    let (postgres, s3) = (postgres(), S3::start());
    let Ok(rabbitmq) = rabbitmq.join() else {
        return Err(std::io::Error::other("RabbitMQ did not start"));
    };
    match command {
        Some(command) => run(&command, args, (&postgres, &rabbitmq, &s3)),
        None => keep(&postgres, &rabbitmq, &s3),
    }
}

/// For tests: until its input ends.
fn keep(postgres: &Postgres, rabbitmq: &RabbitMq, s3: &S3) -> std::io::Result<ExitCode> {
    let mut out = std::io::stdout();
    writeln!(out, "LIMEKILN_TEST_POSTGRES={}", postgres.url(""))?;
    writeln!(out, "LIMEKILN_TEST_RABBITMQ={}", rabbitmq.address())?;
    writeln!(out, "LIMEKILN_TEST_S3={}", s3.address())?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(ExitCode::SUCCESS)
}

/// A command with the variables that `limekiln` reads.
fn run(
    command: &OsString,
    args: impl Iterator<Item = OsString>,
    (postgres, rabbitmq, s3): (&Postgres, &RabbitMq, &S3),
) -> std::io::Result<ExitCode> {
    let keys = s3.credentials();
    let status = Command::new(command)
        .args(args)
        .env("DATABASE_URL", postgres.url("postgres"))
        .env("AMQP_URL", rabbitmq.url())
        .env("S3_ENDPOINT", s3.endpoint().as_str())
        .env("S3_BUCKET", s3.bucket())
        .env("AWS_ACCESS_KEY_ID", &keys.access_key)
        .env("AWS_SECRET_ACCESS_KEY", &keys.secret_key)
        .status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}
