//! Whose services `limekiln dev` takes.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use limekiln_fleet_tests::watch::follow;
use limekiln_testbed::{Postgres, port_free};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::told::Named;
use crate::{Dev, END, http, room};

/// Everything lies in the data folder, so that a service account without a home can run it.
#[tokio::test(flavor = "multi_thread")]
async fn dev_needs_no_home() -> Result<()> {
    let http = http();
    let data = tempfile::tempdir()?;
    let home = data.path().join("home");
    std::fs::create_dir(&home)?;
    let exported = [
        ("HOME", home.display().to_string()),
        ("XDG_CACHE_HOME", String::new()),
        ("LIMEKILN_CACHE", String::new()),
    ];
    let exported = exported.map(|(name, value)| (name.to_owned(), value));
    drop(Dev::start_with(&data, port_free(), &http, &exported).await?);
    let left: Vec<_> = std::fs::read_dir(&home)?.collect();
    ensure!(left.is_empty(), "in the home: {left:?}");
    let cache = data.path().join("data/cache");
    let unpacked = |name: &str| {
        let entries = std::fs::read_dir(&cache).into_iter().flatten().flatten();
        let mut folders = entries
            .map(|entry| entry.path())
            .filter(|path| path.join(name).exists());
        folders
            .next()
            .with_context(|| format!("{name} is not below {}", cache.display()))
    };
    let folder = unpacked("whole")?;

    // As a disk that filled up left it: nothing of it is taken for whole.
    std::fs::remove_file(folder.join("whole"))?;
    let half = folder.join("pglite-oxide/runtime");
    std::fs::remove_dir_all(&half)?;
    std::fs::create_dir(&half)?;
    let part = data.path().join("data/postgres.part");
    std::fs::create_dir(&part)?;
    let database = data.path().join("data/postgres");
    std::fs::remove_dir_all(&database)?;
    std::fs::create_dir(&database)?;
    std::fs::write(database.join("PG_VERSION"), "half a database")?;
    let unfinished = data.path().join("data/postgres.unfinished");
    std::fs::write(&unfinished, "")?;
    std::fs::remove_dir_all(data.path().join("data/s3"))?;
    drop(Dev::start_with(&data, port_free(), &http, &exported).await?);
    unpacked("whole")?;
    ensure!(
        !part.exists() && !unfinished.exists(),
        "half a database stays"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_takes_no_fleet_from_the_environment_and_none_that_is_not_its_own() -> Result<()> {
    let http = http();
    let production = Named::new().await;
    production.succeeds(&["migrate"]).await?;
    let url = Postgres::shared().url(&production.database);
    let mut postgres = PgConnection::connect(&url).await?;
    let data = tempfile::tempdir()?;
    let dev = Dev::start_with(&data, port_free(), &http, &production.env).await?;
    let said = std::fs::read_to_string(dev.process.log())?;
    let line = said
        .lines()
        .find(|line| line.contains("from its flags alone"))
        .with_context(|| said.clone())?;
    for variable in ["DATABASE_URL", "AMQP_URL", "S3_ENDPOINT", "S3_BUCKET"] {
        ensure!(line.contains(variable), "{line}");
    }
    let tenants: i64 = sqlx::query_scalar("select count(*) from tenants")
        .fetch_one(&mut postgres)
        .await?;
    ensure!(tenants == 0, "dev made a tenant in production");
    drop(dev);

    // A folder of before there were markers opens, one whose parts are of two fleets does not.
    let folder = data.path().join("data");
    let bucket = folder.join("s3/data/limekiln");
    let marker = std::fs::read_to_string(bucket.join("fleet.json"))?;
    let own = std::fs::read_to_string(folder.join("fleet"))?;
    ensure!(marker.contains(&own), "{marker}: {own}");
    std::fs::create_dir_all(bucket.join("t/x/images"))?;
    std::fs::write(bucket.join("t/x/images/y"), "a picture")?;
    std::fs::remove_file(bucket.join("fleet.json"))?;
    std::fs::remove_file(folder.join("fleet"))?;
    drop(Dev::start(&data, port_free(), &http).await?);
    let marker = std::fs::read_to_string(bucket.join("fleet.json"))?;
    ensure!(marker.contains(&own), "{marker}: {own}");
    std::fs::write(
        bucket.join("fleet.json"),
        marker.replace(&own, &uuid::Uuid::now_v7().to_string()),
    )?;
    let (folder, port) = (folder.display().to_string(), port_free().to_string());
    production
        .refused(
            &["dev", "--data", &folder, "--port", &port],
            1,
            "belongs to another database",
        )
        .await?;

    // Its flags name the same.
    let folder = data.path().join("named").display().to_string();
    let port = port_free().to_string();
    let database = production.value("DATABASE_URL");
    let (amqp, s3) = (
        production.value("AMQP_URL"),
        production.value("S3_ENDPOINT"),
    );
    let dev = ["dev", "--data", &folder, "--port", &port];
    let some = [&dev[..], &["--database", database]].concat();
    production
        .refused(&some, 2, "--amqp and --s3-endpoint are missing")
        .await?;
    let some = [&some[..], &["--amqp", amqp]].concat();
    production
        .refused(&some, 2, "--s3-endpoint is missing")
        .await?;
    let all = [
        &some[..],
        &["--s3-endpoint", s3, "--s3-bucket", &production.bucket],
    ]
    .concat();
    production.refused(&all, 1, "did not make").await?;
    let tenants: i64 = sqlx::query_scalar("select count(*) from tenants")
        .fetch_one(&mut postgres)
        .await?;
    ensure!(tenants == 0, "dev made a tenant in production");
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

/// A checkpoint of somebody else's, in a folder and in the hub's cache: its name is the last part, or what `--as` says.
#[tokio::test(flavor = "multi_thread")]
async fn dev_edits_with_another_model() -> Result<()> {
    let http = http();
    let data = tempfile::tempdir()?;
    let (picture, _) = room(data.path()).await?;
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reference/checkpoints/sd1");
    let hub = data.path().join("hub");
    let (repo, commit) = (hub.join("models--owner--Small-Model"), "c".repeat(40));
    copy(&small, &repo.join("snapshots").join(&commit))?;
    std::fs::create_dir(repo.join("refs"))?;
    std::fs::write(repo.join("refs/main"), commit)?;
    let exported = [
        ("HF_HUB_CACHE", hub.display().to_string()),
        ("HF_HUB_OFFLINE", "1".to_owned()),
    ];
    let exported = exported.map(|(name, value)| (name.to_owned(), value));
    let folder = small.display().to_string();
    for (args, name) in [
        (&["--model", &folder][..], "sd1"),
        (&["--model", "hf:owner/Small-Model"], "small-model"),
        (&["--model", &folder, "--as", "ours"], "ours"),
    ] {
        let dev = Dev::start_of(&data, port_free(), &http, &exported, args).await?;
        let image = dev.client.upload(picture.clone()).await?;
        let edit = json!({
            "image": image, "instruction": "make the sofa red", "preset": "base", "size": 64, "options": { "edit": { "steps": 2 } },
        });
        let edit = dev.client.submit(name, &edit).await?;
        follow(&dev.client, edit, END).await?;
        let view = dev.client.edit(edit).await?;
        ensure!(
            view["state"] == "succeeded" && view["model"] == name,
            "{view}"
        );
    }
    Ok(())
}
