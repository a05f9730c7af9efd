//! What our client would never send: the SDK without our care, and HTTP by hand.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    presigning::PresigningConfig,
};
use limekiln_blobs::Settings;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use url::Url;

pub(crate) fn client(settings: &Settings) -> Client {
    let credentials = settings.credentials.as_ref().unwrap();
    Client::from_conf(
        aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .force_path_style(true)
            .endpoint_url(
                settings
                    .endpoint
                    .as_ref()
                    .unwrap()
                    .as_str()
                    .trim_end_matches('/'),
            )
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new(
                &credentials.access_key,
                &credentials.secret_key,
                None,
                None,
                "test",
            ))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build(),
    )
}

/// A URL to which anybody may put one object.
pub(crate) async fn put_url(settings: &Settings, key: &str) -> Url {
    let signed = client(settings)
        .put_object()
        .bucket(&settings.bucket)
        .key(key)
        .presigned(PresigningConfig::expires_in(Duration::from_secs(60)).unwrap())
        .await
        .unwrap();
    signed.uri().parse().unwrap()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// One request on a connection of its own. `announced` is what it says its body has, whatever it has. No answer: none.
pub(crate) async fn ask(
    method: &str,
    url: &Url,
    path: &str,
    announced: usize,
    body: &[u8],
) -> Option<Answer> {
    let mut stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap()))
        .await
        .unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}:{}\r\nContent-Length: {announced}\r\nConnection: close\r\n\r\n",
        url.host_str().unwrap(),
        url.port().unwrap()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    if body.len() < announced {
        stream.shutdown().await.unwrap();
    }
    let mut answer = Vec::new();
    // A reset is an answer too: the connection has ended, which is what is waited for.
    let ended =
        tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
    ended
        .expect("the server neither answers nor hangs up")
        .ok()?;
    let middle = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..middle].to_vec())
        .unwrap()
        .to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer {
        status,
        head,
        body: answer[middle + 4..].to_vec(),
    })
}

/// What follows the host in a URL.
pub(crate) fn path(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}
