use super::*;
use reqwest::header::{HeaderMap, HeaderName};
use standardwebhooks::Webhook;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::webhooks::is_public;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OK: &str = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";

/// An endpoint that answers every connection's first request with the same bytes.
struct Endpoint {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    async fn start(answer: &'static str) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
    }

    fn on(listener: TcpListener, answer: &'static str) -> Self {
        let endpoint = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
        };
        let requests = Arc::clone(&endpoint.requests);
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let requests = Arc::clone(&requests);
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"}") {
                        if connection.read_buf(&mut request).await.unwrap() == 0 {
                            return;
                        }
                    }
                    requests
                        .lock()
                        .unwrap()
                        .push(String::from_utf8(request).unwrap());
                    if answer.is_empty() {
                        std::future::pending::<()>().await;
                    }
                    // The client may be gone before all is written.
                    while connection.write_all(answer.as_bytes()).await.is_ok()
                        && answer.contains("chunked")
                    {}
                });
            }
        });
        endpoint
    }

    fn url(&self) -> String {
        format!("http://{}/hook?token=x", self.address)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn settings(allow_private: bool) -> Webhooks {
    // A second process-wide provider is refused; the first does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Webhooks {
        allow_private,
        timeout: Duration::from_secs(5),
        ..Webhooks::default()
    }
}

async fn deliver(client: &Client, url: &str) -> Outcome {
    let secrets = [Secret::new(SECRET)];
    let body = Bytes::from_static(b"{\"id\":1}");
    client.deliver(WebhookId::new(), url, &secrets, body).await
}

#[tokio::test]
async fn a_delivery_is_signed_json() {
    let endpoint = Endpoint::start(OK).await;
    let client = Client::new(&settings(true)).unwrap();
    assert_eq!(deliver(&client, &endpoint.url()).await, Outcome::Delivered);
    let [request] = endpoint.requests().try_into().unwrap();
    assert!(
        request.starts_with("POST /hook?token=x HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("content-type: application/json\r\n"),
        "{request}"
    );
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut headers = HeaderMap::new();
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(": ").unwrap();
        headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let webhook = Webhook::new(SECRET).unwrap();
    webhook.verify(body.as_bytes(), &headers).unwrap();
    assert!(webhook.verify(b"{\"id\":2}", &headers).is_err());
    assert!(headers.contains_key("limekiln-signature"));
}

#[tokio::test]
async fn answers_other_than_success_are_failures_and_redirects_are_not_followed() {
    let client = Client::new(&settings(true)).unwrap();
    let target = Endpoint::start(OK).await;
    let redirect = format!(
        "HTTP/1.1 307 Moved\r\nlocation: {}\r\nconnection: close\r\n\r\n",
        target.url()
    );
    let redirect = Endpoint::start(redirect.leak()).await;
    assert_eq!(
        deliver(&client, &redirect.url()).await,
        Outcome::Failed("the endpoint answered 307".to_owned())
    );
    assert_eq!(target.requests(), [""; 0]);
    let broken = Endpoint::start("HTTP/1.1 500 Oh\r\nconnection: close\r\n\r\n").await;
    assert_eq!(
        deliver(&client, &broken.url()).await,
        Outcome::Failed("the endpoint answered 500".to_owned())
    );
    let gone = Endpoint::start("HTTP/1.1 410 Gone\r\nconnection: close\r\n\r\n").await;
    assert_eq!(deliver(&client, &gone.url()).await, Outcome::Gone);
    let noise = Endpoint::start("SSH-2.0-OpenSSH_9.2\r\n").await;
    assert!(matches!(
        deliver(&client, &noise.url()).await,
        Outcome::Unreached(_)
    ));
}

#[tokio::test]
async fn silence_runs_into_the_timeout_and_an_endless_answer_does_not_matter() {
    let client = Client::new(&Webhooks {
        timeout: Duration::from_millis(200),
        ..settings(true)
    })
    .unwrap();
    let silent = Endpoint::start("").await;
    let outcome = deliver(&client, &silent.url()).await;
    assert!(
        matches!(&outcome, Outcome::Unreached(reason) if reason.starts_with("timed out")),
        "{outcome:?}"
    );
    let client = Client::new(&settings(true)).unwrap();
    let endless = Endpoint::start("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    assert_eq!(deliver(&client, &endless.url()).await, Outcome::Delivered);
}

#[tokio::test]
async fn nobody_there_is_unreached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::new(&settings(true)).unwrap();
    let outcome = deliver(&client, &format!("http://{address}/secret-path")).await;
    let Outcome::Unreached(reason) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        reason.starts_with("can't connect") && !reason.contains("secret-path"),
        "{reason}"
    );
}

#[tokio::test]
async fn private_addresses_are_not_connected_to() {
    let endpoint = Endpoint::start(OK).await;
    let client = Client::new(&settings(false)).unwrap();
    let port = endpoint.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "localhost",
    ] {
        let outcome = deliver(&client, &format!("http://{host}:{port}/")).await;
        assert!(
            matches!(outcome, Outcome::Refused(_)),
            "{host}: {outcome:?}"
        );
    }
    assert_eq!(endpoint.requests(), [""; 0]);
}

fn answering(answers: Vec<Vec<IpAddr>>, asked: Arc<AtomicUsize>) -> Lookup {
    Arc::new(move |_| {
        let n = asked.fetch_add(1, Ordering::Relaxed);
        let addresses = answers[n.min(answers.len() - 1)]
            .iter()
            .map(|ip| SocketAddr::new(*ip, 0))
            .collect();
        Box::pin(async move { Ok(addresses) })
    })
}

#[tokio::test]
async fn a_name_with_private_addresses_alone_is_refused() {
    let endpoint = Endpoint::start(OK).await;
    for private in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"] {
        let lookup = answering(vec![vec![private.parse().unwrap()]], Arc::default());
        let client = Client::with_lookup(&settings(false), lookup, is_public).unwrap();
        let outcome = deliver(
            &client,
            &format!("http://example.com:{}/", endpoint.address.port()),
        )
        .await;
        assert_eq!(
            outcome,
            Outcome::Refused("example.com has no address of the public internet".to_owned()),
            "{private}"
        );
    }
    assert_eq!(endpoint.requests(), [""; 0]);
}

/// 127.0.0.2 stands for the public internet, 127.0.0.1 for the network inside.
#[tokio::test]
async fn the_address_that_was_checked_is_the_one_connected_to() {
    const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (outside, inside) = loop {
        let outside = TcpListener::bind((OUTSIDE, 0)).await.unwrap();
        if let Ok(inside) = TcpListener::bind((INSIDE, outside.local_addr().unwrap().port())).await
        {
            break (Endpoint::on(outside, OK), Endpoint::on(inside, OK));
        }
    };
    let url = format!("http://rebinding.example:{}/", outside.address.port());
    let asked = Arc::new(AtomicUsize::new(0));
    // The name's answer changes after every question, and once it is mixed.
    let lookup = answering(
        vec![
            vec![OUTSIDE],
            vec![INSIDE],
            vec![INSIDE, OUTSIDE],
            vec![INSIDE],
        ],
        Arc::clone(&asked),
    );
    let client = Client::with_lookup(&settings(false), lookup, |ip| ip == OUTSIDE).unwrap();
    assert_eq!(deliver(&client, &url).await, Outcome::Delivered);
    assert_eq!(
        asked.load(Ordering::Relaxed),
        1,
        "asked once, so nothing can change between check and connection"
    );
    assert!(matches!(deliver(&client, &url).await, Outcome::Refused(_)));
    assert_eq!(deliver(&client, &url).await, Outcome::Delivered);
    assert!(matches!(deliver(&client, &url).await, Outcome::Refused(_)));
    assert_eq!((outside.requests().len(), inside.requests().len()), (2, 0));
}
