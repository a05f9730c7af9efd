//! A TCP proxy that cuts, refuses, slows down or swallows connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::port::port_free;

/// What happens to the bytes that the proxy carries.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mode {
    /// Bytes pass at once.
    #[default]
    Open,
    /// Bytes pass late, and at a limited rate in each direction of a connection.
    Slow {
        bytes_per_second: u64,
        latency: Duration,
    },
    /// Connections are accepted and stay, but nothing arrives.
    Blackhole,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    mode: Mode,
    /// New connections are closed as soon as they are made.
    refuse: bool,
    /// Connections of an earlier generation are cut.
    generation: u64,
}

/// A TCP proxy in front of one address, on a thread of its own. Dropping it cuts all connections and ends it.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    accepted: Arc<AtomicU64>,
}

impl Proxy {
    /// Starts a proxy on a free port of this machine, in front of a port of this machine.
    ///
    /// # Panics
    ///
    /// When no port is free.
    #[must_use]
    pub fn start(target_port: u16) -> Self {
        let port = port_free();
        let (state, watched) = watch::channel(State::default());
        let accepted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&accepted);
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name(format!("proxy-{port}"))
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
                        .await
                        .unwrap();
                    ready.send(()).unwrap();
                    accept(
                        listener,
                        (Ipv4Addr::LOCALHOST, target_port).into(),
                        watched,
                        &count,
                    )
                    .await;
                });
            })
            .unwrap();
        is_ready.recv().unwrap();
        Self {
            port,
            state,
            accepted,
        }
    }

    /// The port on which the proxy listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `url` with the proxy's port in place of the service's.
    ///
    /// # Panics
    ///
    /// When `url` is no URL that can have a port.
    #[must_use]
    pub fn before(&self, url: &str) -> String {
        let mut url = url::Url::parse(url).unwrap();
        url.set_port(Some(self.port)).unwrap();
        url.into()
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Cuts every connection, in the middle of whatever it carries. New connections pass.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }

    /// Cuts every connection, and closes new ones at once until [`Proxy::resume`].
    pub fn refuse(&self) {
        self.state.send_modify(|state| {
            state.refuse = true;
            state.generation += 1;
        });
    }

    /// Lets bytes pass late, and at most so many a second in each direction of a connection.
    pub fn slow(&self, bytes_per_second: u64, latency: Duration) {
        self.state.send_modify(|state| {
            state.mode = Mode::Slow {
                bytes_per_second,
                latency,
            }
        });
    }

    /// Lets nothing through, while connections stay and new ones are accepted.
    pub fn blackhole(&self) {
        self.state.send_modify(|state| state.mode = Mode::Blackhole);
    }

    /// Everything passes again. Bytes held back by a blackhole arrive.
    pub fn resume(&self) {
        self.state.send_modify(|state| {
            state.mode = Mode::Open;
            state.refuse = false;
        });
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    mut state: watch::Receiver<State>,
    accepted: &AtomicU64,
) {
    loop {
        let client = tokio::select! {
            client = listener.accept() => client,
            () = closed(&mut state) => return,
        };
        let Ok((client, _)) = client else { continue };
        accepted.fetch_add(1, Ordering::Relaxed);
        if state.borrow().refuse {
            continue;
        }
        tokio::spawn(carry(client, target, state.clone()));
    }
}

/// Waits until the proxy is dropped.
async fn closed(state: &mut watch::Receiver<State>) {
    while state.changed().await.is_ok() {}
}

/// Carries one connection until either end closes both directions, or it is cut.
async fn carry(mut client: TcpStream, target: SocketAddr, state: watch::Receiver<State>) {
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    // Without this option small messages wait for each other, which costs time but breaks nothing.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let mut cut = state.clone();
    let generation = state.borrow().generation;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let there = pump(from_client, to_server, state.clone());
    let back = pump(from_server, to_client, state);
    let cut = tokio::select! {
        // When one end resets the connection, as the end of a killed process does, the other end is reset as well.
        carried = async { tokio::try_join!(there, back) } => carried.is_err(),
        _ = cut.wait_for(|state| state.generation != generation) => true,
    };
    if cut {
        // A cut connection ends with a reset, not with an orderly shutdown, as when a machine dies.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Carries one direction, and passes its end on.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let limit = match state.borrow().mode {
            Mode::Slow {
                bytes_per_second, ..
            } => usize::try_from(bytes_per_second / 20)
                .unwrap_or(usize::MAX)
                .max(1),
            _ => buffer.len(),
        };
        let limit = limit.min(buffer.len());
        let read = from.read(&mut buffer[..limit]).await?;
        let arrived = Instant::now();
        let mode = loop {
            let mode = state.borrow_and_update().mode;
            if mode != Mode::Blackhole {
                break mode;
            }
            if state.changed().await.is_err() {
                return Ok(());
            }
        };
        if read == 0 {
            return to.shutdown().await;
        }
        if let Mode::Slow { latency, .. } = mode {
            sleep_until(arrived + latency).await;
        }
        to.write_all(&buffer[..read]).await?;
        if let Mode::Slow {
            bytes_per_second, ..
        } = mode
        {
            let nanos = read as u128 * 1_000_000_000 / u128::from(bytes_per_second.max(1));
            sleep(Duration::from_nanos(
                u64::try_from(nanos).unwrap_or(u64::MAX),
            ))
            .await;
        }
    }
}
