//! A connection that comes back, and its sessions in between.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::{Channel, Connection, Event};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::dial::{Socket, dial};
use super::topology;
use crate::{Error, Result, Settings};

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_LAST: Duration = Duration::from_secs(5);
/// Between two looks at a connection, should an event of its end get lost.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A connection that comes back. Cheap to clone.
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

/// One connection, from its handshake to its end.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    socket: Socket,
    /// Cancelled once the connection is gone.
    pub(super) ended: CancellationToken,
    timeout: Duration,
}

impl Link {
    /// Connects and declares what everything else rests on; from then on keeps connected until `hung_up`.
    pub(super) async fn open(
        role: &'static str,
        settings: &Settings,
        hung_up: CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<Self> {
        let first = connect(settings, role).await?;
        let (sender, state) = watch::channel(State::Up(Arc::clone(&first)));
        let keeper = Keeper {
            role,
            settings: settings.clone(),
            state: sender,
            hung_up,
        };
        tasks.spawn(keeper.run(first));
        Ok(Self { state })
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(_))
    }

    /// The session there is, or the next one if it comes within `patience`.
    pub(super) async fn session(&self, patience: Duration) -> Result<Arc<Session>> {
        let mut state = self.state.clone();
        let coming = timeout(
            patience,
            state.wait_for(|state| !matches!(state, State::Down(_))),
        )
        .await;
        match coming {
            Ok(Ok(state)) => match &*state {
                State::Up(session) => Ok(Arc::clone(session)),
                State::Down(reason) => Err(Error::Disconnected(reason.to_string())),
                State::Closed => Err(Error::Closed),
            },
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => match &*self.state.borrow() {
                State::Up(session) => Ok(Arc::clone(session)),
                State::Down(reason) => Err(Error::Disconnected(reason.to_string())),
                State::Closed => Err(Error::Closed),
            },
        }
    }
}

impl Session {
    /// A new channel. When even that gets no answer, the connection is given up.
    pub(super) async fn channel(&self) -> Result<Channel> {
        let opened = self
            .call("channel", self.connection.create_channel(), self.timeout)
            .await;
        if matches!(opened, Err(Error::Unconfirmed(_))) {
            self.cut("no answer in time");
        }
        opened
    }

    /// Waits for the broker's answer, but not for ever.
    pub(super) async fn rpc<T>(
        &self,
        name: &str,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T> {
        self.rpc_within(name, call, self.timeout).await
    }

    /// Waits so long for the broker's answer. Without one the fault may be this queue's alone: a new channel tells.
    pub(super) async fn rpc_within<T>(
        &self,
        name: &str,
        call: impl Future<Output = lapin::Result<T>>,
        limit: Duration,
    ) -> Result<T> {
        let answer = self.call(name, call, limit).await;
        if matches!(answer, Err(Error::Unconfirmed(_))) {
            // A dropped channel closes itself.
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
        if self.is_blocked() {
            return Err(Error::Blocked);
        }
        tokio::select! {
            answer = timeout(limit, call) => match answer {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(Error::named(name, error)),
                Err(_) if self.is_blocked() => Err(Error::Blocked),
                Err(_) => Err(Error::Unconfirmed(limit)),
            },
            () = self.ended.cancelled() => Err(Error::Disconnected("connection lost".to_owned())),
        }
    }

    /// Whether RabbitMQ takes nothing from us for lack of memory or disk.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// Gives the connection up.
    pub(super) fn cut(&self, why: &str) {
        if !self.ended.is_cancelled() {
            tracing::warn!(why, "giving up a connection to rabbitmq");
        }
        self.ended.cancel();
        self.socket.shut();
    }
}

async fn connect(settings: &Settings, role: &'static str) -> Result<Arc<Session>> {
    let (connection, socket) = dial(settings, role).await?;
    let session = Session {
        connection,
        socket,
        ended: CancellationToken::new(),
        timeout: settings.confirm_timeout,
    };
    if let Err(error) = topology::declare(&session).await {
        session.cut("exchanges can't be declared");
        return Err(error);
    }
    metrics::gauge!("limekiln_broker_connected", "link" => role).set(1);
    Ok(Arc::new(session))
}

/// Keeps a link connected.
struct Keeper {
    role: &'static str,
    settings: Settings,
    state: watch::Sender<State>,
    hung_up: CancellationToken,
}

impl Keeper {
    async fn run(self, mut session: Arc<Session>) {
        loop {
            let reason = tokio::select! {
                reason = self.end(&session) => reason,
                () = self.hung_up.cancelled() => break self.hang_up(&session).await,
            };
            tracing::warn!(link = self.role, reason, "lost rabbitmq");
            metrics::gauge!("limekiln_broker_connected", "link" => self.role).set(0);
            self.state.send_replace(State::Down(reason.into()));
            session.ended.cancel();
            session.socket.shut();
            let Some(next) = self.reconnect().await else {
                break;
            };
            tracing::info!(link = self.role, "rabbitmq is back");
            metrics::counter!("limekiln_broker_reconnects_total", "link" => self.role).increment(1);
            self.state.send_replace(State::Up(Arc::clone(&next)));
            session = next;
        }
        self.state.send_replace(State::Closed);
    }

    /// Waits for the connection's end; why it ended.
    async fn end(&self, session: &Session) -> String {
        let blocked = metrics::gauge!("limekiln_broker_blocked", "link" => self.role);
        blocked.set(0);
        let mut events = std::pin::pin!(session.connection.events_listener());
        let mut reason = "connection lost".to_owned();
        loop {
            tokio::select! {
                event = events.next() => match event {
                    // Errors of a channel come this way as well; the look below tells them apart.
                    Some(Event::Error(error)) => reason = error.to_string(),
                    Some(Event::ConnectionBlocked(why)) => {
                        tracing::error!(link = self.role, why, "rabbitmq takes no messages until it has memory and disk again");
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
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if !session.connection.status().connected() {
                return reason;
            }
        }
    }

    /// Tries until it works; none when hung up meanwhile.
    async fn reconnect(&self) -> Option<Arc<Session>> {
        let mut backoff = BACKOFF_FIRST;
        loop {
            let attempt = async {
                tokio::time::sleep(jittered(backoff)).await;
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
            backoff = (backoff * 2).min(BACKOFF_LAST);
        }
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
        session.ended.cancel();
        session.socket.shut();
        metrics::gauge!("limekiln_broker_connected", "link" => self.role).set(0);
    }
}

/// Between one and one and a half times as long, so that a fleet does not come back all at once.
pub(super) fn jittered(pause: Duration) -> Duration {
    // The last bytes of a v7 id are random.
    let [.., random] = *Uuid::now_v7().as_bytes();
    pause + pause.mul_f64(f64::from(random) / 512.0)
}
