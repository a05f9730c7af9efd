//! Postgres in process.

mod postgres;
mod server;
mod unpacked;

pub use self::postgres::Embedded;
pub use self::unpacked::Unpacked;
