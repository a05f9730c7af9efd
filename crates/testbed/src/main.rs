//! Starts the three services for the tests of a whole run, says where they are as `NAME=value` lines, and keeps them until
//! its input ends.

use std::io::{Read, Write};

use limekiln_testbed::{Postgres, RabbitMq, S3};

fn main() -> std::io::Result<()> {
    let rabbitmq = std::thread::spawn(RabbitMq::start);
    let (postgres, s3) = (Postgres::start(), S3::start());
    let Ok(rabbitmq) = rabbitmq.join() else {
        return Err(std::io::Error::other("RabbitMQ did not start"));
    };
    let mut out = std::io::stdout();
    writeln!(out, "LIMEKILN_TEST_POSTGRES={}", postgres.url(""))?;
    writeln!(out, "LIMEKILN_TEST_RABBITMQ={}", rabbitmq.address())?;
    writeln!(out, "LIMEKILN_TEST_S3={}", s3.address())?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
