//! Wrong settings, queues with other properties, messages that are not ours.

use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use limekiln_broker::{Broker, Error, Level, Settings};
use limekiln_jobs::{Class, ErrorKind, Retryable};
use limekiln_testbed::{RabbitMq, port_free, until};

use crate::faults::stranger;
use crate::kit::*;

async fn refusal(url: &str) -> Error {
    Broker::connect(&impatient(url)).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_addresses_are_told_apart() {
    let node = RabbitMq::shared();
    for url in ["http://127.0.0.1/", "", "amqp://[", "amqp://host:port/"] {
        assert!(matches!(refusal(url).await, Error::Url(_)), "{url}");
    }
    let right = node.url();
    let password = right.replace("guest:guest", "guest:secret-but-wrong");
    let error = refusal(&password).await;
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    let error = refusal(&node.url_of("no-such-vhost")).await;
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("no-such-vhost"), "{error}");
    let error = refusal(&format!("amqp://127.0.0.1:{}/%2f", port_free())).await;
    assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    assert!(!format!("{:?}", Settings::new(password)).contains("secret"));
}

/// `amqp://host:port/` is meant as the default virtual host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slash_is_the_default_virtual_host() {
    let node = RabbitMq::shared();
    let url = node.url().replace("%2f", "");
    assert!(url.ends_with('/'), "{url}");
    assert!(
        Broker::connect(&impatient(url))
            .await
            .unwrap()
            .is_connected()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_with_other_properties() {
    let url = RabbitMq::shared().vhost().await;
    let broker = Broker::connect(&impatient(&url)).await.unwrap();
    let (_connection, channel) = stranger(&url).await;
    let options = QueueDeclareOptions::durable();
    let name = "limekiln.edits.rooms.bulk";
    channel
        .queue_declare(name.into(), options, FieldTable::default())
        .await
        .unwrap();
    let error = broker
        .consume(&[model("rooms")], None, 1)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Differs { name: of, .. } if of == name),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Setup);
    let both = [
        hint("rooms", Class::Bulk),
        hint("rooms", Class::Interactive),
    ];
    let results = broker.announce(&both).await;
    assert!(
        matches!(results[0], Err(Error::Differs { .. })),
        "{results:?}"
    );
    assert!(results[1].is_ok(), "{results:?}");
    let report = broker.check(&[model("rooms")]).await;
    let broken: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.level == Level::Broken)
        .collect();
    assert_eq!(broken.len(), 1, "{report:#?}");
    assert!(broken[0].message.contains(name), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_permissions() {
    let node = RabbitMq::shared();
    let url = node.vhost().await;
    let vhost = url.rsplit('/').next().unwrap();
    node.eval(&format!(
        r#"rabbit_auth_backend_internal:add_user(<<"{vhost}">>, <<"pw">>, <<"tests">>),
           rabbit_auth_backend_internal:set_permissions(
               <<"{vhost}">>, <<"{vhost}">>, <<"^$">>, <<".*">>, <<".*">>, <<"tests">>)."#
    ))
    .await;
    let theirs = url.replace("guest:guest", &format!("{vhost}:pw"));
    let error = refusal(&theirs).await;
    assert!(matches!(error, Error::Denied(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::Denied);
    // Permissions on what is named `limekiln.*` are enough.
    node.eval(&format!(
        r#"rabbit_auth_backend_internal:set_permissions(
               <<"{vhost}">>, <<"{vhost}">>, <<"^limekiln\\.">>, <<"^limekiln\\.">>, <<"^limekiln\\.">>, <<"tests">>)."#
    ))
    .await;
    let broker = Broker::connect(&impatient(&theirs)).await.unwrap();
    let mut consumer = broker.consume(&[model("rooms")], None, 1).await.unwrap();
    let followed = limekiln_jobs::EditId::new();
    let mut subscription = broker.subscribe(followed).await;
    announce(&broker, &hints("rooms", Class::Bulk, 2)).await;
    next(&mut consumer).await.ack();
    next(&mut consumer).await.reject();
    until("a dead letter", SOON, async || dead(&broker).await == 1).await;
    broker.publish_live(&preview(followed, 3));
    assert_eq!(step(&receive_live(&mut subscription).await), 3);
    let report = broker.check(&[model("rooms")]).await;
    assert!(report.is_healthy(), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_name_no_edit_become_dead_letters() {
    let url = RabbitMq::shared().vhost().await;
    let broker = Broker::connect(&impatient(&url)).await.unwrap();
    let mut consumer = broker.consume(&[model("rooms")], None, 2).await.unwrap();
    let followed = limekiln_jobs::EditId::new();
    let mut subscription = broker.subscribe(followed).await;
    let mut stops = broker.stops().await;
    let (_connection, channel) = stranger(&url).await;
    let progress = format!("edit.{}", followed);
    let garbage: [&[u8]; 4] = [b"", b"{}", b"\xff\xfe", b"{\"edit\": \"../../etc\"}"];
    for body in garbage {
        for (exchange, key) in [
            ("limekiln.edits", "limekiln.edits.rooms.bulk"),
            ("limekiln.progress", progress.as_str()),
            ("limekiln.progress", "edit.nobody"),
            ("limekiln.stop", ""),
        ] {
            let options = BasicPublishOptions::default();
            let publishing = channel.basic_publish(
                exchange.into(),
                key.into(),
                options,
                body,
                BasicProperties::default(),
            );
            publishing.await.unwrap().await.unwrap();
        }
    }
    until("dead letters", SOON, async || {
        dead(&broker).await == garbage.len() as u64
    })
    .await;
    // And everything goes on.
    let good = hint("rooms", Class::Bulk);
    announce(&broker, std::slice::from_ref(&good)).await;
    assert_eq!(next(&mut consumer).await.hint.edit, good.edit);
    broker.publish_live(&preview(followed, 5));
    assert_eq!(step(&receive_live(&mut subscription).await), 5);
    broker.stop(good.edit, limekiln_jobs::Epoch::new(4));
    let stop = soon(stops.next()).await;
    assert_eq!(stop.run().edit, good.edit);
}
