//! One attempt to connect, which can always be abandoned.
//!
//! lapin runs each connection on a thread of its own, and a server that goes silent during the handshake would keep that
//! thread for ever. So this module keeps a second handle of the socket: shutting the socket down ends the thread.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind};

use crate::{Error, Result, Settings};

/// A second handle of a connection's socket.
#[derive(Debug, Clone, Default)]
pub(super) struct Socket(Arc<Mutex<Option<TcpStream>>>);

impl Socket {
    fn set(&self, stream: &impl AsFd) -> io::Result<()> {
        let stream = stream.as_fd().try_clone_to_owned()?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream.into());
        Ok(())
    }

    /// Shuts the socket down. Harmless when the connection has ended already.
    pub(super) fn shut(&self) {
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = socket.map(|socket| socket.shutdown(Shutdown::Both))
            && error.kind() != io::ErrorKind::NotConnected
        {
            tracing::debug!(%error, "socket could not be shut down");
        }
    }
}

/// Parses the address, and fills in the default virtual host and the heartbeat.
pub(super) fn uri(settings: &Settings) -> Result<AMQPUri> {
    let mut uri: AMQPUri = settings.url.parse().map_err(Error::Url)?;
    if uri.vhost.is_empty() {
        // Strictly, `amqp://host/` names the virtual host "", but people who write it mean the default one.
        "/".clone_into(&mut uri.vhost);
    }
    let heartbeat = u16::try_from(settings.heartbeat.as_secs()).unwrap_or(u16::MAX);
    uri.query.heartbeat.get_or_insert(heartbeat.max(1));
    Ok(uri)
}

/// The address as error messages show it: without user and password.
pub(super) fn address(uri: &AMQPUri) -> String {
    format!(
        "{}:{}, virtual host {}",
        uri.authority.host, uri.authority.port, uri.vhost
    )
}

/// Connects or fails within `connect_timeout`.
pub(super) async fn dial(settings: &Settings, role: &str) -> Result<(Connection, Socket)> {
    let uri = uri(settings)?;
    let address = address(&uri);
    let failed = |reason: String, refused| Error::Connect {
        address: address.clone(),
        reason,
        refused,
    };
    let socket = Socket::default();
    let opened_socket = socket.clone();
    let limit = settings.connect_timeout;
    let properties = ConnectionProperties::default()
        .with_connection_name(format!("{} {role}", settings.name).into());
    let runtime = lapin::runtime::default_runtime()?;
    let connecting = Connection::connector(
        uri,
        runtime,
        async move |uri, runtime| {
            let opening = async {
                let addresses =
                    tokio::net::lookup_host((uri.authority.host.as_str(), uri.authority.port))
                        .await?
                        .collect::<Vec<_>>();
                let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    opened_socket.set(plain.get_ref())?;
                }
                match uri.scheme {
                    AMQPScheme::AMQP => Ok(stream),
                    AMQPScheme::AMQPS => {
                        let config = OwnedTLSConfig::default();
                        stream.into_tls(&uri.authority.host, config.as_ref()).await
                    }
                }
            };
            let opened = tokio::time::timeout(limit, opening).await;
            Ok(opened.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??)
        },
        properties,
    );
    match tokio::time::timeout(limit, connecting).await {
        Ok(Ok(connection)) => Ok((connection, socket)),
        Ok(Err(error)) => {
            socket.shut();
            Err(failed(error.to_string(), is_refusal(&error)))
        }
        Err(_) => {
            socket.shut();
            Err(failed(format!("no answer within {limit:?}"), false))
        }
    }
}

/// Whether the server answered and refused: wrong password, no such virtual host, no access to it.
fn is_refusal(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if matches!(error.get_id(), 403 | 530))
}
