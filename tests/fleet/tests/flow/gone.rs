//! What a client or an operator deletes goes, and nothing else.

use anyhow::{Result, ensure};
use limekiln_blobs::Prefix;
use limekiln_fleet_tests::cluster::Cluster;
use limekiln_fleet_tests::command::command;
use limekiln_fleet_tests::wait::wait;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::{END, is_png};

/// The edit and its turn are deleted, and their files go from the bucket.
pub(crate) async fn deleted(cluster: &Cluster, edit: Uuid, turn: Uuid) -> Result<()> {
    let client = &cluster.clients[0];
    let delete = async |path: String| client.send(Method::DELETE, &path, |request| request).await;
    let refused = delete(format!("/v1/edits/{edit}")).await?;
    ensure!(refused.json()?["code"] == "edit_in_use", "{refused:?}");
    let gone = delete(format!("/v1/edits/{edit}?cascade=true")).await?;
    ensure!(gone.status == 204, "{gone:?}");
    for edit in [edit, turn] {
        let missing = client
            .send(Method::GET, &format!("/v1/edits/{edit}"), |request| request)
            .await?;
        ensure!(missing.status == 404, "{missing:?}");
    }
    let left = format!("/edits/{edit}/");
    ensure!(
        blobs(cluster, &left).await? > 0,
        "the files went before they were due"
    );
    sqlx::query("update blob_deletions set due_at = now() where due_at < 'infinity'")
        .execute(&cluster.namespace.postgres)
        .await?;
    wait("the files to go", END, async || {
        Ok(blobs(cluster, &left).await? == 0)
    })
    .await
}

/// A tenant is erased under a running fleet; the command that asked for it, and a coordinator, are killed over it.
pub(crate) async fn erased(cluster: &Cluster) -> Result<()> {
    let (doomed, other) = (&cluster.clients[1], &cluster.clients[0]);
    let image = cluster.images[1];
    for number in 0..4 {
        let body = json!({ "model": "rooms", "image": image, "instruction": "make the sofa red", "seed": number });
        doomed.submit(&format!("doomed-{number}"), &body).await?;
    }
    let tenant: Uuid = sqlx::query_scalar("select id from tenants where name = 'tenant-1'")
        .fetch_one(&cluster.namespace.postgres)
        .await?;
    let of = format!("t/{tenant}/");
    ensure!(blobs(cluster, &of).await? > 0, "no files to erase");
    let namespace = &cluster.namespace;
    let unasked = command(namespace, &["tenants", "erase", "tenant-1"]).await;
    ensure!(
        unasked.is_err_and(|error| error.to_string().contains("--yes")),
        "nobody was asked"
    );
    command(
        namespace,
        &["tenants", "erase", "tenant-1", "--yes", "--no-wait"],
    )
    .await?;
    cluster.fleet.coordinators[0].kill9();
    // The other one may have been quick.
    if let Err(error) = command(namespace, &["tenants", "erase", "tenant-1"]).await {
        ensure!(error.to_string().contains("no tenant named"), "{error:#}");
    }
    cluster.fleet.coordinators[0].start_again()?;
    wait("its key to be forgotten", END, async || {
        let answer = doomed
            .send(Method::GET, "/v1/me", |request| request)
            .await?;
        Ok(answer.status == 401)
    })
    .await?;
    wait("its files to go", END, async || {
        Ok(blobs(cluster, &of).await? == 0)
    })
    .await?;
    let shown = command(namespace, &["tenants", "list"]).await?;
    ensure!(
        shown.contains("tenant-0") && !shown.contains("tenant-1"),
        "{shown}"
    );
    let there = other
        .download(&format!("/v1/images/{}/content", cluster.images[0]))
        .await?;
    ensure!(is_png(&there), "another tenant's picture is gone");
    cluster.fleet.ready().await
}

/// How many blobs have this in their keys.
async fn blobs(cluster: &Cluster, part: &str) -> Result<usize> {
    let page = cluster
        .namespace
        .blobs
        .list(&Prefix::all(), None, 1000)
        .await?;
    ensure!(page.next.is_none(), "more blobs than a page");
    let keys = page
        .blobs
        .iter()
        .filter(|blob| blob.key.as_str().contains(part));
    Ok(keys.count())
}
