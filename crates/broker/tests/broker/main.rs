//! One suite for both backends, and the faults that only RabbitMQ can have.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

mod faults;
mod kit;
mod local;
mod misuse;
mod rabbit;
mod restarts;
mod suite;
