//! The server's connections.

use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use limekiln_blobs::Blobs;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::store::Store;

/// Who may ask the server, and their secret.
pub(super) const ACCESS_KEY: &str = "limekiln";
pub(super) const SECRET_KEY: &str = "limekiln-tests";
/// How long requests in progress may take after a stop.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// The longest wait for a request's head on an open connection. Clients keep theirs for 90 s.
const IDLE: Duration = Duration::from_secs(120);

/// Serves the folder until `stopping` ends, or its sender is dropped; then lets requests in progress finish for a second.
pub(super) async fn serve(
    listener: TcpListener,
    blobs: Blobs,
    mut stopping: oneshot::Receiver<()>,
) {
    let mut service = S3ServiceBuilder::new(Store::new(blobs));
    service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let service = service.build();
    let ending = CancellationToken::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopping => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, as a rule: others have to close theirs first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Without it answers come later, and no less right.
        let _ = stream.set_nodelay(true);
        let (service, ending) = (service.clone(), ending.clone());
        connections.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            // A connection that is cut is the client's matter.
            let _ = tokio::select! {
                ended = connection.as_mut() => ended,
                () = ending.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
        });
    }
    drop(listener);
    ending.cancel();
    let _ = tokio::time::timeout(STOP_GRACE, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
    connections.shutdown().await;
}
