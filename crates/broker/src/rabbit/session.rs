//! One connection to RabbitMQ, from its handshake to its end.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lapin::{Channel, Connection};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::dial::Socket;
use crate::{Error, Result};

/// One connection, from its handshake to its end.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: Connection,
    socket: Socket,
    /// Cancelled once the connection is gone.
    pub(super) ended: CancellationToken,
    /// How long an operation waits for RabbitMQ's answer.
    pub(super) timeout: Duration,
    /// Why RabbitMQ blocked the connection, in its words.
    reason: Mutex<String>,
}

impl Session {
    pub(super) fn new(connection: Connection, socket: Socket, timeout: Duration) -> Self {
        Self {
            connection,
            socket,
            ended: CancellationToken::new(),
            timeout,
            reason: Mutex::new("low on memory or disk".to_owned()),
        }
    }

    /// Opens a channel. A connection on which even that gets no answer is cut.
    pub(super) async fn channel(&self) -> Result<Channel> {
        let opened = self
            .call("channel", self.connection.create_channel(), self.timeout)
            .await;
        if matches!(opened, Err(Error::Unconfirmed(_))) {
            self.cut("no answer in time");
        }
        opened
    }

    /// Waits for RabbitMQ's answer to an operation on the exchange or queue of this name, for a bounded time.
    pub(super) async fn rpc<T>(
        &self,
        name: &str,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T> {
        self.rpc_within(name, call, self.timeout).await
    }

    /// Waits for RabbitMQ's answer until `limit`. When none comes, either this queue or the whole connection is at
    /// fault, so a channel is opened to find out.
    pub(super) async fn rpc_within<T>(
        &self,
        name: &str,
        call: impl Future<Output = lapin::Result<T>>,
        limit: Duration,
    ) -> Result<T> {
        let answer = self.call(name, call, limit).await;
        if matches!(answer, Err(Error::Unconfirmed(_))) {
            // lapin closes a channel that is dropped.
            drop(self.channel().await?);
        }
        answer
    }

    async fn call<T>(
        &self,
        name: &str,
        call: impl Future<Output = lapin::Result<T>>,
        limit: Duration,
    ) -> Result<T> {
        if let Some(reason) = self.blocked() {
            return Err(Error::Blocked(reason));
        }
        tokio::select! {
            answer = timeout(limit, call) => match answer {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(Error::named(name, error)),
                Err(_) => Err(self
                    .blocked()
                    .map_or(Error::Unconfirmed(limit), Error::Blocked)),
            },
            error = self.lost() => Err(error),
        }
    }

    /// Closes a channel that has done its work.
    pub(super) async fn close(&self, channel: Channel) -> Result<()> {
        self.rpc("channel", channel.close(200, "done".into())).await
    }

    /// Why RabbitMQ takes no messages from this connection, if it takes none: it lacks memory or disk space.
    pub(super) fn blocked(&self) -> Option<String> {
        // lapin never clears the flag of a connection that has ended.
        let blocked = self.connection.status().blocked() && !self.ended.is_cancelled();
        let reason = || self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        blocked.then(|| reason().clone())
    }

    /// Notes why RabbitMQ blocked the connection.
    pub(super) fn block(&self, reason: String) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Whether the channel can be used: neither it nor its connection has ended.
    pub(super) fn is_open(&self, channel: &Channel) -> bool {
        channel.status().connected() && !self.ended.is_cancelled()
    }

    /// Waits until the connection is gone, and returns the error for whoever was using it.
    pub(super) async fn lost(&self) -> Error {
        self.ended.cancelled().await;
        Error::Disconnected("connection lost".to_owned())
    }

    /// Ends the connection without a handshake, because it doesn't work.
    pub(super) fn cut(&self, why: &str) {
        if !self.ended.is_cancelled() {
            tracing::warn!(why, "giving up a connection to rabbitmq");
        }
        self.end();
    }

    /// Tells everybody who uses the connection that it is gone, and frees its socket.
    pub(super) fn end(&self) {
        self.ended.cancel();
        self.socket.shut();
    }
}
