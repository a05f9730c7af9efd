//! Services, a fleet on them, and its tenants.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use crate::check;
use crate::client::Client;
use crate::command::{command, key_create};
use crate::fleet::Fleet;
use crate::load::{self, LoadRun};
use crate::member::{Editor, Member};
use crate::services::{Namespace, Services};
use crate::wait::wait;

/// Tenants of the null editor's load.
const TENANTS: usize = 3;

/// A fleet at work.
#[derive(Debug)]
pub struct Cluster {
    /// Its processes; they go before their services.
    pub fleet: Fleet,
    /// Where it works.
    pub namespace: Namespace,
    /// With what.
    pub services: Services,
    /// For their status.
    pub http: reqwest::Client,
    /// One a tenant.
    pub clients: Vec<Client>,
    /// A picture of each tenant.
    pub images: Vec<Uuid>,
    /// What its workers edit with.
    pub editor: Editor,
    /// Pictures and instructions of the real engine's edits, all the first tenant's.
    pub rooms: Vec<(Uuid, String)>,
    /// Digests of the results of undisturbed edits.
    pub references: HashMap<String, Vec<u8>>,
    dir: PathBuf,
    round: Mutex<String>,
}

impl Cluster {
    /// Starts services (or goes on with those given) and a fleet on a new namespace.
    ///
    /// # Errors
    ///
    /// What does not start.
    pub async fn start(editor: Editor, services: Option<Services>, dir: &Path) -> Result<Self> {
        let services = match services {
            Some(services) => services,
            None => Services::start().await?,
        };
        let dir = dir.join(format!("{}-{}", editor.model(), Uuid::now_v7().simple()));
        std::fs::create_dir_all(&dir)?;
        let http = reqwest::Client::builder()
            .pool_idle_timeout(Duration::from_secs(5))
            .build()?;
        let namespace = services.namespace().await?;
        let fleet = Fleet::start(editor, &namespace, &dir, &http).await?;
        let mut cluster = Self {
            services,
            namespace,
            fleet,
            http,
            clients: Vec::new(),
            images: Vec::new(),
            editor,
            rooms: Vec::new(),
            references: HashMap::new(),
            dir,
            round: Mutex::default(),
        };
        cluster.tenants_create().await?;
        cluster.workers_ready().await?;
        if editor == Editor::Lime {
            cluster.undisturbed().await.context("without any fault")?;
        }
        Ok(cluster)
    }

    /// Tenants and pictures.
    async fn tenants_create(&mut self) -> Result<()> {
        let out = self.dir.join("rooms");
        let count = 3;
        command(
            &self.namespace,
            &[
                "rooms",
                "--count",
                &count.to_string(),
                "--out",
                &out.display().to_string(),
            ],
        )
        .await?;
        let scenes = std::fs::read_to_string(out.join("scenes.jsonl"))?;
        for number in 0..TENANTS {
            let key = key_create(&self.namespace, &format!("tenant-{number}")).await?;
            let gateways = self.fleet.gateways.iter().map(Member::url).collect();
            self.clients
                .push(Client::new(self.http.clone(), gateways, &key));
        }
        for (number, line) in scenes.lines().enumerate() {
            let line: Value = serde_json::from_str(line)?;
            let instruction = line["instruction"]
                .as_str()
                .context("a cluster without instruction")?;
            let picture = Bytes::from(std::fs::read(out.join(format!("{number:05}-input.png")))?);
            let image = self.clients[0].upload(picture).await?;
            self.rooms.push((image, instruction.to_owned()));
        }
        let picture = Bytes::from(std::fs::read(out.join("00000-input.png"))?);
        for client in &self.clients {
            self.images.push(client.upload(picture.clone()).await?);
        }
        Ok(())
    }

    /// Waits until both workers take edits: those that run now, not those of before.
    ///
    /// # Errors
    ///
    /// When one does not.
    pub async fn workers_ready(&self) -> Result<()> {
        let names: Vec<String> = self
            .fleet
            .workers
            .iter()
            .map(|worker| format!("%{}", worker.row_suffix()))
            .collect();
        wait(
            "both workers to take edits",
            Duration::from_secs(60),
            async || {
                let live: i64 =
                    sqlx::query_scalar("select count(*) from workers where name like any($1)")
                        .bind(&names)
                        .fetch_one(&self.namespace.postgres)
                        .await?;
                Ok(live == 2)
            },
        )
        .await
    }

    /// The real engine's edits once, so that their results are known.
    async fn undisturbed(&mut self) -> Result<()> {
        let round = self.round_start("undisturbed");
        let edits = LoadRun::start(load::lime(&round, &self.rooms, 3), &self.clients)
            .finish()
            .await?;
        check::check(&self.namespace, &round, &edits, check::Attempts::None).await?;
        for edit in &edits {
            let digest = check::result_digest(&self.namespace.postgres, edit.id).await?;
            self.references
                .insert(edit.planned.reference.clone().unwrap_or_default(), digest);
        }
        Ok(())
    }

    /// The name of the round: what its idempotency keys start with.
    #[must_use]
    pub fn round(&self) -> String {
        self.round
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// Begins a round: its name.
    pub fn round_start(&self, name: &str) -> String {
        let name = format!("{name}/{}", Uuid::now_v7().simple());
        self.round
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone_from(&name);
        name
    }

    /// That no message is left in the queues once all edits have ended: what can't be claimed is acked and dropped.
    ///
    /// # Errors
    ///
    /// What is left.
    pub async fn queues_empty(&self) -> Result<()> {
        let erlang = format!(
            "lists:sum([proplists:get_value(messages, rabbit_amqqueue:info(Q, [messages]), 0) \
             || Q <- rabbit_amqqueue:list(<<\"{}\">>)]).",
            self.namespace.vhost
        );
        let mut left = String::new();
        wait(
            "the queues to be empty",
            Duration::from_secs(40),
            async || {
                left = self.services.rabbitmq.eval(&erlang).await;
                Ok(left == "0")
            },
        )
        .await
        .with_context(|| format!("all edits have ended, and {left} messages are left"))
    }

    /// Where its processes write.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
