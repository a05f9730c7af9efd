//! Pictures that rows of catalogs name by their address.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use limekiln_fixture::PATIENCE;
use limekiln_jobs::BatchId;
use limekiln_testbed::{S3, until_some};
use serde_json::{Value, json};

use crate::support::host::{Host, head, moved};
use crate::support::http::{Reply, Request};
use crate::support::{Gateway, pictures};

async fn gateway(allow_private: bool) -> Gateway {
    // A second process-wide provider is refused; the first does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Gateway::with(|settings| {
        settings.fetch.allow_private = allow_private;
        settings.fetch.per_second = 1000.0;
        settings.limits.upload_bytes = 1 << 20;
    })
    .await
}

async fn allow(gateway: &Gateway, source: &Value) -> Reply {
    let path = format!("/v1/admin/tenants/{}/sources", gateway.tenant);
    let request = Request::new("POST", &path).key(&gateway.admin).json(source);
    gateway.send(request).await
}

async fn catalog(gateway: &Gateway) -> BatchId {
    let defaults = json!({"instruction": "make the sofa {color}", "preset": "fast"});
    let made = gateway
        .post("/v1/catalogs", &json!({"defaults": defaults}))
        .await;
    made.json()["id"].as_str().unwrap().parse().unwrap()
}

async fn rows(gateway: &Gateway, catalog: BatchId, rows: &[Value]) -> Reply {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let path = format!("/v1/catalogs/{catalog}/rows");
    let request = gateway.request("POST", &path);
    gateway
        .send(request.body("application/x-ndjson", lines.join("\n")))
        .await
}

fn row(number: u64, address: &str, color: &str) -> Value {
    json!({"row": number, "image_url": address, "values": {"color": color}})
}

/// All rows once they are as is waited for.
async fn shown(
    gateway: &Gateway,
    catalog: BatchId,
    what: &str,
    are: impl Fn(&Value) -> bool,
) -> Vec<Value> {
    let path = format!("/v1/catalogs/{catalog}/rows?limit=100");
    until_some(what, PATIENCE, async || {
        let page = gateway.get(&path).await.json();
        let rows = page["rows"].as_array().unwrap().clone();
        rows.iter().all(&are).then_some(rows)
    })
    .await
}

async fn view(gateway: &Gateway, catalog: BatchId) -> Value {
    gateway.get(&format!("/v1/catalogs/{catalog}")).await.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_fetched_once_for_all_of_its_rows_and_must_stay_the_same() {
    let (gateway, host) = (gateway(true).await, Host::start().await);
    host.has("/photos/a.png", &pictures::room());
    host.answers("/photos/b.png", moved("/photos/a.png"));
    let allowed = allow(&gateway, &json!({"place": format!("{}/photos/", host.url)})).await;
    assert_eq!(allowed.status, 200, "{}", allowed.text());
    let catalog = catalog(&gateway).await;
    let a = format!("{}/photos/a.png?signature=1", host.url);
    let b = format!("{}/photos/b.png", host.url);
    let sent = [row(1, &a, "red"), row(2, &a, "teal"), row(3, &b, "red")];
    assert_eq!(rows(&gateway, catalog, &sent).await.json()["added"], 3);
    let there = |row: &Value| row["error"].is_null() && gateway_has(row);
    let fetched = shown(&gateway, catalog, "fetched rows", there).await;
    // Both addresses lead to one picture, which was asked for once by each.
    assert!(
        fetched
            .iter()
            .all(|row| row["image"] == fetched[0]["image"]),
        "{fetched:?}"
    );
    assert_eq!(host.asked.load(Ordering::Relaxed), 3);
    assert_eq!(fetched[0]["image_url"], a);
    // One that comes later has it at once.
    rows(&gateway, catalog, &[row(4, &a, "blue")]).await;
    let later = shown(&gateway, catalog, "a later row", there).await;
    assert_eq!(
        (
            later[3]["image"].clone(),
            host.asked.load(Ordering::Relaxed)
        ),
        (fetched[0]["image"].clone(), 3)
    );

    // The rows fail, the picture expires, and what is at its address meanwhile is another one.
    let store = &gateway.context.store;
    let fail = format!(
        "update catalog_rows set state = 'failed', error = 'test' where catalog_id = '{catalog}';
        update catalogs set failed = 4, waiting = 0 where id = '{catalog}';
        delete from images where id = '{}'",
        fetched[0]["image"].as_str().unwrap()
    );
    gateway.context.sql(&fail).await;
    let other = pictures::written(
        &image::DynamicImage::new_rgb8(64, 48),
        image::ImageFormat::Png,
    );
    host.has("/photos/a.png", &other);
    assert_eq!(
        store
            .catalog_retry_failed(gateway.tenant, catalog, 100)
            .await
            .unwrap(),
        Some(4)
    );
    let failed = shown(&gateway, catalog, "rows of a changed picture", |row| {
        row["state"] == "failed"
    })
    .await;
    for row in &failed {
        let error = row["error"].as_str().unwrap();
        assert!(
            error.contains("another one than when it was fetched first"),
            "{error}"
        );
    }
    let counts = view(&gateway, catalog).await;
    assert_eq!(
        (&counts["failed"], &counts["waiting"]),
        (&json!(4), &json!(0))
    );
    // The first one again is taken.
    host.has("/photos/a.png", &pictures::room());
    store
        .catalog_retry_failed(gateway.tenant, catalog, 100)
        .await
        .unwrap();
    let again = shown(&gateway, catalog, "rows of the same picture", there).await;
    assert!(again.iter().all(|row| row["state"] == "waiting"));
    assert_eq!(view(&gateway, catalog).await["waiting"], 4);
}

/// Whether the picture of a row came.
fn gateway_has(row: &Value) -> bool {
    // Ids of images are of version 7; what stands for one that did not come is a digest.
    let id: uuid::Uuid = row["image"].as_str().unwrap().parse().unwrap();
    id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_fails_is_asked_again_and_its_rows_say_why_they_wait() {
    let (gateway, host) = (gateway(true).await, Host::start().await);
    host.answers("/a.png", head("503 Service Unavailable", 0));
    allow(&gateway, &json!({"place": host.url})).await;
    let catalog = catalog(&gateway).await;
    let address = format!("{}/a.png", host.url);
    rows(&gateway, catalog, &[row(1, &address, "red")]).await;
    let waits = shown(&gateway, catalog, "a row that waits", |row| {
        !row["error"].is_null()
    })
    .await;
    assert_eq!(waits[0]["state"], "waiting");
    assert!(
        waits[0]["error"].as_str().unwrap().contains("answered 503"),
        "{waits:?}"
    );
    let path = format!("/v1/catalogs/{catalog}/rows?state=waiting");
    assert_eq!(
        gateway.get(&path).await.json()["rows"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    host.has("/a.png", &pictures::room());
    gateway
        .context
        .sql("update catalog_pictures set due_at = now()")
        .await;
    shown(&gateway, catalog, "the picture", |row| {
        row["error"].is_null() && gateway_has(row)
    })
    .await;

    // Of a cancelled catalog nothing is fetched.
    let other = self::catalog(&gateway).await;
    host.answers("/b.png", head("503 Service Unavailable", 0));
    rows(
        &gateway,
        other,
        &[row(1, &format!("{}/b.png", host.url), "red")],
    )
    .await;
    shown(&gateway, other, "a row that waits", |row| {
        !row["error"].is_null()
    })
    .await;
    gateway
        .post(&format!("/v1/catalogs/{other}/cancel"), &json!({}))
        .await;
    gateway
        .context
        .sql("update catalog_pictures set due_at = now()")
        .await;
    let waiting = "select count(*) from catalog_pictures where state = 'waiting'";
    until_some("nothing to fetch", PATIENCE, async || {
        (gateway.context.number(waiting).await == 0).then_some(())
    })
    .await;
    let rows = shown(&gateway, other, "cancelled rows", |row| {
        row["state"] == "cancelled"
    })
    .await;
    assert_eq!(rows.len(), 1);
    assert_eq!(view(&gateway, other).await["cancelled"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_are_not_allowed_are_refused_with_their_rows() {
    let gateway = gateway(false).await;
    allow(&gateway, &json!({"place": "https://cdn.example/photos/"})).await;
    let catalog = catalog(&gateway).await;
    for (address, says) in [
        ("file:///etc/passwd", "must begin with"),
        ("ftp://cdn.example/photos/a.jpg", "must begin with"),
        ("photos/a.jpg", "must begin with"),
        ("https://", "is no address"),
        ("https://other.example/photos/a.jpg", "not among the places"),
        ("http://cdn.example/photos/a.jpg", "not among the places"),
        (
            "https://cdn.example:8443/photos/a.jpg",
            "not among the places",
        ),
        (
            "https://cdn.example.evil/photos/a.jpg",
            "not among the places",
        ),
        (
            "https://cdn.example/photos/../private/a.jpg",
            "not among the places",
        ),
        (
            "https://cdn.example/photos/..%2fprivate/a.jpg",
            "encoded slash",
        ),
        (
            "https://me:secret@cdn.example/photos/a.jpg",
            "user or a password",
        ),
        (
            "http://169.254.169.254/latest/meta-data/",
            "not among the places",
        ),
        ("s3://photos/a.jpg", "not among the places"),
        ("s3://UPPER/a.jpg", "names no bucket"),
    ] {
        let reply = rows(&gateway, catalog, &[row(7, address, "red")]).await;
        let problem = reply.json();
        assert_eq!(
            (reply.status, &problem["errors"][0]["field"]),
            (422, &json!("row 7: image_url")),
            "{address}"
        );
        let said = problem["errors"][0]["message"].as_str().unwrap();
        assert!(
            said.contains(says) && !said.contains("secret"),
            "{address}: {said}"
        );
    }
    assert_eq!(view(&gateway, catalog).await["rows"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_addresses_are_not_asked_even_where_an_operator_allows_them() {
    let (gateway, host) = (gateway(false).await, Host::start().await);
    host.has("/a.png", &pictures::room());
    let port = host.url.rsplit(':').next().unwrap();
    let addresses = [
        format!("http://127.0.0.1:{port}/a.png"),
        format!("http://localhost:{port}/a.png"),
        format!("http://2130706433:{port}/a.png"),
        format!("http://[::ffff:127.0.0.1]:{port}/a.png"),
        format!("http://0.0.0.0:{port}/a.png"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/a.png".to_owned(),
        "http://[fd00::1]/a.png".to_owned(),
    ];
    let catalog = catalog(&gateway).await;
    for (number, address) in (1..).zip(&addresses) {
        let place = url::Url::parse(address).unwrap().join("/").unwrap();
        assert_eq!(allow(&gateway, &json!({"place": place})).await.status, 200);
        assert_eq!(
            rows(&gateway, catalog, &[row(number, address, "red")])
                .await
                .status,
            200
        );
    }
    let failed = shown(&gateway, catalog, "failed rows", |row| {
        row["state"] == "failed"
    })
    .await;
    for row in &failed {
        let error = row["error"].as_str().unwrap();
        assert!(
            error.contains("public internet"),
            "{}: {error}",
            row["image_url"]
        );
    }
    assert_eq!(
        (failed.len(), host.asked.load(Ordering::Relaxed)),
        (addresses.len(), 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_picture_fails_its_rows_and_the_others_go_on() {
    let (gateway, host) = (gateway(true).await, Host::start().await);
    let room = pictures::room();
    host.has("/good.png", &room);
    host.answers("/elsewhere", moved("http://127.0.0.2:1/a.png"));
    host.answers("/ring", moved("/ring"));
    host.answers("/file", moved("file:///etc/passwd"));
    host.answers(
        "/endless",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    host.answers("/long", head("200 OK", 2 << 20));
    host.answers("/expired", head("403 Forbidden", 0));
    host.has("/page", b"<!doctype html><title>no picture</title>");
    host.has("/gif", b"GIF89a\x01\x00\x01\x00");
    host.has("/empty", b"");
    host.has("/half", &room[..room.len() / 2]);
    host.has("/bomb", &pictures::png_claiming(60_000, 60_000));
    allow(&gateway, &json!({"place": host.url})).await;
    let catalog = catalog(&gateway).await;
    let cases = [
        ("/elsewhere", "not among the places"),
        ("/ring", "sent on 3 times"),
        ("/file", "could not be fetched"),
        ("/endless", "more than 1048576 bytes"),
        ("/long", "more than 1048576 bytes"),
        ("/expired", "sign it anew"),
        ("/missing", "there is nothing there"),
        ("/page", "its picture"),
        ("/gif", "its picture"),
        ("/empty", "its picture"),
        ("/half", "its picture"),
        ("/bomb", "pixels"),
    ];
    let of = |(number, (path, _)): (u64, &(&str, &str))| {
        row(number, &format!("{}{path}", host.url), "red")
    };
    let mut sent: Vec<Value> = (1..).zip(&cases).map(of).collect();
    sent.push(row(100, &format!("{}/good.png", host.url), "red"));
    assert_eq!(rows(&gateway, catalog, &sent).await.status, 200);
    let ended = |row: &Value| row["state"] == "failed" || row["row"] == 100 && gateway_has(row);
    let shown = shown(&gateway, catalog, "what became of the rows", ended).await;
    for (row, (path, says)) in shown.iter().zip(cases) {
        let error = row["error"].as_str().unwrap();
        assert!(error.contains(says), "{path}: {error}");
    }
    let counts = view(&gateway, catalog).await;
    assert_eq!(
        (&counts["failed"], &counts["waiting"]),
        (&json!(cases.len()), &json!(1))
    );
    // Nothing of what was no picture is kept.
    let kept = format!(
        "select count(*) from images where tenant_id = '{}'",
        gateway.tenant
    );
    assert_eq!(gateway.context.number(&kept).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_read_with_its_own_credentials_and_never_the_services_own() {
    let gateway = gateway(true).await;
    let s3 = S3::shared();
    let settings = s3.settings("shop-photos");
    let shop = limekiln_blobs::Blobs::connect(&settings).await.unwrap();
    shop.bucket_ensure().await.unwrap();
    let key: limekiln_blobs::Key = "autumn/a.png".parse().unwrap();
    shop.put(&key, Bytes::from(pictures::room()), "image/png")
        .await
        .unwrap();
    let keys = settings.credentials.as_ref().unwrap();
    let place = |place: &str, secret: &str| {
        json!({
            "place": place, "endpoint": settings.endpoint.as_ref().unwrap(), "access_key": keys.access_key, "secret_key": secret,
        })
    };
    let own = gateway.context.blobs.target();
    let own = own.split('`').nth(1).unwrap();
    let refused = allow(&gateway, &place(&format!("s3://{own}/"), &keys.secret_key)).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("own bucket"), "{}", refused.text());
    let bare = allow(&gateway, &json!({"place": "s3://shop-photos/"})).await;
    assert_eq!(
        (bare.status, &bare.json()["errors"][0]["field"]),
        (422, &json!("access_key"))
    );
    let allowed = allow(
        &gateway,
        &place("s3://shop-photos/autumn/", &keys.secret_key),
    )
    .await;
    assert_eq!(allowed.status, 200, "{}", allowed.text());
    assert!(
        !allowed.text().contains(&keys.secret_key),
        "{}",
        allowed.text()
    );
    let catalog = catalog(&gateway).await;
    let sent = [
        row(1, "s3://shop-photos/autumn/a.png", "red"),
        row(2, "s3://shop-photos/autumn/b.png", "red"),
    ];
    assert_eq!(rows(&gateway, catalog, &sent).await.status, 200);
    let ended = |row: &Value| row["state"] == "failed" || row["row"] == 1 && gateway_has(row);
    let shown = shown(&gateway, catalog, "what became of the rows", ended).await;
    assert!(
        shown[1]["error"]
            .as_str()
            .unwrap()
            .contains("nothing there"),
        "{shown:?}"
    );
    // A row that slipped in behind the operator's back is refused when its turn comes.
    let sneak = format!("update sources set place = 's3://{own}/'");
    gateway.context.sql(&sneak).await;
    let own_row = row(3, &format!("s3://{own}/t/x"), "red");
    assert_eq!(rows(&gateway, catalog, &[own_row]).await.status, 200);
    let path = format!("/v1/catalogs/{catalog}/rows?after=2");
    let row = until_some("its refusal", PATIENCE, async || {
        let page = gateway.get(&path).await.json();
        (page["rows"][0]["state"] == "failed").then(|| page["rows"][0].clone())
    })
    .await;
    assert!(
        row["error"].as_str().unwrap().contains("service's own"),
        "{row}"
    );
    // The places are listed, and forbidden again.
    let path = format!("/v1/admin/tenants/{}/sources", gateway.tenant);
    let list = gateway
        .send(Request::new("GET", &path).key(&gateway.admin))
        .await
        .json();
    let id = list["sources"][0]["id"].as_str().unwrap();
    let path = format!("/v1/admin/sources/{id}");
    for _ in 0..2 {
        let gone = gateway
            .send(Request::new("DELETE", &path).key(&gateway.admin))
            .await;
        assert_eq!(gone.status, 204);
    }
    let tenant = gateway
        .send(Request::new("DELETE", &path).key(&gateway.key))
        .await;
    assert_eq!(tenant.status, 403);
}
