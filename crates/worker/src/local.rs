//! Futures that may not move between threads, run where they need not.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::{JoinError, spawn_blocking};

/// Makes a future on a thread of its own and runs it there to its end, on this runtime's clock and sockets. It is not
/// stopped when nobody waits any more, so it must end by itself.
pub(crate) async fn locally<T, F>(make: impl FnOnce() -> F + Send + 'static) -> Result<T, JoinError>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let runtime = Handle::current();
    spawn_blocking(move || runtime.block_on(make())).await
}
