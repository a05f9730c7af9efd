//! Images and edits are deleted on their tenant's word, and on nobody else's.

use limekiln_jobs::EditId;
use serde_json::json;

use crate::support::http::{self, Request};
use crate::support::worker::ManualWorker;
use crate::support::{Gateway, pictures};

async fn delete(gateway: &Gateway, path: &str) -> (u16, String) {
    let reply = gateway.send(gateway.request("DELETE", path)).await;
    let code = if reply.status == 204 {
        assert!(reply.body.is_empty());
        String::new()
    } else {
        reply.code()
    };
    (reply.status, code)
}

fn gone() -> (u16, String) {
    (204, String::new())
}

fn refused(code: &str) -> (u16, String) {
    (409, code.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_and_its_image_are_deleted() {
    let gateway = Gateway::start().await;
    let empty = gateway.stored().await.0;
    let mut manual = ManualWorker::new(&gateway).await;
    let edit = gateway.edit().await;
    let path = format!("/v1/edits/{edit}");
    let image = gateway.get(&path).await.json()["image"]
        .as_str()
        .unwrap()
        .to_owned();
    let image = format!("/v1/images/{image}");
    assert_eq!(delete(&gateway, &image).await, refused("image_in_use"));
    assert_eq!(delete(&gateway, &path).await, refused("edit_not_ended"));
    let claimed = manual.claim().await;
    assert_eq!(delete(&gateway, &path).await, refused("edit_not_ended"));
    manual.complete(&claimed[0]).await;

    let before = gateway.stored().await;
    for (path, key) in [(&path, &gateway.other), (&image, &gateway.other)] {
        let stranger = gateway.send(Request::new("DELETE", path).key(key)).await;
        assert_eq!(stranger.status, 204, "it tells nobody what there is");
        let nobody = gateway.send(Request::new("DELETE", path)).await;
        assert_eq!(nobody.status, 401);
    }
    assert_eq!(gateway.stored().await, before);

    assert_eq!(delete(&gateway, &path).await, gone());
    assert_eq!(delete(&gateway, &path).await, gone(), "again is no error");
    for path in [
        path.clone(),
        format!("{path}/result"),
        format!("{path}/events"),
    ] {
        assert_eq!(gateway.get(&path).await.code(), "edit_not_found");
    }
    assert_eq!(gateway.get("/v1/edits").await.json()["edits"], json!([]));
    let usage = gateway.get("/v1/me").await.json()["usage"].clone();
    assert_eq!(usage[0]["edits"], 1, "what it used stays used: {usage}");
    assert_eq!(delete(&gateway, &image).await, gone());
    assert_eq!(delete(&gateway, &image).await, gone());
    assert_eq!(gateway.get(&image).await.code(), "image_not_found");
    assert_eq!(
        gateway.get(&format!("{image}/content")).await.code(),
        "image_not_found"
    );
    assert_eq!(gateway.stored().await.0, empty);

    // The same picture uploaded at once is another image, which the deletion of the first does not take along.
    let again = gateway.image().await;
    let row = gateway.context.store.image_get(gateway.tenant, again).await;
    let key = row.unwrap().unwrap().key;
    let listed = format!("select count(*) from blob_deletions where key = '{key}'");
    assert_eq!(gateway.context.number(&listed).await, 0);
    let content = gateway.get(&format!("/v1/images/{again}/content")).await;
    assert_eq!(content.body, pictures::room());
    assert_eq!(gateway.image().await, again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_go_with_what_they_build_on_only_when_asked() {
    let gateway = Gateway::start().await;
    let empty = gateway.stored().await.0;
    let mut manual = ManualWorker::new(&gateway).await;
    let first = gateway.edit().await;
    let claimed = manual.claim().await;
    manual.complete(&claimed[0]).await;
    let turn = json!({"parent": first, "instruction": "now the wall blue"});
    let turn = gateway.post("/v1/edits", &turn).await.json()["id"].clone();
    let turn: EditId = turn.as_str().unwrap().parse().unwrap();
    let (first, turn) = (format!("/v1/edits/{first}"), format!("/v1/edits/{turn}"));
    let image = gateway.get(&first).await.json()["image"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(delete(&gateway, &first).await, refused("edit_in_use"));
    for path in [
        format!("{first}?cascade=true"),
        format!("/v1/images/{image}?cascade=true"),
    ] {
        assert_eq!(delete(&gateway, &path).await, refused("edit_not_ended"));
    }
    let cancelled = gateway
        .send(gateway.request("POST", &format!("{turn}/cancel")))
        .await;
    assert_eq!(cancelled.status, 200);
    let wrong = format!("{first}?cascade=perhaps");
    assert_eq!(delete(&gateway, &wrong).await.0, 400);
    assert_eq!(
        delete(&gateway, &format!("{first}?turns=true")).await.0,
        400
    );
    let image = format!("/v1/images/{image}?cascade=true");
    assert_eq!(delete(&gateway, &image).await, gone());
    for path in [&first, &turn] {
        assert_eq!(gateway.get(path).await.code(), "edit_not_found");
    }
    assert_eq!(gateway.stored().await.0, empty);
}

/// The worker's events got lost, so the stream hears from Postgres alone, where nothing is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_edit() {
    let gateway = Gateway::with(|settings| {
        settings.timeouts.poll = std::time::Duration::from_millis(20);
    })
    .await;
    let mut manual = ManualWorker::silent(&gateway).await;
    let edit = gateway.edit().await;
    let events = gateway.request("GET", &format!("/v1/edits/{edit}/events"));
    let (head, mut stream) = http::open(gateway.address, events).await;
    assert_eq!(head.status, 200);
    assert_eq!(stream.event().await.unwrap().kind, "queued");
    let claimed = manual.claim().await;
    assert_eq!(stream.event().await.unwrap().kind, "started");
    // The end and the deletion fall between two looks.
    let ended = format!(
        "begin; update edits set state = 'cancelled', seq = seq + 1, lease_expires_at = null, finished_at = now()
            where id = '{edit}'; delete from edit_events where edit_id = '{edit}'; delete from edits where id = '{edit}';
        commit"
    );
    gateway.context.sql(&ended).await;
    let end = tokio::time::timeout(limekiln_fixture::PATIENCE, stream.event()).await;
    assert!(end.expect("the stream ends").is_none());
    drop(claimed);
}
