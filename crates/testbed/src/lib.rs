//! Real Postgres, RabbitMQ and S3 for tests: private directories, free ports, and nothing left behind, even when the
//! test process is killed.
//!
//! # Layout
//!
//! | module | what it does |
//! |---|---|
//! | [`postgres`] | a Postgres server, and a database of its own for each test |
//! | [`pgbouncer`] | PgBouncer in front of it |
//! | [`rabbitmq`] | a RabbitMQ node, and a virtual host of its own for each test |
//! | [`s3`] | an S3 server: ours, or an independent one (feature `s3`, on by default) |
//! | [`proxy`] | a TCP proxy that cuts, refuses, slows down and swallows |
//! | [`process`] | a child process that dies with its parent: kill, freeze, thaw |
//! | `stall` | one thread of a child that stands still while the others go on |
//! | [`until`] | waits for a condition with a deadline |
//! | `spawner` | the thread that starts every child, so that the kernel can end them with us |
//! | `dir`, `port` | private directories; free ports |
//!
//! Each test process starts its services when they are first asked for (`Postgres::shared()`), unless the environment names
//! running ones: `LIMEKILN_TEST_POSTGRES`, `LIMEKILN_TEST_RABBITMQ`, `LIMEKILN_TEST_S3`. `cargo run --release -p
//! limekiln-testbed` starts all three, prints these variables, and keeps the services until its input ends.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "only tests use this crate; without its services they can only stop, saying why"
)]

mod dir;
pub mod pgbouncer;
mod port;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod rabbitmq;
#[cfg(feature = "s3")]
pub mod s3;
mod spawner;
mod stall;
mod until;

pub use port::port_free;
pub use postgres::Postgres;
pub use process::Process;
pub use proxy::Proxy;
pub use rabbitmq::RabbitMq;
#[cfg(feature = "s3")]
pub use s3::S3;
pub use stall::StalledThread;
pub use until::{until, until_some};
