//! A channel to publish on, opened again after it or its connection ended.

use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::options::ConfirmSelectOptions;

use super::link::Link;
use super::session::Session;
use super::topology;
use crate::{Error, Result};

/// A channel to publish on, opened again after it or its connection ended.
pub(super) struct PublishChannel {
    link: Link,
    /// Whether RabbitMQ confirms what is published.
    confirms: bool,
    open: Option<(Arc<Session>, Channel)>,
}

impl PublishChannel {
    pub(super) fn new(link: Link, confirms: bool) -> Self {
        Self {
            link,
            confirms,
            open: None,
        }
    }

    /// The open channel, or a new one on the current connection or the next one within `limit`.
    pub(super) async fn get(&mut self, limit: Duration) -> Result<Channel> {
        if let Some((session, channel)) = &self.open {
            if let Some(reason) = session.blocked() {
                return Err(Error::Blocked(reason));
            }
            if session.is_open(channel) {
                return Ok(channel.clone());
            }
            // If the channel ended alone, its exchange may have been deleted. A new connection declares by itself.
            if !session.ended.is_cancelled() {
                topology::declare(session).await?;
            }
        }
        self.open = None;
        let session = self.link.session(limit).await?;
        let channel = session.channel().await?;
        if self.confirms {
            let selecting = channel.confirm_select(ConfirmSelectOptions::default());
            session.rpc("confirms", selecting).await?;
        }
        self.open = Some((session, channel.clone()));
        Ok(channel)
    }

    /// The session of the open channel.
    pub(super) fn session(&self) -> Option<&Session> {
        self.open.as_ref().map(|(session, _)| &**session)
    }

    /// Forgets the open channel. Returns its session.
    pub(super) fn reset(&mut self) -> Option<Arc<Session>> {
        self.open.take().map(|(session, _)| session)
    }
}
