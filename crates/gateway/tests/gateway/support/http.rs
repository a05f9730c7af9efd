//! HTTP by hand: what no well-behaved client would send can be sent.

use std::collections::HashMap;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;

use limekiln_fixture::PATIENCE;

/// A request, byte by byte.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// What is said of the body; by default the truth.
    pub(crate) length: Option<u64>,
    /// Whether nothing more comes after the body that is there.
    pub(crate) hang_up: bool,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            line: format!("{method} {path} HTTP/1.1"),
            headers: Vec::new(),
            body: Vec::new(),
            length: None,
            hang_up: false,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("authorization", format!("Bearer {key}"))
    }

    pub(crate) fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", media_type)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Claims another length.
    pub(crate) fn length(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }

    /// Sends what is there, then nothing.
    pub(crate) fn hang_up(mut self) -> Self {
        self.hang_up = true;
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\r\n", self.line).into_bytes();
        if !self.headers.iter().any(|(name, _)| name == "host") {
            bytes.extend(b"host: limekiln\r\n");
        }
        for (name, value) in &self.headers {
            bytes.extend(name.as_bytes());
            bytes.extend(b": ");
            bytes.extend(value);
            bytes.extend(b"\r\n");
        }
        let chunked = self
            .headers
            .iter()
            .any(|(name, _)| name == "transfer-encoding");
        if !chunked
            && (!self.body.is_empty() || self.length.is_some() || self.line.starts_with("POST"))
        {
            bytes.extend(
                format!(
                    "content-length: {}\r\n",
                    self.length.unwrap_or(self.body.len() as u64)
                )
                .as_bytes(),
            );
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

/// An answer. Status 0: the connection was closed without one.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The code of a problem document.
    pub(crate) fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.text()
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        let code = problem["code"].as_str().unwrap().to_owned();
        assert_eq!(problem["type"], format!("/docs#{code}"));
        code
    }
}

/// Sends a request on a connection of its own and reads the whole answer.
pub(crate) async fn send(address: SocketAddr, request: Request) -> Reply {
    let hang_up = request.hang_up;
    raw(
        address,
        &request.bytes(),
        hang_up,
        request.line.starts_with("HEAD"),
    )
    .await
}

/// Gets what is at a presigned address, which needs no key.
pub(crate) async fn presigned(url: &str) -> Reply {
    let url: url::Url = url.parse().unwrap();
    let address = url.socket_addrs(|| None).unwrap()[0];
    let request = Request::new("GET", &url[url::Position::BeforePath..]);
    send(address, request.header("host", address.to_string())).await
}

/// Sends bytes, whatever they are, and reads the answer.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8], hang_up: bool, head: bool) -> Reply {
    let exchange = async {
        let mut open = Open::connect(address).await;
        open.write(bytes, hang_up).await;
        let mut reply = open.head().await;
        if !head {
            reply.body = open.rest(&reply).await;
        }
        reply
    };
    timeout(PATIENCE * 2, exchange).await.expect("no answer")
}

/// Opens a stream and reads no further than its head.
pub(crate) async fn open(address: SocketAddr, request: Request) -> (Reply, Open) {
    let exchange = async {
        let mut open = Open::connect(address).await;
        open.write(&request.bytes(), request.hang_up).await;
        (open.head().await, open)
    };
    timeout(PATIENCE, exchange).await.expect("no answer")
}

/// A connection.
pub(crate) struct Open {
    reader: BufReader<OwnedReadHalf>,
    writer: Option<tokio::net::tcp::OwnedWriteHalf>,
    /// Bytes of the current chunk that were not read.
    chunk: Vec<u8>,
}

impl Open {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let (reader, writer) = TcpStream::connect(address).await.unwrap().into_split();
        Self {
            reader: BufReader::with_capacity(2048, reader),
            writer: Some(writer),
            chunk: Vec::new(),
        }
    }

    /// Writes; the other side may close before it has everything.
    pub(crate) async fn write(&mut self, bytes: &[u8], hang_up: bool) {
        let writer = self.writer.as_mut().unwrap();
        let _ = writer.write_all(bytes).await;
        if hang_up {
            let _ = writer.shutdown().await;
            self.writer = None;
        }
    }

    pub(crate) async fn head(&mut self) -> Reply {
        let mut reply = Reply {
            status: 0,
            headers: HashMap::new(),
            body: Vec::new(),
        };
        let mut line = String::new();
        if self.reader.read_line(&mut line).await.unwrap_or(0) == 0 {
            return reply;
        }
        reply.status = line.split(' ').nth(1).unwrap().parse().unwrap();
        loop {
            line.clear();
            if self.reader.read_line(&mut line).await.unwrap_or(0) == 0 || line == "\r\n" {
                return reply;
            }
            let (name, value) = line.trim_end().split_once(": ").unwrap();
            reply
                .headers
                .insert(name.to_ascii_lowercase(), value.to_owned());
        }
    }

    pub(crate) async fn rest(&mut self, reply: &Reply) -> Vec<u8> {
        let mut body = Vec::new();
        if let Some(length) = reply.header("content-length") {
            body.resize(length.parse().unwrap(), 0);
            if self.reader.read_exact(&mut body).await.is_err() {
                body.clear();
            }
        } else if reply.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk().await {
                body.extend(chunk);
            }
        }
        body
    }

    /// The next chunk of a chunked body.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = String::new();
        self.reader.read_line(&mut line).await.ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        self.reader.read_exact(&mut chunk).await.ok()?;
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// The next server-sent event, comments and `retry` left out; none at the stream's end.
    pub(crate) async fn event(&mut self) -> Option<Sent> {
        loop {
            while let Some(at) = self.chunk.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.chunk.drain(..at + 2).collect();
                let block = String::from_utf8(block).unwrap();
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name).map(str::to_owned))
                };
                if let Some(kind) = field("event: ") {
                    let id = field("id: ").map(|id| id.parse().unwrap());
                    return Some(Sent {
                        id,
                        kind,
                        data: serde_json::from_str(&field("data: ").unwrap()).unwrap(),
                    });
                }
            }
            let more = self.chunk().await?;
            self.chunk.extend(more);
        }
    }
}

/// A server-sent event.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) id: Option<u64>,
    pub(crate) kind: String,
    pub(crate) data: Value,
}
