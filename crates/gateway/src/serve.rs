//! Connections: header timeouts, their number, an orderly end.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::State;

/// What ends a gateway.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No more connections can be accepted.
    #[error("the listener is gone: {0}")]
    Listener(#[source] std::io::Error),
}

/// Serves the API on `listener` until `shutdown`, then lets open requests finish for `timeouts.shutdown`; streams of
/// events end at once (their readers come back with `Last-Event-ID`).
///
/// # Errors
///
/// When connections can't be accepted.
pub async fn serve(
    _listener: TcpListener,
    _state: State,
    _shutdown: CancellationToken,
) -> Result<(), Error> {
    todo!()
}
