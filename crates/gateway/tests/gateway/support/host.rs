//! A host of others, which has pictures.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What is answered to requests for a path; the newest counts.
type Answers = Arc<Mutex<Vec<(&'static str, Vec<u8>)>>>;

/// A host of pictures, which answers by the path, and may answer otherwise later.
pub(crate) struct Host {
    pub(crate) url: String,
    /// How often it was asked.
    pub(crate) asked: Arc<AtomicUsize>,
    answers: Answers,
}

impl Host {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            answers: Arc::default(),
        };
        let (asked, answers) = (host.asked.clone(), host.answers.clone());
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let (asked, answers) = (asked.clone(), answers.clone());
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        if connection.read_buf(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                    let line = String::from_utf8(request).unwrap();
                    let path = line.split([' ', '?']).nth(1).unwrap().to_owned();
                    let answer = {
                        let answers = answers.lock().unwrap();
                        let found = answers.iter().rev().find(|(of, _)| *of == path);
                        found.map(|(_, answer)| answer.clone())
                    };
                    let missing = || head("404 Not Found", 0).into_bytes();
                    let answer = answer.unwrap_or_else(missing);
                    let _ = connection.write_all(&answer).await;
                    // A body that never ends.
                    while answer.ends_with(b"chunked\r\n\r\n")
                        && connection.write_all(b"4\r\nabcd\r\n").await.is_ok()
                    {
                    }
                });
            }
        });
        host
    }

    pub(crate) fn answers(&self, path: &'static str, answer: impl Into<Vec<u8>>) {
        self.answers.lock().unwrap().push((path, answer.into()));
    }

    pub(crate) fn has(&self, path: &'static str, bytes: &[u8]) {
        let head = head("200 OK", bytes.len());
        self.answers(path, [head.as_bytes(), bytes].concat());
    }
}

/// The head of an answer.
pub(crate) fn head(status: &str, bytes: usize) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n")
}

/// An answer that sends elsewhere.
pub(crate) fn moved(to: &str) -> String {
    format!(
        "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
}
