//! Another fleet on the same bucket.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use limekiln_blobs::Prefix;
use limekiln_testbed::Process;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::binary::limekiln;
use crate::client::Client;
use crate::cluster::Cluster;
use crate::command::{command, key_create};
use crate::member::{Editor, Member, Role};
use crate::random::Random;
use crate::services::Namespace;
use crate::wait::wait;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a walk may take: after twenty rounds of every fault it passes 100,000 blobs, a minute's work on two busy cores.
const WALK: Duration = Duration::from_secs(300);
/// Edits before the backup, and after it.
const EDITS: usize = 8;
/// What the sweep has to think is two days old.
const DAYS_PASS: &str =
    "update sweep_candidates set first_seen_at = first_seen_at - interval '2 days'";

/// Another fleet comes to the bucket. Without a prefix it is refused. With one it works there, goes back to a backup, and works
/// on. Both fleets walk through their blobs all the time. Nothing of the other fleet is lost here, and the round's check holds
/// that nothing is of this one.
pub(super) async fn bucket_shared(cluster: &Cluster, random: &mut Random) -> Result<()> {
    let other = Other::new(cluster).await?;
    command(&other.namespace, &["migrate", "--roles"]).await?;
    refused(cluster, &other.namespace).await?;

    let other = other.prefixed(cluster)?;
    let key = key_create(&other.namespace, "other").await?;
    let members = other.start(cluster, "other")?;
    members.ready(cluster).await?;
    let client = members.client(cluster, &key);
    let image = client.upload(picture(cluster)?).await?;
    other.edits(&client, image, "before").await?;
    members.stop(random).await?;
    let backup = other.copy(cluster).await?;

    // What the backup does not know.
    let other = other.on(cluster, &other.database).await?;
    let marked = other.told("marked_at").await?;
    let members = other.start(cluster, "other-on")?;
    members.ready(cluster).await?;
    let client = members.client(cluster, &key);
    other.edits(&client, image, "after").await?;
    wait("a mark after the backup", PATIENCE, async || {
        Ok(other.told("marked_at").await? != marked)
    })
    .await?;
    // All that it has found by now is old.
    sqlx::query(DAYS_PASS)
        .execute(&other.namespace.postgres)
        .await?;
    other.walks(2).await?;
    members.stop(random).await?;
    let before = other.listed().await?;
    ensure!(
        before.len() > 2 * EDITS,
        "{} blobs are left of {} edits",
        before.len(),
        2 * EDITS
    );

    let restored = other.on(cluster, &backup).await?;
    let walked = restored.told("walk_began_at").await?;
    let members = restored.start(cluster, "other-restored")?;
    members.ready(cluster).await?;
    let client = members.client(cluster, &key);
    // Newer than anything that the backup has lost.
    restored.edits(&client, image, "restored").await?;
    let held = ["limekiln_sweep_held{reason=\"restored\"} 1"];
    wait("the restored fleet to know it", PATIENCE, async || {
        Ok(members.coordinator.counted(&cluster.http, &held).await? > 0.0)
    })
    .await?;
    let own = Other::of(cluster);
    own.walks(2).await?;
    ensure!(
        restored.told("walk_began_at").await? == walked,
        "restored, it walks"
    );
    members.stop(random).await?;
    let after = restored.listed().await?;
    let lost: Vec<_> = before.iter().filter(|key| !after.contains(key)).collect();
    ensure!(
        lost.is_empty(),
        "of {} blobs of the other fleet {} are lost, such as {}",
        before.len(),
        lost.len(),
        lost[0]
    );
    let strange: i64 =
        sqlx::query_scalar("select count(*) from sweep_candidates c where not exists (select from tenants t where starts_with(c.key, 't/' || t.id || '/'))")
            .fetch_one(&cluster.namespace.postgres)
            .await?;
    ensure!(
        strange == 0,
        "{strange} blobs of the other fleet look like orphans"
    );
    Ok(())
}

/// A coordinator on the whole bucket ends at once, and says whose it is.
async fn refused(cluster: &Cluster, namespace: &Namespace) -> Result<()> {
    let log = cluster
        .dir()
        .join(format!("refused-{}.log", Uuid::now_v7().simple()));
    let env = namespace.env.iter().map(|(name, value)| (name, value));
    let process = Process::start(limekiln()?, ["coordinate"], env, &log);
    wait("the stranger to be refused", PATIENCE, async || {
        Ok(process.ended().is_some())
    })
    .await?;
    let said = process.log_tail();
    ensure!(
        process
            .ended()
            .is_some_and(|status| status.code() == Some(1))
            && said.contains("belongs to fleet"),
        "the stranger ended with {:?}: {said}",
        process.ended()
    );
    Ok(())
}

/// What a fleet works with.
struct Other {
    namespace: Namespace,
    /// The name of its database.
    database: String,
}

impl Other {
    /// The cluster's own fleet.
    fn of(cluster: &Cluster) -> Self {
        Self {
            namespace: cluster.namespace.clone(),
            database: String::new(),
        }
    }

    /// On a database and a virtual host of its own, and the cluster's whole bucket.
    async fn new(cluster: &Cluster) -> Result<Self> {
        let own = cluster.services.namespace().await?;
        let told = |name: &str| {
            let found = own.env.iter().find(|(of, _)| of == name);
            found
                .map(|(_, value)| value.clone())
                .context("a service is not named")
        };
        let (database, amqp) = (told("DATABASE_URL")?, told("AMQP_URL")?);
        let name = database.rsplit('/').next().unwrap_or_default().to_owned();
        let namespace = cluster
            .namespace
            .with(&[("DATABASE_URL", database), ("AMQP_URL", amqp)]);
        Ok(Self {
            namespace: Namespace {
                postgres: own.postgres.clone(),
                vhost: own.vhost.clone(),
                ..namespace
            },
            database: name,
        })
    }

    /// The same under a prefix of its own.
    fn prefixed(&self, cluster: &Cluster) -> Result<Self> {
        // The test's own S3 keeps a key as the name of a file, which has room for a short one.
        let prefix = format!("o-{}", &Uuid::now_v7().simple().to_string()[26..]);
        Ok(Self {
            namespace: Namespace {
                blobs: cluster.namespace.blobs.prefixed(&prefix)?,
                ..self.namespace.with(&[("S3_PREFIX", prefix)])
            },
            database: self.database.clone(),
        })
    }

    /// The same on the database of this name.
    async fn on(&self, cluster: &Cluster, database: &str) -> Result<Self> {
        let url = cluster.services.postgres.url(database);
        let before = cluster.services.proxies.postgres.before(&url);
        Ok(Self {
            namespace: Namespace {
                postgres: PgPool::connect(&url).await?,
                ..self.namespace.with(&[("DATABASE_URL", before)])
            },
            database: database.to_owned(),
        })
    }

    /// A copy of its database, which nobody is connected to: its name.
    async fn copy(&self, cluster: &Cluster) -> Result<String> {
        self.namespace.postgres.close().await;
        let (postgres, database) = (cluster.services.postgres.clone(), self.database.clone());
        // On a task of its own: what panics there fails the round and not the run.
        let copy = tokio::spawn(async move { postgres.database_like(&database).await });
        let url = copy.await.context("the backup")?;
        Ok(url.rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// What its database says of it.
    async fn told(&self, column: &'static str) -> Result<Option<String>> {
        let sql = ["select ", column, "::text from fleet"].concat();
        Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&self.namespace.postgres)
            .await?)
    }

    /// Waits until so many walks have begun, the last of which is through with what was there at first.
    async fn walks(&self, count: u32) -> Result<()> {
        for _ in 0..=count {
            let last = self.told("walk_began_at").await?;
            wait("a walk", WALK, async || {
                Ok(self.told("walk_began_at").await? != last)
            })
            .await?;
        }
        Ok(())
    }

    fn start(&self, cluster: &Cluster, name: &str) -> Result<Members> {
        let dir = cluster
            .dir()
            .join(format!("{name}-{}", Uuid::now_v7().simple()));
        std::fs::create_dir_all(&dir)?;
        let start = |role| Member::start(role, 1, &self.namespace, &dir);
        Ok(Members {
            gateway: start(Role::Gateway)?,
            coordinator: start(Role::Coordinator)?,
            worker: start(Role::Worker(Editor::Null))?,
        })
    }

    /// Submits edits and waits until all have succeeded.
    async fn edits(&self, client: &Client, image: Uuid, name: &str) -> Result<()> {
        for number in 0..EDITS {
            let body = json!({
                "model": "null",
                "image": image,
                "instruction": "null: steps=2 step_ms=5",
                "seed": number,
            });
            client.submit(&format!("{name}-{number}"), &body).await?;
        }
        wait("the other fleet's edits", PATIENCE, async || {
            let open: i64 =
                sqlx::query_scalar("select count(*) from edits where state <> 'succeeded'")
                    .fetch_one(&self.namespace.postgres)
                    .await?;
            Ok(open == 0)
        })
        .await
    }

    /// All its blobs.
    async fn listed(&self) -> Result<Vec<String>> {
        let page = self
            .namespace
            .blobs
            .list(&Prefix::tenants(), None, 1000)
            .await?;
        ensure!(page.next.is_none(), "more blobs than were made");
        Ok(page
            .blobs
            .into_iter()
            .map(|blob| blob.key.to_string())
            .collect())
    }
}

/// One of each.
struct Members {
    gateway: Member,
    coordinator: Member,
    worker: Member,
}

impl Members {
    fn all(&self) -> [&Member; 3] {
        [&self.gateway, &self.coordinator, &self.worker]
    }

    async fn ready(&self, cluster: &Cluster) -> Result<()> {
        for member in self.all() {
            member.ready(&cluster.http).await?;
        }
        Ok(())
    }

    fn client(&self, cluster: &Cluster, key: &str) -> Client {
        Client::new(cluster.http.clone(), vec![self.gateway.url()], key)
    }

    /// kill -9, or SIGTERM.
    async fn stop(&self, random: &mut Random) -> Result<()> {
        for member in self.all() {
            if random.coin() {
                member.kill9();
            } else {
                member.terminate(Duration::from_secs(20)).await?;
            }
        }
        Ok(())
    }
}

/// A picture that this fleet has.
fn picture(cluster: &Cluster) -> Result<Bytes> {
    let rooms = cluster.dir().join("rooms");
    Ok(std::fs::read(rooms.join("00000-input.png"))?.into())
}
