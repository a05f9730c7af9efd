//! One suite for both twins, and what can happen to RabbitMQ alone.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, and what they have in common"
)]

mod faults;
mod kit;
mod local;
mod misuse;
mod rabbit;
mod restarts;
mod suite;
