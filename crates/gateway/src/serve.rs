//! Connections: bounded in number and in the time for headers and writes, and ended in an orderly way.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::State;
use crate::write_timeout::WriteTimeout;

/// How many times in a row accepting may fail before the gateway gives up.
const ACCEPT_FAILURES_MAX: u32 = 60;
/// How long a connection that is being closed is still read.
const LINGER: Duration = Duration::from_secs(2);

/// Why a gateway ended.
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
pub fn serve(
    listener: TcpListener,
    state: State,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<(), Error>> {
    // Boxed here, so that it is compiled with this crate and not again with each crate that awaits it.
    Box::pin(serving(listener, state, shutdown))
}

async fn serving(
    listener: TcpListener,
    state: State,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let router = crate::router(state.clone());
    let batches = tokio::spawn(crate::openai::batches::run(state.clone()));
    let fetching = tokio::spawn(crate::fetching::run(state.clone()));
    let slots = Arc::new(Semaphore::new(state.settings.limits.connections.max(1)));
    let (tracker, ending, killing) = (
        TaskTracker::new(),
        CancellationToken::new(),
        CancellationToken::new(),
    );
    let outcome = loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break Ok(()),
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Err(error) => break Err(Error::Listener(error)),
            Ok((stream, slot)) => {
                let connection =
                    connection(stream, router.clone(), state.clone(), ending.clone(), slot);
                let killing = killing.clone();
                tracker.spawn(async move {
                    tokio::select! {
                        () = connection => {}
                        () = killing.cancelled() => {}
                    }
                });
            }
        }
    };
    state.closing.cancel();
    ending.cancel();
    tracker.close();
    if timeout(state.settings.timeouts.shutdown, tracker.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = tracker.len(),
            "connections are cut: their requests took too long to end"
        );
        killing.cancel();
        tracker.wait().await;
    }
    // What they were doing is another gateway's, or its own after the next start.
    batches.abort();
    fetching.abort();
    outcome
}

/// Accepts the next connection once there is room for one. When files run out, it waits for some to be closed.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Result<(TcpStream, Option<OwnedSemaphorePermit>), std::io::Error> {
    let slot = slots.clone().acquire_owned().await.ok();
    let mut failures = 0;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Ok((stream, slot)),
            Err(error) if failures < ACCEPT_FAILURES_MAX => {
                failures += 1;
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    state: State,
    ending: CancellationToken,
    _slot: Option<OwnedSemaphorePermit>,
) {
    let open = metrics::gauge!("limekiln_http_connections_open");
    open.increment(1);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection without TCP_NODELAY");
    }
    let settings = &state.settings;
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        Box::pin(async move { router.oneshot(request.map(Body::new)).await })
            as Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.timeouts.header)
        .max_buf_size(settings.limits.header_bytes.max(8192))
        .serve_connection(
            TokioIo::new(WriteTimeout::new(stream, settings.timeouts.write)),
            service,
        );
    let mut ending_begun = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            () = ending.cancelled(), if !ending_begun => {
                ending_begun = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
    linger(connection.into_parts().io.into_inner().into_inner()).await;
    open.decrement(1);
}

/// Reads what the client still sends before the socket is closed. Closing it with unread bytes would reset the connection,
/// and the client might never see the answer.
async fn linger(mut stream: TcpStream) {
    let drain = async {
        stream.shutdown().await?;
        let mut rest = [0_u8; 4096];
        while stream.read(&mut rest).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    if let Ok(Err(error)) = timeout(LINGER, drain).await {
        tracing::trace!(%error, "a connection was reset");
    }
}
