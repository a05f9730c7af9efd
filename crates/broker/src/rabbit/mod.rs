//! The RabbitMQ backend.
//!
//! | module | what is in it |
//! |---|---|
//! | `backend` | [`Rabbit`]: every operation of the broker |
//! | `dial` | one attempt to connect, which can always be abandoned |
//! | `session` | one connection, from its handshake to its end |
//! | `link` | a connection that is restored whenever it is lost |
//! | `topology` | declares, inspects and deletes exchanges and queues |
//! | `publisher` | publishes announcements, sorted by queue |
//! | `queue_publisher` | publishes one queue's announcements, round by round |
//! | `round` | one round of publishes: mandatory, confirmed, all at once |
//! | `broadcaster` | publishes live messages and signals, unconfirmed |
//! | `publish_channel` | a channel to publish on, opened again after it ended |
//! | `listener` | listens to live messages and signals, for the hub |
//! | `bindings` | this process's own queue of live messages and signals |
//! | `consumer` | the consumer |
//! | `intake` | when which of its queues is read |
//! | `queue_consumer` | reads one queue |
//! | `buffer` | the deliveries that are not handed out yet |
//! | `settle` | writes settlements |
//! | `check` | the checks of `limekiln doctor` |
//!
//! Each process has two connections. When RabbitMQ runs out of memory or disk space it stops reading from a connection
//! that publishes, and acks must get through all the same.

mod backend;
mod bindings;
mod broadcaster;
mod buffer;
mod check;
mod consumer;
mod dial;
mod intake;
mod link;
mod listener;
mod publish_channel;
mod publisher;
mod queue_consumer;
mod queue_publisher;
mod round;
mod session;
mod settle;
mod topology;

pub(crate) use backend::Rabbit;
pub(crate) use consumer::Consumer;
