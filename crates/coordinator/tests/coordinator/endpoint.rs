//! An endpoint for webhooks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use limekiln_store::Secret;
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether it is signed with the secret, by the Standard Webhooks scheme.
    pub(crate) fn is_signed(&self, secret: &Secret) -> bool {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let headers = lines
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let webhook = Webhook::new(secret.expose()).unwrap();
        webhook.verify(&self.body, &headers).is_ok()
    }
}

/// Answers the n-th request with the n-th status, and all later ones with the last. Status 0 never answers, 1 hangs up.
pub(crate) struct Endpoint {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Endpoint {
    pub(crate) async fn start(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Self {
            address: listener.local_addr().unwrap(),
            received: Arc::default(),
        };
        let received = Arc::clone(&endpoint.received);
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(connection, Arc::clone(&received), statuses));
            }
        });
        endpoint
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn answer(
    mut connection: TcpStream,
    received: Arc<Mutex<Vec<Received>>>,
    statuses: &'static [u16],
) {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        if connection.read_buf(&mut bytes).await.unwrap() == 0 {
            return;
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .unwrap();
            break (head.clone(), length.parse::<usize>().unwrap());
        }
    };
    while bytes.len() < length {
        assert!(
            connection.read_buf(&mut bytes).await.unwrap() > 0,
            "a whole body"
        );
    }
    let n = {
        let mut received = received.lock().unwrap();
        received.push(Received { head, body: bytes });
        received.len() - 1
    };
    let status = statuses[n.min(statuses.len() - 1)];
    if status == 0 {
        return std::future::pending().await;
    }
    if status == 1 {
        return;
    }
    let answer =
        format!("HTTP/1.1 {status} Status\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // The client may be gone.
    let _ = connection.write_all(answer.as_bytes()).await;
}
