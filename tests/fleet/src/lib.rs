//! The fleet under faults, as processes: two gateways, two coordinators, two workers on three real services, all of them
//! behind proxies, and something that breaks.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | [`run`] | every fault so many rounds, a line each, a table at the end |
//! | [`fault`] | what breaks, and how |
//! | [`load`] | the edits in flight meanwhile, and how each is to end |
//! | [`check`] | what must hold afterwards: one checker for all faults |
//! | [`scene`] | services and fleet of a run |
//! | [`fleet`] | the processes |
//! | [`services`] | Postgres, RabbitMQ, S3, and the proxies before them |
//! | [`client`] | a client of the gateways that does not give up |
//! | [`watch`] | a client that follows an edit's events |
//! | [`wait`] | waiting with a deadline |
//! | [`random`] | numbers from the printed seed |
//! | [`binary`] | the command under test |

pub mod binary;
pub mod check;
pub mod client;
pub mod fault;
pub mod fleet;
pub mod load;
pub mod random;
pub mod run;
pub mod scene;
pub mod services;
pub mod wait;
pub mod watch;
