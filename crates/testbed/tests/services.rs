//! The services themselves: what every other test relies on.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::HashSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use limekiln_blobs::{Blobs, Key};
use limekiln_testbed::{Postgres, Proxy, RabbitMq, S3, port_free, until};
use sqlx::{Connection, Executor, PgConnection, Row};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_database_each_and_they_survive_a_kill() {
    let postgres = Postgres::durable();
    let (one, two) = (postgres.database().await, postgres.database().await);
    let mut connection = PgConnection::connect(&one).await.unwrap();
    connection
        .execute("create table kept (n int)")
        .await
        .unwrap();
    connection
        .execute("insert into kept values (7)")
        .await
        .unwrap();
    let row = connection
        .fetch_one("show synchronous_commit")
        .await
        .unwrap();
    assert_eq!(row.get::<String, _>(0), "on");

    postgres.kill9().await;
    assert!(connection.fetch_one("select n from kept").await.is_err());
    postgres.run().await;
    let mut connection = PgConnection::connect(&one).await.unwrap();
    let row = connection.fetch_one("select n from kept").await.unwrap();
    assert_eq!(row.get::<i32, _>(0), 7);
    let mut other = PgConnection::connect(&two).await.unwrap();
    assert!(
        other.execute("select n from kept").await.is_err(),
        "the databases are one"
    );
}

#[tokio::test]
async fn a_vhost_each_and_a_node_that_comes_back() {
    let rabbit = RabbitMq::start();
    let (one, two) = (rabbit.vhost().await, rabbit.vhost().await);
    assert_ne!(one, two);
    let count = rabbit.eval("length(rabbit_vhost:list_names()).").await;
    assert_eq!(count, "3");
    let mut calls = JoinSet::new();
    for _ in 0..32 {
        let rabbit = rabbit.clone();
        calls.spawn(async move { rabbit.eval("timer:sleep(50).").await });
    }
    assert_eq!(calls.join_all().await, vec!["ok"; 32], "calls at once");
    rabbit.restart().await;
    assert_eq!(rabbit.eval("length(rabbit_vhost:list_names()).").await, "3");
    rabbit.purge().await;
    rabbit.connections_close().await;
    rabbit.kill9().await;
    assert!(
        TcpStream::connect(("127.0.0.1", rabbit.port()))
            .await
            .is_err()
    );
}

async fn s3_keeps(s3: &S3) -> Blobs {
    let blobs = Blobs::connect(&s3.settings(&s3.bucket())).await.unwrap();
    blobs.bucket_ensure().await.unwrap();
    let key: Key = "t/one".parse().unwrap();
    blobs.put(&key, "kept".into(), "text/plain").await.unwrap();
    blobs
}

async fn s3_kept(blobs: &Blobs) -> Option<Vec<u8>> {
    let key: Key = "t/one".parse().unwrap();
    blobs.get(&key, None, 100).await.ok().map(Into::into)
}

#[tokio::test]
async fn s3_goes_and_comes_back() {
    let s3 = S3::start();
    let blobs = s3_keeps(&s3).await;
    s3.stop().await;
    assert_eq!(s3_kept(&blobs).await, None);
    s3.run().await;
    assert_eq!(s3_kept(&blobs).await.as_deref(), Some(&b"kept"[..]));
}

/// Runs `work` while other threads start children: each has our sockets and locks until it becomes another program.
fn while_children_start<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let done = AtomicBool::new(false);
    let worked = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert!(Command::new("true").status().unwrap().success());
                }
            });
        }
        let worked = scope.spawn(work).join();
        done.store(true, Ordering::Relaxed);
        worked
    });
    worked.unwrap()
}

#[test]
fn a_port_is_given_once_and_is_free() {
    let mut given = HashSet::new();
    let taken: Vec<u16> = while_children_start(|| {
        (0..500)
            .map(|_| port_free())
            .filter(|port| {
                !given.insert(*port) || std::net::TcpListener::bind(("127.0.0.1", *port)).is_err()
            })
            .collect()
    });
    assert!(taken.is_empty(), "not free: {taken:?}");
}

#[test]
fn s3_comes_back_at_once() {
    let s3 = S3::start();
    while_children_start(|| {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            for _ in 0..50 {
                s3.stop().await;
                s3.run().await;
            }
        });
    });
}

#[tokio::test]
async fn s3_of_another_make() {
    let s3 = S3::independent();
    let blobs = s3_keeps(&s3).await;
    assert_eq!(s3_kept(&blobs).await.as_deref(), Some(&b"kept"[..]));
}

/// A server that sends back what it gets.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    port
}

async fn said_back(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<()> {
    stream.write_all(text).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer, text);
    Ok(())
}

#[tokio::test]
async fn the_proxy_passes_cuts_refuses_slows_and_swallows() {
    let proxy = Proxy::start(echo().await);
    let connect = async || {
        TcpStream::connect(("127.0.0.1", proxy.port()))
            .await
            .unwrap()
    };
    let mut stream = connect().await;
    said_back(&mut stream, b"passes").await.unwrap();

    proxy.cut();
    let mut end = [0; 1];
    assert!(
        !matches!(stream.read(&mut end).await, Ok(1..)),
        "the connection was not cut"
    );
    let mut stream = connect().await;
    said_back(&mut stream, b"passes again").await.unwrap();

    proxy.refuse();
    let mut refused = connect().await;
    assert!(said_back(&mut refused, b"no").await.is_err());
    proxy.resume();

    let mut stream = connect().await;
    proxy.slow(1_000_000, Duration::from_millis(60));
    let start = std::time::Instant::now();
    said_back(&mut stream, b"late").await.unwrap();
    assert!(
        start.elapsed() >= Duration::from_millis(120),
        "{:?}",
        start.elapsed()
    );

    proxy.blackhole();
    let quiet =
        tokio::time::timeout(Duration::from_millis(200), said_back(&mut stream, b"held")).await;
    assert!(quiet.is_err(), "something passed");
    proxy.resume();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"held");
}

/// A process that is killed leaves neither servers nor directories. The process is this test again, told by a variable to
/// start everything and wait for its end.
#[tokio::test]
async fn nothing_is_left_behind() {
    const CHILD: &str = "LIMEKILN_TESTBED_CHILD";
    if let Ok(file) = std::env::var(CHILD) {
        let (postgres, rabbit) = (Postgres::start(), RabbitMq::start());
        std::fs::write(&file, format!("{} {}", postgres.port(), rabbit.port())).unwrap();
        std::future::pending::<()>().await;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ports");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nothing_is_left_behind"])
        .env(CHILD, &file)
        .env("TMPDIR", dir.path())
        .spawn()
        .unwrap();
    std::fs::set_permissions(
        dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let mut ports = Vec::<u16>::new();
    until(
        "the services of the child",
        Duration::from_secs(120),
        async || {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            ports = text
                .split(' ')
                .filter_map(|port| port.parse().ok())
                .collect();
            ports.len() == 2
        },
    )
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    until("the services' end", Duration::from_secs(20), async || {
        let processes = Command::new("ps").args(["-eo", "args"]).output().unwrap();
        let processes = String::from_utf8(processes.stdout).unwrap();
        !processes.contains(&dir.path().display().to_string())
            && !ports
                .iter()
                .any(|port| processes.contains(&format!("testbed{port}@")))
    })
    .await;
    until("the directory's end", Duration::from_secs(20), async || {
        std::fs::read_dir(dir.path()).unwrap().count() == 1
    })
    .await;
}
