//! Whose a bucket is, as an operator meets it.

use anyhow::{Result, ensure};
use limekiln_blobs::{Blobs, Key};
use limekiln_testbed::{Postgres, S3};
use serde_json::Value;

use crate::told::Named;

/// A picture in the bucket, and its row unless the database is not to know it.
async fn picture(named: &Named, blobs: &Blobs, name: &str, known: bool) -> Result<Key> {
    let key: Key = format!("t/01a21554-d7d4-71cd-bf14-e5cc37f3551d/images/{name}").parse()?;
    blobs.put(&key, "picture".into(), "image/png").await?;
    if known {
        let row = format!(
            "insert into tenants (id, name, rate_per_second, rate_burst, rate_tokens, in_flight_limit, webhook_secret)
             values ('01a21554-d7d4-71cd-bf14-e5cc37f3551d', 't', 1, 1, 1, 1, '') on conflict do nothing;
             insert into images (id, tenant_id, digest, blob_key, media_type, bytes, width, height)
             values (gen_random_uuid(), '01a21554-d7d4-71cd-bf14-e5cc37f3551d', sha256('{name}'), '{key}', 'image/png', 7, 1, 1)"
        );
        Postgres::shared().execute(&named.database, &row).await;
    }
    Ok(key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_one_fleets_and_an_operator_decides() -> Result<()> {
    let named = Named::new().await;
    let blobs = Blobs::connect(&S3::shared().settings(&named.bucket)).await?;
    blobs.bucket_ensure().await?;
    named.succeeds(&["migrate"]).await?;
    for number in 0..20 {
        picture(&named, &blobs, &format!("{number}"), true).await?;
    }

    // From before there were markers.
    for command in ["serve", "coordinate", "work"] {
        named
            .refused(&[command], 1, "migrate --adopt-bucket")
            .await?;
    }
    let stray = picture(&named, &blobs, "stray", false).await?;
    let adopted = named.succeeds(&["migrate", "--adopt-bucket"]).await?;
    ensure!(
        adopted.contains("of 21 blobs") && adopted.contains("all but 1"),
        "{adopted}"
    );
    let again = named.succeeds(&["migrate", "--adopt-bucket"]).await?;
    ensure!(again.contains("is this fleet's"), "{again}");

    // A mistyped DATABASE_URL.
    let other = Named::new().await.on_bucket_of(&named, "");
    other.succeeds(&["migrate"]).await?;
    for command in ["serve", "coordinate", "work"] {
        other.refused(&[command], 1, "belongs to fleet").await?;
    }
    for command in ["--adopt-bucket", "--accept-restore"] {
        other
            .refused(&["migrate", command], 1, "belongs to fleet")
            .await?;
    }
    let apart = Named::new().await.on_bucket_of(&named, "apart/");
    let taken = apart.succeeds(&["migrate", "--adopt-bucket"]).await?;
    ensure!(
        taken.contains("`apart/`") && taken.contains("of 0 blobs"),
        "{taken}"
    );
    let within = Named::new().await.on_bucket_of(&named, "t/apart");
    within
        .refused(&["migrate", "--adopt-bucket"], 1, "has the segment `t`")
        .await?;

    // Rows without blobs, and blobs without rows.
    let lost: Key = "t/01a21554-d7d4-71cd-bf14-e5cc37f3551d/images/7".parse()?;
    blobs.delete(std::slice::from_ref(&lost)).await?;
    let (status, printed, said) = named.run(&["doctor", "--blobs", "--json"]).await?;
    ensure!(
        status == 1 && said.contains("1 rows refer to blobs"),
        "{said}"
    );
    let report: Value = serde_json::from_str(&printed)?;
    ensure!(report["rows"] == 20 && report["blobs"] == 20, "{report}");
    ensure!(
        report["rows_without_blob"]["first"][0]["key"] == lost.as_str()
            && report["rows_without_blob"]["count"] == 1,
        "{report}"
    );
    ensure!(
        report["blobs_without_row"]["first"][0]["key"] == stray.as_str()
            && report["blobs_without_row"]["count"] == 1,
        "{report}"
    );
    let (_, printed, _) = named.run(&["doctor", "--blobs"]).await?;
    ensure!(printed.lines().count() == 3, "{printed}");

    // A database from before the marker.
    let earlier = "update fleet set marked_at = marked_at - interval '1 hour'";
    Postgres::shared().execute(&named.database, earlier).await;
    let (_, printed, _) = named.run(&["doctor", "--no-model"]).await?;
    ensure!(printed.contains("it was restored from before"), "{printed}");
    let accepted = named.succeeds(&["migrate", "--accept-restore"]).await?;
    ensure!(accepted.contains("is the truth"), "{accepted}");
    let accepted = named.succeeds(&["migrate", "--accept-restore"]).await?;
    ensure!(accepted.contains("nothing to accept"), "{accepted}");
    Ok(())
}
