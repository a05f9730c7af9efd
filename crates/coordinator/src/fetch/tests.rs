use super::*;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const PICTURE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc";

/// A host that answers every request alike, and how often it was asked.
struct Host {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Host {
    async fn start(answer: impl Into<String>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
    }

    fn on(listener: TcpListener, answer: impl Into<String>) -> Self {
        let host = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let (asked, answer) = (host.asked.clone(), answer.into());
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let (asked, answer) = (asked.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        if connection.read_buf(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                    if answer.is_empty() {
                        std::future::pending::<()>().await;
                    }
                    let _ = connection.write_all(answer.as_bytes()).await;
                    // A body that never ends.
                    while answer.contains("chunked")
                        && connection.write_all(b"4\r\nabcd\r\n").await.is_ok()
                    {
                    }
                });
            }
        });
        host
    }

    fn url(&self) -> Url {
        format!("http://{}/a.jpg?sig=secret", self.address)
            .parse()
            .unwrap()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn settings(allow_private: bool) -> FetchSettings {
    // A second process-wide provider is refused; the first does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    FetchSettings {
        allow_private,
        bytes: 100,
        timeout: Duration::from_secs(5),
        per_second: 1000.0,
        ..FetchSettings::default()
    }
}

async fn got(fetcher: &Fetcher, url: &Url) -> Result<Vec<u8>, FetchError> {
    got_of(fetcher, url, |_| true).await
}

async fn got_of(
    fetcher: &Fetcher,
    url: &Url,
    allowed: impl Fn(&Url) -> bool,
) -> Result<Vec<u8>, FetchError> {
    let mut fetched = fetcher.open(url, allowed).await?;
    let mut whole = Vec::new();
    while let Some(piece) = fetched.next().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

fn moved(to: &str) -> String {
    format!(
        "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
}

#[tokio::test]
async fn what_is_there_comes_and_a_redirect_is_followed() {
    let fetcher = Fetcher::new(settings(true)).unwrap();
    let host = Host::start(PICTURE).await;
    assert_eq!(got(&fetcher, &host.url()).await.unwrap(), b"abc");
    let sent_on = Host::start(moved(host.url().as_str())).await;
    assert_eq!(got(&fetcher, &sent_on.url()).await.unwrap(), b"abc");
    // The place that it is sent on to must be allowed, too.
    let only = |port: u16| move |url: &Url| url.port() == Some(port);
    let refused = got_of(&fetcher, &sent_on.url(), only(sent_on.address.port())).await;
    let Err(FetchError::Refused(says)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        says.contains("not among the places") && !says.contains("secret"),
        "{says}"
    );
    assert_eq!((host.asked(), sent_on.asked()), (2, 2));
    let ring = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let itself = format!("http://{}/", ring.local_addr().unwrap());
    let ring = Host::on(ring, moved(&itself));
    assert_eq!(
        got(&fetcher, &ring.url()).await,
        Err(FetchError::Redirects(3))
    );
    assert_eq!(ring.asked(), 4);
    for (to, error) in [
        ("http://[", FetchError::Astray),
        (
            "file:///etc/passwd",
            FetchError::Refused("file: is no way to a picture".to_owned()),
        ),
    ] {
        let host = Host::start(moved(to)).await;
        assert_eq!(got(&fetcher, &host.url()).await, Err(error), "{to}");
    }
}

#[tokio::test]
async fn bytes_and_time_are_bounded_whatever_was_declared() {
    let fetcher = Fetcher::new(settings(true)).unwrap();
    let declared = Host::start("HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n").await;
    assert_eq!(
        got(&fetcher, &declared.url()).await,
        Err(FetchError::Long(100))
    );
    let endless = Host::start("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    assert_eq!(
        got(&fetcher, &endless.url()).await,
        Err(FetchError::Long(100))
    );
    let short =
        Host::start("HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nabc").await;
    let broken = got(&fetcher, &short.url()).await.unwrap_err();
    let silent = Host::start("").await;
    let quick = FetchSettings {
        timeout: Duration::from_millis(100),
        ..settings(true)
    };
    let late = got(&Fetcher::new(quick).unwrap(), &silent.url())
        .await
        .unwrap_err();
    for error in [broken, late] {
        assert!(
            error.is_transient() && !error.to_string().contains("secret"),
            "{error}"
        );
    }
    for (status, again) in [
        (404, false),
        (403, false),
        (500, true),
        (503, true),
        (429, true),
        (206, false),
    ] {
        let host = Host::start(format!(
            "HTTP/1.1 {status} Oh\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        ))
        .await;
        let error = got(&fetcher, &host.url()).await.unwrap_err();
        assert_eq!(
            (&error, error.is_transient()),
            (&FetchError::Status { status }, again)
        );
    }
}

#[tokio::test]
async fn a_redirect_leads_to_no_private_address() {
    let inside = Host::start(PICTURE).await;
    let port = inside.address.port();
    // 127.0.0.2 stands for the public internet.
    const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let lookup: Lookup = Arc::new(|_| Box::pin(async { Ok(vec![SocketAddr::new(OUTSIDE, 0)]) }));
    let fetcher = Fetcher::with_lookup(settings(false), lookup, |ip| ip == OUTSIDE).unwrap();
    for to in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://localhost:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/".to_owned(),
        "http://[fe80::1]/".to_owned(),
    ] {
        let outside = Host::on(TcpListener::bind((OUTSIDE, 0)).await.unwrap(), moved(&to));
        let url = format!("http://cdn.example:{}/", outside.address.port());
        let refused = got(&fetcher, &url.parse().unwrap()).await;
        assert!(
            matches!(refused, Err(FetchError::Refused(_))),
            "{to}: {refused:?}"
        );
        assert_eq!(outside.asked(), 1);
    }
    assert_eq!(inside.asked(), 0);
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_connected_to() {
    const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (outside, inside) = loop {
        let outside = TcpListener::bind((OUTSIDE, 0)).await.unwrap();
        if let Ok(inside) = TcpListener::bind((INSIDE, outside.local_addr().unwrap().port())).await
        {
            break (Host::on(outside, PICTURE), Host::on(inside, PICTURE));
        }
    };
    // The name's answer changes after every question.
    let asked = Arc::new(AtomicUsize::new(0));
    let questions = asked.clone();
    let lookup: Lookup = Arc::new(move |_| {
        let first = questions.fetch_add(1, Ordering::Relaxed) == 0;
        let address = SocketAddr::new(if first { OUTSIDE } else { INSIDE }, 0);
        Box::pin(async move { Ok(vec![address]) })
    });
    let fetcher = Fetcher::with_lookup(settings(false), lookup, |ip| ip == OUTSIDE).unwrap();
    let url = format!("http://rebinding.example:{}/", outside.address.port());
    let url: Url = url.parse().unwrap();
    assert_eq!(got(&fetcher, &url).await.unwrap(), b"abc");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert!(matches!(
        got(&fetcher, &url).await,
        Err(FetchError::Refused(_))
    ));
    assert_eq!((outside.asked(), inside.asked()), (1, 0));
}

#[test]
fn a_host_is_asked_so_often_and_others_meanwhile() {
    let fetcher = Fetcher::new(FetchSettings {
        per_second: 0.001,
        ..settings(true)
    })
    .unwrap();
    let of = |url: &str| fetcher.turn(&url.parse().unwrap());
    let turns: Vec<Instant> = (0..3).map(|_| of("http://a.example/")).collect();
    let pauses: Vec<u128> = turns
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs().into())
        .collect();
    // Once in a hundred seconds is the least.
    assert_eq!(pauses, [100, 100]);
    assert!(of("http://b.example/") < turns[1]);
}
