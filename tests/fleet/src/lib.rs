//! The fleet under faults, as processes: two gateways, two coordinators, two workers on three real services, all of them
//! behind proxies, and something that breaks.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | [`run`], `report` | every fault so many rounds, a line each, a table at the end |
//! | [`round`] | one round: edits in flight, a fault among them, the check |
//! | [`fault`] | what breaks, and how |
//! | [`load`] | the edits in flight meanwhile, and how each is to end |
//! | [`check`] | what must hold afterwards: one checker for all faults |
//! | [`cluster`] | services, a fleet on them, its tenants |
//! | [`fleet`], [`member`] | two of each kind of process; one of them |
//! | [`services`] | Postgres, RabbitMQ, S3, and the proxies before them |
//! | [`client`] | a client of the gateways that does not give up |
//! | [`watch`] | a client that follows an edit's events |
//! | [`wait`] | waiting with a deadline |
//! | [`random`] | numbers from the printed seed |
//! | [`binary`], [`command`], [`dev`] | the command under test; run to its end; as a whole service |

pub mod binary;
pub mod check;
pub mod client;
pub mod cluster;
pub mod command;
pub mod dev;
pub mod fault;
pub mod fleet;
pub mod load;
pub mod member;
pub mod random;
mod report;
pub mod round;
pub mod run;
pub mod services;
pub mod wait;
pub mod watch;
