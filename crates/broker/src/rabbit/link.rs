//! A connection that is restored whenever it is lost.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::Event;
use limekiln_jobs::Retryable;
use limekiln_jobs::retry::Policy;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dial::dial;
use super::session::Session;
use super::topology;
use crate::{Error, Result, Settings};

/// The delays before a connection, or what was done on it, is tried again.
pub(super) const RETRY: Policy = Policy::new(Duration::from_millis(200), Duration::from_secs(5));
/// How often the connection's status is checked, in case the event of its end got lost.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// A connection that is restored whenever it is lost. It is cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Link {
    state: watch::Receiver<State>,
}

#[derive(Debug, Clone)]
enum State {
    Up(Arc<Session>),
    Down(Arc<str>),
    Closed,
}

impl Link {
    /// Connects and declares the exchanges, or leaves that to the background where the settings say so. From then on a background task keeps the link connected, until
    /// `hung_up` is cancelled.
    pub(super) async fn open(
        role: &'static str,
        settings: &Settings,
        hung_up: CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<Self> {
        let (first, begun) = match connect(settings, role).await {
            Err(error) if settings.in_background && error.is_transient() => {
                tracing::warn!(link = role, %error, "rabbitmq is away; connecting in the background");
                metrics::gauge!("limekiln_broker_connected", "link" => role).set(0);
                (None, State::Down(error.to_string().into()))
            }
            connected => {
                let session = connected?;
                (Some(Arc::clone(&session)), State::Up(session))
            }
        };
        let (sender, state) = watch::channel(begun);
        let supervisor = Supervisor {
            role,
            settings: settings.clone(),
            state: sender,
            hung_up,
        };
        tasks.spawn(supervisor.run(first));
        Ok(Self { state })
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(_))
    }

    /// Why RabbitMQ takes no messages from the current session, if it takes none.
    pub(super) fn blocked(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Up(session) => session.blocked(),
            State::Down(_) | State::Closed => None,
        }
    }

    /// The current session, or the next one if there is one within `limit`.
    pub(super) async fn session(&self, limit: Duration) -> Result<Arc<Session>> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| !matches!(state, State::Down(_)));
        let supervised = !matches!(timeout(limit, settled).await, Ok(Err(_)));
        match &*self.state.borrow() {
            State::Up(session) => Ok(Arc::clone(session)),
            State::Down(reason) if supervised => Err(Error::Disconnected(reason.to_string())),
            State::Down(_) | State::Closed => Err(Error::Closed),
        }
    }
}

async fn connect(settings: &Settings, role: &'static str) -> Result<Arc<Session>> {
    let (connection, socket) = dial(settings, role).await?;
    let session = Session::new(connection, socket, settings.confirm_timeout);
    if let Err(error) = topology::declare(&session).await {
        session.cut("exchanges can't be declared");
        return Err(error);
    }
    metrics::gauge!("limekiln_broker_connected", "link" => role).set(1);
    Ok(Arc::new(session))
}

/// The task that keeps a link connected.
struct Supervisor {
    role: &'static str,
    settings: Settings,
    state: watch::Sender<State>,
    hung_up: CancellationToken,
}

impl Supervisor {
    async fn run(self, mut session: Option<Arc<Session>>) {
        loop {
            if let Some(session) = session.take() {
                let reason = tokio::select! {
                    reason = self.end(&session) => reason,
                    () = self.hung_up.cancelled() => break self.hang_up(&session).await,
                };
                tracing::warn!(link = self.role, reason, "lost rabbitmq");
                metrics::gauge!("limekiln_broker_connected", "link" => self.role).set(0);
                self.state.send_replace(State::Down(reason.into()));
                session.end();
            }
            let Some(next) = self.reconnect().await else {
                break;
            };
            tracing::info!(link = self.role, "rabbitmq is back");
            metrics::counter!("limekiln_broker_reconnects_total", "link" => self.role).increment(1);
            self.state.send_replace(State::Up(Arc::clone(&next)));
            session = Some(next);
        }
        self.state.send_replace(State::Closed);
    }

    /// Waits for the connection's end, and returns why it ended.
    async fn end(&self, session: &Session) -> String {
        let blocked = metrics::gauge!("limekiln_broker_blocked", "link" => self.role);
        blocked.set(0);
        let mut events = std::pin::pin!(session.connection.events_listener());
        let mut reason = "connection lost".to_owned();
        loop {
            tokio::select! {
                event = events.next() => match event {
                    // A channel's errors are reported here as well; the status below tells whether the connection ended.
                    Some(Event::Error(error)) => reason = error.to_string(),
                    Some(Event::ConnectionBlocked(why)) => {
                        tracing::error!(link = self.role, why, "rabbitmq takes no messages until it has memory and disk again");
                        session.block(why.to_string());
                        blocked.set(1);
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::info!(link = self.role, "rabbitmq takes messages again");
                        blocked.set(0);
                    }
                    Some(_) => {}
                    None => return reason,
                },
                () = session.ended.cancelled() => return reason,
                () = tokio::time::sleep(CHECK_EVERY) => {}
            }
            if !session.connection.status().connected() {
                return reason;
            }
        }
    }

    /// Connects again, trying until it works. None when the link was hung up meanwhile.
    async fn reconnect(&self) -> Option<Arc<Session>> {
        for delay in RETRY.start() {
            let attempt = async {
                tokio::time::sleep(delay).await;
                connect(&self.settings, self.role).await
            };
            let attempt = tokio::select! {
                attempt = attempt => attempt,
                () = self.hung_up.cancelled() => return None,
            };
            match attempt {
                Ok(session) => return Some(session),
                Err(error) => {
                    tracing::warn!(link = self.role, %error, "rabbitmq is still away");
                    self.state
                        .send_replace(State::Down(error.to_string().into()));
                }
            }
        }
        None
    }

    async fn hang_up(&self, session: &Session) {
        let closing = session.connection.close(200, "bye".into());
        match timeout(Duration::from_secs(2), closing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(link = self.role, %error, "connection had ended already")
            }
            Err(_) => tracing::debug!(link = self.role, "no answer to the end of the connection"),
        }
        session.end();
        metrics::gauge!("limekiln_broker_connected", "link" => self.role).set(0);
    }
}
