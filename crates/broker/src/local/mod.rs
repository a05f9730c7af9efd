//! The in-process backend: it keeps RabbitMQ's promises in memory.
//!
//! | module | what is in it |
//! |---|---|
//! | `backend` | [`Local`]: every operation of the broker |
//! | `model_queues` | the two queues of one model, for all workers or for those of one cohort |
//! | `consumer` | the consumer |
//! | `dead_letters` | messages that were rejected or came back too often |

mod backend;
mod consumer;
mod dead_letters;
mod model_queues;

pub(crate) use backend::Local;
pub(crate) use consumer::Consumer;
