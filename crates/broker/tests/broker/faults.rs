//! Connections that break, and brokers that refuse.

use std::time::{Duration, Instant};

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};
use limekiln_broker::{Broker, Error, Settings, Update};
use limekiln_jobs::{Class, EditId, Retryable};
use limekiln_testbed::{Proxy, RabbitMq, until};

use crate::kit::*;

/// Another client of the virtual host, for damage that the broker's own handle cannot do.
pub(crate) async fn stranger(url: &str) -> (Connection, lapin::Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_again_and_again() {
    let node = RabbitMq::shared();
    let proxy = Proxy::start(node.port());
    let broker = Broker::connect(&impatient(proxy.before(&node.vhost().await)))
        .await
        .unwrap();
    let mut consumer = broker.consume(&[model("rooms")], None, 16).await.unwrap();
    let announced: Vec<_> = (0..10).map(|_| hints("rooms", Class::Bulk, 50)).collect();
    let expected = edits(announced.iter().flatten());
    let announcing = async {
        for batch in &announced {
            // The cut may come before the batch or in the middle of it.
            let cut = async { proxy.cut() };
            tokio::join!(announce_stubbornly(&broker, batch), cut);
        }
    };
    let taking = take_all(&mut consumer, &expected);
    tokio::join!(announcing, taking);
    assert!(proxy.accepted() > 4, "{} connections", proxy.accepted());
    // Acks written just before the last cut may be lost, and their edits come again. In the end the queue is empty.
    let draining = async {
        while let Some(delivery) = consumer.next().await {
            delivery.ack();
        }
    };
    tokio::select! {
        () = draining => panic!("closed"),
        () = until("an empty queue", SOON, async || {
            broker.depth(&model("rooms")).await.is_ok_and(|depths| depths.iter().all(|depth| depth.ready == 0))
        }) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_closed_by_the_server() {
    let node = node_alone().await;
    let broker = Broker::connect(&impatient(node.vhost().await))
        .await
        .unwrap();
    let mut consumer = broker.consume(&[model("rooms")], None, 4).await.unwrap();
    let mut subscription = broker.subscribe(EditId::new()).await;
    node.connections_close().await;
    assert!(matches!(receive(&mut subscription).await, Update::Lagged));
    let announced = hints("rooms", Class::Interactive, 20);
    announce_and_take(&broker, &mut consumer, &announced).await;
}

/// New models of one test, each read by nine at once.
const MODELS: usize = 12;

/// RabbitMQ closes the connection of a consumer whose queue is declared and does not run yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_read_a_new_model_at_once() {
    let node = RabbitMq::shared();
    let proxy = Proxy::start(node.port());
    let settings = Settings::new(proxy.before(&node.vhost().await));
    let connecting = || async { Broker::connect(&settings).await.unwrap() };
    // Of one process, and of several.
    let brokers = futures_util::future::join_all((0..3).map(|_| connecting())).await;
    let connections = proxy.accepted();
    for round in 0..MODELS {
        let rooms = model(&format!("rooms-{round}"));
        let starting =
            (0..9).map(|n| brokers[n % 3].consume(std::slice::from_ref(&rooms), None, 1));
        let consumers = futures_util::future::join_all(starting).await;
        until("readers", SOON, async || {
            let depths = brokers[0].depth(&rooms).await.unwrap();
            depths.iter().all(|depth| depth.consumers == 9)
        })
        .await;
        drop(consumers);
    }
    assert_eq!(proxy.accepted(), connections, "connections were lost");
}

/// The network swallows everything, so confirms never come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirms_lost_in_a_blackhole() {
    let node = RabbitMq::shared();
    let proxy = Proxy::start(node.port());
    let url = node.vhost().await;
    let settings = Settings {
        // Long, so that the missing confirms are noticed before the missing heartbeats.
        heartbeat: Duration::from_secs(10),
        ..impatient(proxy.before(&url))
    };
    let broker = Broker::connect(&settings).await.unwrap();
    let direct = Broker::connect(&impatient(&url)).await.unwrap();
    let mut consumer = broker.consume(&[model("rooms")], None, 4).await.unwrap();
    announce(&broker, &hints("rooms", Class::Bulk, 1)).await;
    next(&mut consumer).await.ack();
    consumer.flush().await;

    proxy.blackhole();
    let start = Instant::now();
    let unsure = hints("rooms", Class::Bulk, 10);
    let results = broker.announce(&unsure).await;
    let unconfirmed = |result: &_| matches!(result, Err(Error::Unconfirmed(_)));
    assert!(results.iter().all(unconfirmed), "{results:?}");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    until("the connection to be given up", SOON, async || {
        !broker.is_connected()
    })
    .await;
    // Other processes are not affected.
    announce(&direct, &hints("rooms", Class::Interactive, 3)).await;

    proxy.resume();
    announce_and_take(&broker, &mut consumer, &unsure).await;
}

/// The network swallows everything while nothing is sent, so only missing heartbeats tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_in_a_blackhole() {
    let node = RabbitMq::shared();
    let proxy = Proxy::start(node.port());
    let settings = Settings {
        // Long, so that each link makes one attempt to connect during the blackhole.
        connect_timeout: 4 * SOON,
        ..impatient(proxy.before(&node.vhost().await))
    };
    let broker = Broker::connect(&settings).await.unwrap();
    let mut subscription = broker.subscribe(EditId::new()).await;
    let connections = proxy.accepted();
    proxy.blackhole();
    until("both links to connect again", SOON, async || {
        proxy.accepted() == connections + 2
    })
    .await;
    assert!(!broker.is_connected());
    proxy.resume();
    until("the connections to be back", 2 * SOON, async || {
        broker.is_connected()
    })
    .await;
    assert!(matches!(receive(&mut subscription).await, Update::Lagged));
}

/// An abandoned attempt to connect ends its lapin thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_given_up_leave_no_thread() {
    // This server accepts connections and never sends anything.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut kept = Vec::new();
    for _ in 0..5 {
        let settings = Settings {
            connect_timeout: Duration::from_millis(300),
            ..impatient(format!("amqp://127.0.0.1:{port}/%2f"))
        };
        let connecting = Broker::connect(&settings);
        let accepting = async {
            // The server keeps the connection open, so that only the client can end it.
            kept.push(silent.accept().await.unwrap());
        };
        let (connected, ()) = tokio::join!(connecting, accepting);
        let error = connected.unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
    for (stream, _) in kept {
        // The client has shut the connection down, though the server never did.
        let mut stream = stream;
        let ended = async {
            let mut buffer = [0; 64];
            while tokio::io::AsyncReadExt::read(&mut stream, &mut buffer)
                .await
                .is_ok_and(|read| read > 0)
            {}
        };
        tokio::time::timeout(SOON, ended)
            .await
            .expect("the end of the connection");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_queues_and_exchanges_come_again() {
    let url = RabbitMq::shared().vhost().await;
    let broker = Broker::connect(&impatient(&url)).await.unwrap();
    let mut consumer = broker.consume(&[model("rooms")], None, 4).await.unwrap();
    let (_connection, channel) = stranger(&url).await;
    // Queues that are consumed from.
    for class in ["interactive", "bulk"] {
        let queue = format!("limekiln.edits.rooms.{class}");
        channel
            .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
            .await
            .unwrap();
        let announced = hints_of_all_classes("rooms", 10);
        announce_and_take(&broker, &mut consumer, &announced).await;
    }
    // Exchanges that are published to.
    for exchange in [
        "limekiln.edits",
        "limekiln.progress",
        "limekiln.wake",
        "limekiln.stop",
    ] {
        channel
            .exchange_delete(exchange.into(), ExchangeDeleteOptions::default())
            .await
            .unwrap();
    }
    let announced = hints("rooms", Class::Bulk, 10);
    announce_and_take(&broker, &mut consumer, &announced).await;
}

/// Returned messages are told from those that were routed, in whatever order they are announced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_unroutable_messages_are_published_again() {
    let url = RabbitMq::shared().vhost().await;
    let broker = Broker::connect(&impatient(&url)).await.unwrap();
    announce(&broker, &hints("there", Class::Bulk, 1)).await;
    let mixed: Vec<_> = (0..100)
        .flat_map(|_| {
            [
                hint("there", Class::Bulk),
                hint("absent", Class::Bulk),
                hint("absent", Class::Interactive),
            ]
        })
        .collect();
    announce(&broker, &mixed).await;
    // Each message was published exactly once.
    assert_eq!(ready(&broker, "there", Class::Bulk).await, 101);
    assert_eq!(ready(&broker, "absent", Class::Bulk).await, 100);
    assert_eq!(ready(&broker, "absent", Class::Interactive).await, 100);
}

/// RabbitMQ without memory or disk space takes no more messages, but delivers what it has and takes acks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_broker() {
    let node = node_alone().await;
    let broker = Broker::connect(&impatient(node.vhost().await))
        .await
        .unwrap();
    let announced = hints("rooms", Class::Bulk, 10);
    announce(&broker, &announced).await;
    node.eval("rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}).")
        .await;
    // The first publish after the alarm may only time out.
    let mut refused = false;
    until("refusal", SOON, async || {
        let results = broker.announce(&hints("rooms", Class::Bulk, 1)).await;
        refused |= matches!(results[0], Err(Error::Blocked(_)));
        refused
    })
    .await;
    let mut consumer = broker.consume(&[model("rooms")], None, 4).await.unwrap();
    take_all(&mut consumer, &edits(&announced)).await;
    consumer.flush().await;
    assert!(!broker.check(&[]).await.is_healthy());
    node.eval("rabbit_alarm:clear_alarm({resource_limit, memory, node()}).")
        .await;
    until("relief", SOON, async || broker.blocked().is_none()).await;
    // A disk is named as such.
    node.eval("rabbit_alarm:set_alarm({{resource_limit, disk, node()}, []}).")
        .await;
    until("a full disk", SOON, async || {
        let results = broker.announce(&hints("rooms", Class::Bulk, 1)).await;
        let full = results[0].as_ref().is_err_and(Retryable::is_disk_full);
        full && broker.blocked().as_deref() == Some("low on disk")
    })
    .await;
    node.eval("rabbit_alarm:clear_alarm({resource_limit, disk, node()}).")
        .await;
    let announced = hints("rooms", Class::Bulk, 10);
    announce_and_take(&broker, &mut consumer, &announced).await;
}

/// A connection that ends while RabbitMQ takes nothing holds up no announcement of the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_blocked() {
    let node = node_alone().await;
    let url = node.vhost().await;
    let proxy = Proxy::start(node.port());
    let broker = Broker::connect(&impatient(proxy.before(&url)))
        .await
        .unwrap();
    announce(&broker, &hints("rooms", Class::Bulk, 10)).await;
    node.eval("rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}).")
        .await;
    until("refusal", SOON, async || {
        let results = broker.announce(&hints("rooms", Class::Bulk, 1)).await;
        matches!(results[0], Err(Error::Blocked(_)))
    })
    .await;
    proxy.cut();
    node.eval("rabbit_alarm:clear_alarm({resource_limit, memory, node()}).")
        .await;
    announce_stubbornly(&broker, &hints("rooms", Class::Bulk, 10)).await;
}
