//! The choice between the two backends.

/// Something of the in-process backend, or its counterpart of the RabbitMQ backend.
#[derive(Debug, Clone)]
pub(crate) enum Backend<L, R> {
    Local(L),
    Rabbit(R),
}

/// Evaluates one expression on whichever backend there is.
macro_rules! dispatch {
    ($backend:expr, $name:ident => $call:expr) => {
        match $backend {
            crate::backend::Backend::Local($name) => $call,
            crate::backend::Backend::Rabbit($name) => $call,
        }
    };
}
pub(crate) use dispatch;
